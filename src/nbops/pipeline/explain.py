"""In what two executions of a stage differ: cell by cell with a diff, value by value, file by file.

Pure: two `Facts` go in, differences come out. Cells are matched by what they say, then by their ids, then by their
places, so that a cell that was moved isn't taken for one that is gone and one that is new.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff
from pathlib import PurePosixPath
from typing import Literal

from nbops.pipeline.facts import CellFact, Facts, InputFact

Kind = Literal["cell", "module", "parameter", "input", "package", "python", "kernel", "output", "metric", "format"]
_SHOWN_FILES = 3
_SHOWN_DIGEST = 8
_WIDEST_VALUE = 60


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that isn't as it was.

    Attributes
    ----------
    kind, name
        What it is, and which one.
    before, after
        How it was and how it is, shortly; empty where it wasn't or isn't.
    diff
        Lines of a unified diff, for code.
    """

    kind: Kind
    name: str
    before: str = ""
    after: str = ""
    diff: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The difference in a line."""
        if self.kind in ("cell", "module"):
            return f"{self.kind} {self.name} {_became(self.before, self.after)}"
        what = f"{self.kind} {self.name}".rstrip()
        if not self.before:
            return f"{what} is new: {self.after}"
        return f"{what}: {self.before} → {self.after or 'gone'}"


def explain(before: Facts, after: Facts, *, unknown: Iterable[str] = ()) -> tuple[Difference, ...]:
    """Return in what a stage differs from how it was.

    Parameters
    ----------
    before, after
        Its facts then and now.
    unknown
        Inputs of which it isn't known yet what they will hold: nothing is said of them.
    """
    return (
        *_formats(before, after),
        *_cells(before.cells, after.cells),
        *_modules(before, after),
        *_params(before, after),
        *_inputs(before.inputs, after.inputs, set(unknown)),
        *_values("package", before.versions, after.versions),
        *_values("python", {"": before.python}, {"": after.python}),
        *_values("kernel", {"": before.kernel}, {"": after.kernel}),
        *_values("output", before.outputs, after.outputs),
        *_values("metric", dict.fromkeys(before.metrics, "wanted"), dict.fromkeys(after.metrics, "wanted")),
    )


def _formats(before: Facts, after: Facts) -> Iterator[Difference]:
    if before.schema != after.schema:
        yield Difference("format", "of keys", str(before.schema), str(after.schema))


def _cells(before: tuple[CellFact, ...], after: tuple[CellFact, ...]) -> list[Difference]:
    gone, fresh = _unmatched([cell.digest for cell in before], [cell.digest for cell in after])
    pairs: list[tuple[int, int]] = []
    same_code = _pair(gone, fresh, {i: before[i].digest for i in gone}, {j: after[j].digest for j in fresh})
    same_id = _pair(gone, fresh, {i: before[i].id for i in gone}, {j: after[j].id for j in fresh})
    pairs += same_id
    # what is left stands at the same place among the cells that changed
    for i, j in zip(list(gone), list(fresh), strict=False):
        pairs.append((i, j))
        gone.remove(i)
        fresh.remove(j)
    found = [(after[j].number, Difference("cell", _name(after[j]), "here", "moved")) for _, j in same_code]
    found += [(after[j].number, _changed(before[i], after[j])) for i, j in pairs]
    found += [
        (after[j].number, Difference("cell", _name(after[j]), "", "new", _diff("", after[j].source))) for j in fresh
    ]
    found += [
        (before[i].number, Difference("cell", _name(before[i]), "old", "", _diff(before[i].source, ""))) for i in gone
    ]
    return [difference for _, difference in sorted(found, key=lambda one: one[0])]


def _unmatched(before: list[str], after: list[str]) -> tuple[list[int], list[int]]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    gone: list[int] = []
    fresh: list[int] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            gone.extend(range(i1, i2))
            fresh.extend(range(j1, j2))
    return gone, fresh


def _pair(gone: list[int], fresh: list[int], old: Mapping[int, str], new: Mapping[int, str]) -> list[tuple[int, int]]:
    """Take those that are called alike out of both lists, and return them as pairs."""
    pairs = []
    for i in list(gone):
        match = next((j for j in fresh if new[j] == old[i]), None)
        if match is not None:
            pairs.append((i, match))
            gone.remove(i)
            fresh.remove(match)
    return pairs


def _changed(before: CellFact, after: CellFact) -> Difference:
    return Difference("cell", _name(after), "old", "changed", _diff(before.source, after.source))


def _modules(before: Facts, after: Facts) -> Iterator[Difference]:
    for name in sorted({*before.modules, *after.modules}):
        old, new = before.modules.get(name), after.modules.get(name)
        if old and new and old.digest == new.digest:
            continue
        path = (new or old).path  # type: ignore[union-attr]  # it is in one of them
        lines = _diff(old.source if old else "", new.source if new else "")
        yield Difference("module", f"{name} ({path})", "old" if old else "", "changed" if new else "", lines)


def _params(before: Facts, after: Facts) -> Iterator[Difference]:
    for name in sorted({*before.params, *after.params}):
        old, new = before.params.get(name), after.params.get(name)
        if old and new and old.digest == new.digest:
            continue
        default = "the notebook's default"
        yield Difference("parameter", name, _cut(old.shown) if old else default, _cut(new.shown) if new else default)


def _inputs(before: Mapping[str, InputFact], after: Mapping[str, InputFact], unknown: set[str]) -> Iterator[Difference]:
    for name in sorted({*before, *after} - unknown):
        old, new = before.get(name), after.get(name)
        if old and new:
            if old.sha256 != new.sha256:
                files = tuple(_changed_files(old, new))
                yield Difference("input", f"{name} ({_where(new)})", _state(old), _state(new), files)
            elif _suffix(old) != _suffix(new):
                yield Difference("input", name, _where(old), _where(new))
        else:
            yield Difference(
                "input", name, f"{old.path}, {_state(old)}" if old else "", f"{new.path}, {_state(new)}" if new else ""
            )


def _changed_files(old: InputFact, new: InputFact) -> Iterator[str]:
    """Return which files of a folder changed, a few by name."""
    if not (old.files and new.files):
        return
    was = {name: sha for name, sha, _ in old.files}
    now = {name: sha for name, sha, _ in new.files}
    marks = {name: "-" if name not in now else "+" if name not in was else "~" for name in sorted({*was, *now})}
    changed = [f"{mark} {name}" for name, mark in marks.items() if was.get(name) != now.get(name)]
    yield from changed[:_SHOWN_FILES]
    if len(changed) > _SHOWN_FILES:
        yield f"… and {len(changed) - _SHOWN_FILES} more files"


def _values(kind: Kind, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Difference]:
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield Difference(kind, name, before.get(name, ""), after.get(name, ""))


def _diff(before: str, after: str) -> tuple[str, ...]:
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))
    return tuple(lines[2:])  # without the two lines that name files


def _became(before: str, after: str) -> str:
    if not before:
        return "is new"
    if not after:
        return "is gone"
    return "was moved" if after == "moved" else "changed"


def _name(cell: CellFact) -> str:
    return str(cell.number)


def _where(found: InputFact) -> str:
    return found.maker or found.path


def _suffix(found: InputFact) -> str:
    return "" if found.maker else PurePosixPath(found.path).suffix


def _state(found: InputFact) -> str:
    when = time.strftime(", %Y-%m-%d %H:%M", time.localtime(found.modified)) if found.modified else ""
    return f"{found.sha256[:_SHOWN_DIGEST]} ({found.size:,} B{when})"


def _cut(text: str) -> str:
    return text if len(text) <= _WIDEST_VALUE else f"{text[: _WIDEST_VALUE - 1]}…"
