"""What a reproduction is compared by: inputs, cells, outputs, params, models and metrics, each against the run's own.

Every comparison is a `Check` with the cell that it belongs to, so that of all that differs the first thing can be
named. Outputs of cells that didn't make the run don't count for the verdict, but they show where a difference began.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nbops.notebook.parameters import INJECTED_ID, read_parameters
from nbops.project import Project
from nbops.snapshot.code import modules_of
from nbops.snapshot.fingerprint import fingerprint_file
from nbops.tracking.recording.records import Cell, Data
from nbops.tracking.reproduction.inputs import datasets_of, state_of
from nbops.tracking.reproduction.learned import compare_learned
from nbops.tracking.reproduction.origin import Origin
from nbops.tracking.reproduction.outputs import compare_outputs
from nbops.tracking.reproduction.tolerance import Level, Tolerance, measures_machine, normalised
from nbops.tracking.schema import DatasetVersion, RunDetail
from nbops.tracking.store import Store

Kind = Literal["input", "cell", "param", "model", "metric", "output"]
_RANK: dict[Kind, int] = {"input": 0, "cell": 1, "param": 2, "model": 3, "metric": 4, "output": 5}
_SCORED = re.compile(r"(?<=[A-Za-z_])-\d+$")
_GONE = "there is no such file"
_NEW = "the run has none, so it doesn't count"
_MACHINE = "measures the machine, so it doesn't count"


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes
    ----------
    kind, name
        What was compared.
    level
        How it came out.
    before, after
        What the run has, and what the reproduction gave.
    position
        The number of the recipe's cell that it belongs to, from 1; None where that isn't known.
    cell_id
        That cell's id in the notebook.
    counts
        Whether it counts for the verdict.
    note
        Anything else to know.
    """

    kind: Kind
    name: str
    level: Level
    before: str = ""
    after: str = ""
    position: int | None = None
    cell_id: str | None = None
    counts: bool = True
    note: str = ""

    @property
    def order(self) -> tuple[float, int]:
        """Where it stands among what differs: by cell, then by what can be the cause of what."""
        return float("inf") if self.position is None else self.position, _RANK[self.kind]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a reproduction gave, beside what it is compared with.

    Attributes
    ----------
    origin
        The run and its recipe.
    run
        The run that the recipe made again; None if it made none.
    cells
        The executed cells again, by their position in the recipe, from 1.
    store
        Where the runs are.
    project, again
        Where the run's outputs are kept, and where those of the reproduction are.
    places
        What stands for paths in texts.
    metrics
        Numbers read from the kernel: a stage's metrics are its variables.
    """

    origin: Origin
    run: RunDetail | None
    cells: Mapping[int, Cell]
    store: Store
    project: Project
    again: Project
    places: Mapping[str, str]
    metrics: Mapping[str, float]


def checks(evidence: Evidence, tolerance: Tolerance) -> list[Check]:
    """Return all comparisons, in the order in which what differs is named."""
    found: list[Check] = [*_inputs(evidence), *_modules(evidence), *_cells(evidence), *_outputs(evidence, tolerance)]
    if evidence.run:
        found += _params(evidence, evidence.run)
        found += _models(evidence, evidence.run, tolerance)
        found += _metrics(evidence, evidence.run, tolerance)
    return sorted(found, key=lambda check: check.order)


def first_differing(found: Sequence[Check]) -> Check | None:
    """Return what differed first, of what counts; None if nothing did."""
    return next((check for check in found if check.counts and check.level == "differs"), None)


def first_seen(found: Sequence[Check], first: Check) -> Check | None:
    """Return the first sign of a difference in a cell before the one where it counted."""
    return next((check for check in found if check.level == "differs" and check.order < first.order), None)


def _position(evidence: Evidence, seq: int | None) -> int | None:
    places = {piece.seq: position for position, piece in enumerate(evidence.origin.recipe.pieces, 1)}
    return places.get(seq) if seq is not None else None


def _target(evidence: Evidence) -> tuple[int | None, str | None]:
    """Return the position and id of the last cell that made the run."""
    pieces = evidence.origin.recipe.pieces
    marked = [position for position, piece in enumerate(pieces, 1) if piece.target] or [len(pieces)]
    last = marked[-1]
    return last, pieces[last - 1].cell_id


def _inputs(evidence: Evidence) -> Iterator[Check]:
    origin = evidence.origin
    readers = {data.source: cell.start.seq for cell in origin.cells.values() for data in cell.data}
    again: dict[str, Data | DatasetVersion] = {}
    again |= {data.source: data for cell in evidence.cells.values() for data in cell.data}
    if evidence.run:
        again |= {dataset.source: dataset for dataset in datasets_of(evidence.run)}
    for dataset in datasets_of(origin.run):
        position = _position(evidence, readers.get(dataset.source))
        found = again.get(dataset.source)
        if found is not None:
            digest = found.digest
        elif dataset.rows is None and (evidence.project.root / dataset.source).is_file():
            digest = fingerprint_file(evidence.project.root / dataset.source)
        elif position and state_of(evidence.project, dataset, origin.run.summary.started).state == "missing":
            digest = _GONE
        else:
            continue  # the recipe didn't need it
        piece = evidence.origin.recipe.pieces[position - 1] if position else None
        yield Check(
            "input",
            dataset.source,
            "same" if digest == dataset.digest else "differs",
            _described(dataset.digest, dataset.rows),
            digest if digest == _GONE else _described(digest, found.rows if found else None),
            position,
            piece.cell_id if piece else None,
        )


def _modules(evidence: Evidence) -> Iterator[Check]:
    """Compare the project's modules: what they do counts where it shows, so one that was edited is only a sign."""
    origin = evidence.origin
    then = origin.run.snapshot.get("code", {}).get("modules") or {}
    root = evidence.project.root
    pieces = origin.recipe.pieces
    now = modules_of([piece.source for piece in pieces], root, root / (origin.folder or "")) if then else {}
    for name, digest in then.items():
        told = re.compile(rf"\b{re.escape(name.partition('.')[0])}\b")
        position = next((at for at, piece in enumerate(pieces, 1) if told.search(piece.source)), None)
        after = now.get(name, "gone")
        same: Level = "same" if after == digest else "differs"
        cell_id = pieces[position - 1].cell_id if position else None
        yield Check("input", f"module {name}", same, digest[:8], after[:8], position, cell_id, counts=False)


