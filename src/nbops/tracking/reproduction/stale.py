"""Cells whose result is no longer what executing them now would give, and why.

The last execution of each cell is looked at, with what it needed: from its recorded steps, or, where they aren't
known, from the names that it used and who defined them last before it. It's stale when its own code differs from what
was executed, when a cell that it needed was edited, removed or executed again since, when a file that it read or a
local module that it imported was written since and isn't the same, or when a cell that it needed is stale. The
notebook's file on disk says what the code is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nbops.errors import TrackingError
from nbops.notebook import document
from nbops.notebook.document import Document
from nbops.notebook.modules import local_modules
from nbops.notebook.normalise import normalise
from nbops.project import Project
from nbops.tracking.recording.records import Cell
from nbops.tracking.recording.sessions import logs
from nbops.tracking.redaction.redact import redact_source
from nbops.tracking.reproduction.inputs import state_of
from nbops.tracking.reproduction.replay import is_reproduction
from nbops.tracking.schema import DatasetVersion

Kind = Literal["edited", "executed again", "removed", "file", "module", "stale"]
_At = tuple[str, int]
_OURS = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a cell is stale.

    Attributes
    ----------
    kind
        ``edited``, ``executed again``, ``removed``, ``file``, ``module``, or ``stale`` (a cell that it needs is).
    what
        The cell, file or module that changed.
    chain
        The cells that lead from the changed thing to this cell, by position in the notebook (from 1), this one last.
    """

    kind: Kind
    what: str
    chain: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StaleCell:
    """A stale cell: its id, its position among the notebook's code cells (from 1), when it was executed, and the reasons."""

    notebook: str
    cell_id: str
    position: int
    executed: float
    reasons: tuple[Reason, ...]


@dataclass(slots=True)
class _Part:
    """A statement of an execution, or all of it: its code, the files that it read, and the statements that it needed."""

    source: str
    reads: frozenset[str]
    needs: frozenset[tuple[_At, int | None]]


@dataclass(slots=True)
class _Execution:
    """A cell's execution in its place, by statements where they are known."""

    at: _At
    cell: Cell
    ended: float
    parts: list[_Part]


@dataclass(slots=True)
class _Notebook:
    name: str
    folder: Path
    sources: Mapping[str, str]
    positions: Mapping[str, int]
    executions: dict[_At, _Execution] = field(default_factory=dict)
    last: dict[str, _Execution] = field(default_factory=dict)
    found: dict[tuple[_At, int], tuple[Reason, ...]] = field(default_factory=dict)


def stale(project: Project, notebook: Path | str | None = None) -> list[StaleCell]:
    """Return the stale cells of a notebook, or of all notebooks that were recorded.

    Parameters
    ----------
    project
        Where the records are.
    notebook
        The notebook's path.

    Raises
    ------
    TrackingError
        If the notebook was never recorded.
    NotebookError
        If it can't be read.
    """
    if notebook is None:
        known = sorted({name for name in recorded_notebooks(project) if (project.root / name).is_file()})
        return [found for name in known for found in _stale_cells(project, name)]
    name = project.relative(Path(notebook).absolute())
    document.read(notebook)
    if name not in recorded_notebooks(project):
        raise TrackingError(
            "none of its cells was recorded", where=str(notebook), remedy="`%load_ext nbops` in its first cell"
        )
    return _stale_cells(project, name)


def recorded_notebooks(project: Project) -> set[str]:
    """Return the notebooks that sessions name, pipeline stages' and reproductions' aside."""
    from nbops.tracking.recording.records import read_session

    found = (read_session(path) for path in project.sessions.glob("*.jsonl"))
    return {
        one.notebook for one in found if one and one.notebook and not one.stage and not is_reproduction(one.notebook)
    }


def _stale_cells(project: Project, name: str) -> list[StaleCell]:
    known = _load(project, name, document.read(project.root / name))
    listed = []
    for cell_id, execution in known.last.items():
        position = known.positions[cell_id]
        reasons = [*_edited(known, execution)]
        for index in range(len(execution.parts)):
            reasons += _judge(project, known, execution, index, set())
        if reasons:
            listed.append(StaleCell(name, cell_id, position, execution.cell.start.time, _distinct(reasons)))
    return sorted(listed, key=lambda cell: cell.position)


def _load(project: Project, name: str, file: Document) -> _Notebook:
    code = file.code_cells
    known = _Notebook(
        name=name,
        folder=(project.root / name).parent,
        sources={cell.id: normalise(redact_source(cell.source)) for cell in code},
        positions={cell.id: position for position, cell in enumerate(code, 1)},
    )
    by_text = {text: cell_id for cell_id, text in reversed(list(known.sources.items()))}
    for log in logs(project.sessions, name):
        definers: dict[str, int] = {}
        for cell in log.cells:
            at = (log.session.session, cell.start.seq)
            ended = cell.start.time + (cell.end.duration if cell.end else 0.0)
            execution = _Execution(at, cell, ended, _parts(log.session.session, cell, definers))
            known.executions[at] = execution
            cell_id = cell.start.cell_id or by_text.get(normalise(cell.start.source)) or ""
            if cell_id in known.positions and cell.start.source.strip():
                before = known.last.get(cell_id)
                if before is None or before.cell.start.time <= cell.start.time:
                    known.last[cell_id] = execution
    return known


