"""Cells of two runs, matched: by their ids, then by equal code, then by likeness.

A cell that was executed several times has several places, matched from the last backwards. What is matched but left the
longest sequence of cells in the same order was moved. A cell that means the same (see `nbops.notebook.normalise`) but is
written otherwise is reformatted, not edited.
"""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from nbops.notebook.normalise import normalise
from nbops.tracking.comparison.differences import CellChange, CellKind, Change
from nbops.tracking.schema import RunDetail
from nbops.tracking.store import Store

RECIPE_ARTIFACT = "nbops/recipe.json"
_ALIKE = 0.5
_MOST_TRIED = 40_000

_Cells = Sequence[Mapping[str, Any]]


def code_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[CellChange]:
    """Return all cells of two snapshots in the order of the second, each removed one where it stood."""
    old, new = cells_of(before), cells_of(after)
    pairs = _matched(old, new)
    kept = _in_order(pairs)
    partner = {right: left for left, right in pairs}
    changes: list[CellChange] = []
    gone = [left for left in range(len(old)) if left not in {pair[0] for pair in pairs}]
    for right in range(len(new)):
        left = partner.get(right)
        if left is not None and (left, right) in kept:
            while gone and gone[0] < left:
                changes.append(_removed(old, gone.pop(0)))
        changes.append(
            _added(new, right) if left is None else _pair(old, new, left, right, moved=(left, right) not in kept)
        )
    return changes + [_removed(old, left) for left in gone]


def cells_of(snapshot: Mapping[str, Any]) -> _Cells:
    """Return the cells that a snapshot compares by: those of its recipe where that is known, else all executed ones."""
    code = snapshot.get("code") or {}
    cells = code.get("recipe") or code.get("cells") or []
    return [cell for cell in cells if isinstance(cell, Mapping) and str(cell.get("source", "")).strip()]


def with_recipe(store: Store, run: RunDetail) -> dict[str, Any]:
    """Return a run's snapshot with the pieces of its recipe, which its code version is made of."""
    if RECIPE_ARTIFACT not in run.artifacts:
        return run.snapshot
    pieces = store.read_json(run.summary.run_id, RECIPE_ARTIFACT).get("pieces")
    return {**run.snapshot, "code": {**(run.snapshot.get("code") or {}), "recipe": pieces}}


def module_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return the project's own modules that the cells import and that differ, by their digests."""
    old, new = ((snapshot.get("code") or {}).get("modules") or {} for snapshot in (before, after))
    names = sorted(old.keys() | new.keys())
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _matched(old: _Cells, new: _Cells) -> list[tuple[int, int]]:
    left, right = dict.fromkeys(range(len(old))), dict.fromkeys(range(len(new)))
    pairs: list[tuple[int, int]] = []

    def take(one: int, other: int) -> None:
        pairs.append((one, other))
        del left[one], right[other]

    for key in ("cell_id", "source"):  # the source of equal cells, whose front end tells no ids
        places: dict[Any, list[int]] = defaultdict(list)
        for one in left:
            if value := _key(old[one], key):
                places[value].append(one)
        for other in reversed(list(right)):
            value = _key(new[other], key)
            if value and places[value]:
                take(places[value].pop(), other)
    if len(left) * len(right) <= _MOST_TRIED:
        for likeness, one, other in sorted(_likenesses(old, new, list(left), list(right)), reverse=True):
            if likeness >= _ALIKE and one in left and other in right:
                take(one, other)
    return sorted(pairs, key=lambda pair: pair[1])


def _key(cell: Mapping[str, Any], key: str) -> Any:
    return normalise(str(cell["source"])) if key == "source" else cell.get("cell_id")


def _likenesses(old: _Cells, new: _Cells, left: list[int], right: list[int]) -> list[tuple[float, int, int]]:
    found = []
    for other in right:
        matcher = difflib.SequenceMatcher(autojunk=False)
        matcher.set_seq2(str(new[other]["source"])[:4000])
        for one in left:
            matcher.set_seq1(str(old[one]["source"])[:4000])
            if matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE:
                found.append((matcher.ratio(), one, other))
    return found


def _in_order(pairs: Sequence[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the longest sequence of pairs whose order is the same on both sides (patience sorting)."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int | None] = []
    for position, (left, _) in enumerate(pairs):
        at = bisect_left(tails, left)
        before.append(ends[at - 1] if at else None)
        tails[at : at + 1] = [left]
        ends[at : at + 1] = [position]
    kept: set[tuple[int, int]] = set()
    position_or_none = ends[-1] if ends else None
    while position_or_none is not None:
        kept.add(pairs[position_or_none])
        position_or_none = before[position_or_none]
    return kept


def _pair(old: _Cells, new: _Cells, left: int, right: int, *, moved: bool) -> CellChange:
    one, other = str(old[left]["source"]), str(new[right]["source"])
    kind: CellKind
    if one == other:
        kind = "moved" if moved else "same"
    elif normalise(one) == normalise(other):
        kind = "moved" if moved else "reformatted"
    else:
        kind = "moved and edited" if moved else "edited"
    return CellChange(kind, left + 1, right + 1, _id(new[right]), _diff(one, other))


def _added(new: _Cells, right: int) -> CellChange:
    return CellChange("added", None, right + 1, _id(new[right]), _diff("", str(new[right]["source"])))


def _removed(old: _Cells, left: int) -> CellChange:
    return CellChange("removed", left + 1, None, _id(old[left]), _diff(str(old[left]["source"]), ""))


def _id(cell: Mapping[str, Any]) -> str | None:
    found = cell.get("cell_id")
    return str(found) if found else None


def _diff(one: str, other: str) -> str:
    if one == other:
        return ""
    old, new = one.split("\n") if one else [], other.split("\n") if other else []
    return "\n".join(list(difflib.unified_diff(old, new, n=3, lineterm=""))[2:])