def _described(digest: str, rows: int | None) -> str:
    return f"{digest[:8]} ({rows:,} rows)" if rows is not None else digest[:8]


def _cells(evidence: Evidence) -> Iterator[Check]:
    for position, piece in enumerate(evidence.origin.recipe.pieces, 1):
        cell = evidence.cells.get(position)
        if cell is None or cell.end is None:
            continue  # who executes says which cell was the last
        # a recipe leaves out what failed, unless what is kept needs it
        before = _outcome(evidence.origin.cells.get(piece.seq), True) if piece.failed else "ok"
        after = _outcome(cell, False)
        same = (before.partition(":")[0] == after.partition(":")[0]) or (before == "error" and after != "ok")
        yield Check(
            "cell", "outcome", "same" if same else "differs", before, after, position, piece.cell_id, counts=not same
        )


def _outcome(cell: Cell | None, failed: bool) -> str:
    if cell is None or cell.end is None:
        return "error" if failed else "ok"
    if cell.end.outcome == "ok" or (not failed and not cell.end.error):
        return "ok"
    return cell.end.error or "error"


def _outputs(evidence: Evidence, tolerance: Tolerance) -> Iterator[Check]:
    for position, piece in enumerate(evidence.origin.recipe.pieces, 1):
        before, after = evidence.origin.cells.get(piece.seq), evidence.cells.get(position)
        if not piece.whole or before is None or after is None or before.end is None or after.end is None:
            continue
        for difference in compare_outputs(
            (evidence.project, before.end.outputs), (evidence.again, after.end.outputs), evidence.places, tolerance
        ):
            yield Check(
                "output",
                difference.name,
                difference.level,
                difference.before,
                difference.after,
                position,
                piece.cell_id,
                counts=piece.target and difference.counts,
                note=difference.note,
            )