def _parts(session: str, cell: Cell, definers: dict[str, int]) -> list[_Part]:
    """Return an execution's statements, or the whole cell as one, which needs who defined its names last."""
    end, source = cell.end, cell.start.source
    if end is None:
        return [_Part(source, frozenset(), frozenset())]
    names = {definers[name] for name in (*end.used, *end.changed) if name in definers}
    definers.update(dict.fromkeys((*end.defined, *end.changed), cell.start.seq))
    data = frozenset(one.source for one in cell.data)
    if not end.steps:
        return [_Part(source, data, frozenset(((session, seq), None) for seq in names))]
    told = {path for step in end.steps for path in step.reads}
    lines = source.split("\n")
    return [
        _Part(
            "\n".join(lines[step.first - 1 : step.last]),
            frozenset(step.reads) | (data - told),
            frozenset(
                ((session, seq), index) for seq, index in step.needs if seq != cell.start.seq or index < position
            ),
        )
        for position, step in enumerate(end.steps)
    ]


def _judge(
    project: Project, known: _Notebook, execution: _Execution, index: int, under_way: set[tuple[_At, int]]
) -> tuple[Reason, ...]:
    """Return why what a statement gave is no longer what it would give, through whatever it needed."""
    key = (execution.at, index)
    if key in known.found or key in under_way:
        return known.found.get(key, ())
    under_way.add(key)
    own = known.positions.get(execution.cell.start.cell_id or "", 0)
    reasons = [*_own_reasons(project, known, execution, index, own)]
    for need, part in sorted(execution.parts[index].needs, key=str):
        above = known.executions.get(need)
        if above is None:
            continue  # a torn file: what was needed isn't known
        if above.at != execution.at and (changed := _upstream_reason(known, above, execution, own)):
            reasons.append(changed)
            continue
        for position in range(len(above.parts)) if part is None else [part]:
            if position >= len(above.parts):
                continue
            for reason in _judge(project, known, above, position, under_way):
                chain = reason.chain if reason.chain[-1:] == (own,) else (*reason.chain, own)
                reasons.append(Reason(reason.kind, reason.what, chain))
    known.found[key] = _distinct(reasons)
    return known.found[key]


def _distinct(reasons: list[Reason]) -> tuple[Reason, ...]:
    first: dict[tuple[str, str], Reason] = {}
    for reason in sorted(reasons, key=lambda reason: len(reason.chain)):
        first.setdefault((reason.kind, reason.what), reason)
    return tuple(first.values())


def _edited(known: _Notebook, execution: _Execution) -> Iterator[Reason]:
    """Yield that a cell's code isn't what was executed, if it is its last execution."""
    name = execution.cell.start.cell_id or ""
    last, now = known.last.get(name), known.sources.get(name)
    if last is not None and last.at == execution.at and now != normalise(execution.cell.start.source):
        position = known.positions[name]
        yield Reason("edited", f"cell {position}", (position,))


def _own_reasons(project: Project, known: _Notebook, execution: _Execution, index: int, own: int) -> Iterator[Reason]:
    part = execution.parts[index]
    read = {data.source: data for data in execution.cell.data}
    for path in sorted(part.reads):
        if data := read.get(path):
            dataset = DatasetVersion(path, path, data.digest, data.rows, data.columns)
            if state_of(project, dataset, execution.ended).state in ("changed", "missing"):
                yield Reason("file", path, (own,))
        elif _is_input(project, path) and _written_since(project.root / path, execution.ended):
            yield Reason("file", path, (own,))
    for module, file in local_modules([part.source], folder=known.folder, root=project.root).items():
        if file.stat().st_mtime > execution.ended:
            yield Reason("module", module, (own,))


def _is_input(project: Project, path: str) -> bool:
    """Whether a file that was opened can be an input: not code of libraries, nor what was only looked for elsewhere."""
    place = project.root / path
    if place.is_relative_to(_OURS) or place.is_relative_to(project.state):
        return False
    return place.is_relative_to(project.root) or (place.suffix != ".py" and place.exists())


def _written_since(path: Path, ended: float) -> bool:
    try:
        return path.stat().st_mtime > ended
    except OSError:  # gone
        return True


def _upstream_reason(known: _Notebook, above: _Execution, execution: _Execution, own: int) -> Reason | None:
    """Return what became of a cell that was needed: removed, executed again since, or edited."""
    cell_id = above.cell.start.cell_id
    if cell_id is None:
        return None
    if cell_id not in known.positions:
        return Reason("removed", f"cell {cell_id}", (0, own))
    position = known.positions[cell_id]
    last = known.last.get(cell_id)
    if last and last.at != above.at and last.cell.start.time > execution.cell.start.time:
        return Reason("executed again", f"cell {position}", (position, own))
    edited = next(_edited(known, above), None)
    return Reason(edited.kind, edited.what, (position, own)) if edited else None