def _params(evidence: Evidence, run: RunDetail) -> Iterator[Check]:
    position, cell_id = _target(evidence)
    old, new = evidence.origin.run.summary.params, run.summary.params
    given: set[str] = set()
    if evidence.origin.stage:  # the runner logged what it injected: that is the recipe's first cell again
        for piece in evidence.origin.recipe.pieces:
            if piece.cell_id == INJECTED_ID or piece.seq == 1 or piece.cell_id == "parameters":
                given |= read_parameters(piece.source).keys()
    for name in sorted((old.keys() | new.keys()) - given):
        before, after = (_plain(values.get(name), evidence.places) for values in (old, new))
        if evidence.origin.stage and name not in new:
            continue
        level: Level = "same" if before == after else "differs"
        note = "" if name in old else _NEW
        yield Check("param", name, level, before, after, position, cell_id, counts=name in old, note=note)


def _plain(value: str | None, places: Mapping[str, str]) -> str:
    return "not there" if value is None else normalised(value, places)


def _models(evidence: Evidence, run: RunDetail, tolerance: Tolerance) -> Iterator[Check]:
    position, cell_id = _target(evidence)
    old, new = (
        {model["name"]: model for model in one.snapshot.get("model", {}).get("models", [])}
        for one in (evidence.origin.run, run)
    )
    for name in sorted(old.keys() & new.keys()):  # the others are variables that the recipe's cells don't set
        before, after = old[name], new[name]
        if before["kind"] != after["kind"]:
            yield Check("model", name, "differs", before["kind"], after["kind"], position, cell_id)
        elif before["digest"] == after["digest"]:
            yield Check("model", name, "same", before["digest"][:8], after["digest"][:8], position, cell_id)
        else:
            yield _learned(evidence, run, name, before, after, tolerance, (position, cell_id))


def _learned(
    evidence: Evidence,
    run: RunDetail,
    name: str,
    before: Mapping[str, str],
    after: Mapping[str, str],
    tolerance: Tolerance,
    place: tuple[int | None, str | None],
) -> Check:
    """Compare models whose content isn't the same byte by byte by what they have learned."""
    ids = (evidence.origin.run.summary.run_id, run.summary.run_id)
    found = compare_learned(evidence.store, *ids, before["kind"], tolerance)
    if found is None:
        note = "its content has another digest, and the models aren't in the store to be compared"
        return Check("model", name, "close", before["digest"][:8], after["digest"][:8], *place, note=note)
    if found.level == "same":
        note = "learned the same; only times or addresses in it differ"
        return Check("model", name, "same", before["digest"][:8], after["digest"][:8], *place, note=note)
    return Check("model", f"{name}.{found.name}", found.level, found.before, found.after, *place)


def under_names_of(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    """Return metrics made again under the names that they had.

    MLflow numbers the data that a model is scored on (``score-3_X-2``) by its address, which can be taken again.
    """
    gone = [name for name in old if name not in new]
    known = {_SCORED.sub("", name): name for name in gone if _SCORED.search(name)}
    known |= {name: name for name in gone if not _SCORED.search(name)}
    return {name if name in old else known.get(_SCORED.sub("", name), name): value for name, value in new.items()}


def _metrics(evidence: Evidence, run: RunDetail, tolerance: Tolerance) -> Iterator[Check]:
    position, cell_id = _target(evidence)
    old = evidence.origin.run.summary.metrics
    new = under_names_of(old, {**run.summary.metrics, **evidence.metrics})
    for name in sorted(old.keys() | new.keys()):
        if name not in old or name not in new:
            there = old if name in old else new
            before, after = (f"{there[name]:.6g}" if name in values else "not there" for values in (old, new))
            level: Level = "differs"
        else:
            before, after = f"{old[name]:.9g}", f"{new[name]:.9g}"
            level = tolerance.numbers(old[name], new[name])
        note = "" if level == "same" else _NEW if name not in old else _MACHINE if measures_machine(name) else ""
        yield Check("metric", name, level, before, after, position, cell_id, counts=not note, note=note)
