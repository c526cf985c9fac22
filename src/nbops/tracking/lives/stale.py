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
from nbops.tracking.lives.inputs import state_of
from nbops.tracking.lives.replay import is_reproduction
from nbops.tracking.records import Cell
from nbops.tracking.redact import redact_source
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.sessions import logs

Kind = Literal["edited", "executed again", "removed", "file", "module", "stale"]
_At = tuple[str, int]


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
class _Execution:
    """A cell's execution in its place: what it needed are other executions of the same session."""

    at: _At
    cell: Cell
    ended: float
    needs: frozenset[_At] = frozenset()


@dataclass(slots=True)
class _Notebook:
    name: str
    folder: Path
    sources: Mapping[str, str]
    positions: Mapping[str, int]
    executions: dict[_At, _Execution] = field(default_factory=dict)
    last: dict[str, _Execution] = field(default_factory=dict)
    written: dict[str, float] = field(default_factory=dict)


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
    from nbops.tracking.records import read_session

    found = (read_session(path) for path in project.sessions.glob("*.jsonl"))
    return {
        one.notebook for one in found if one and one.notebook and not one.stage and not is_reproduction(one.notebook)
    }


def _stale_cells(project: Project, name: str) -> list[StaleCell]:
    known = _load(project, name, document.read(project.root / name))
    found: dict[_At, tuple[Reason, ...]] = {}
    for execution in known.executions.values():
        _judge(project, known, execution, found, set())
    listed = []
    for cell_id, execution in known.last.items():
        if reasons := found[execution.at]:
            position = known.positions[cell_id]
            listed.append(StaleCell(name, cell_id, position, execution.cell.start.time, reasons))
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
        cells = {cell.start.seq: cell for cell in log.cells}
        definers: dict[str, int] = {}
        for seq, cell in cells.items():
            at = (log.session.session, seq)
            ended = cell.start.time + (cell.end.duration if cell.end else 0.0)
            needs = frozenset((log.session.session, need) for need in _needs(cell, definers) if need in cells)
            execution = _Execution(at, cell, ended, needs)
            known.executions[at] = execution
            for step in cell.end.steps if cell.end else ():
                known.written.update(dict.fromkeys(step.writes, ended))
            cell_id = cell.start.cell_id or by_text.get(normalise(cell.start.source)) or ""
            if cell_id in known.positions and cell.start.source.strip():
                before = known.last.get(cell_id)
                if before is None or before.cell.start.time <= cell.start.time:
                    known.last[cell_id] = execution
    return known


def _needs(cell: Cell, definers: dict[str, int]) -> set[int]:
    """Return the numbers of the executions that a cell needed, and note what it defined."""
    seq, end = cell.start.seq, cell.end
    if end is None:
        return set()
    if end.steps:
        needs = {need for step in end.steps for need, _ in step.needs if need != seq}
    else:
        needs = {definers[name] for name in (*end.used, *end.changed) if name in definers}
    definers.update(dict.fromkeys((*end.defined, *end.changed), seq))
    return needs


def _judge(
    project: Project,
    known: _Notebook,
    execution: _Execution,
    found: dict[_At, tuple[Reason, ...]],
    under_way: set[_At],
) -> tuple[Reason, ...]:
    if execution.at in found or execution.at in under_way:
        return found.get(execution.at, ())
    under_way.add(execution.at)
    own = known.positions.get(execution.cell.start.cell_id or "", 0)
    reasons = [*_own_reasons(project, known, execution, own)]
    for need in sorted(execution.needs):
        above = known.executions[need]
        position = known.positions.get(above.cell.start.cell_id or "", 0)
        changed = _upstream_reason(known, above, execution, (position, own))
        if changed:
            reasons.append(changed)
            continue
        for reason in _judge(project, known, above, found, under_way):
            kind: Kind = reason.kind
            reasons.append(Reason(kind, reason.what, (*reason.chain, own)))
    under_way.discard(execution.at)
    found[execution.at] = tuple({(reason.kind, reason.what): reason for reason in reversed(reasons)}.values())[::-1]
    return found[execution.at]


def _own_reasons(project: Project, known: _Notebook, execution: _Execution, own: int) -> Iterator[Reason]:
    cell = execution.cell
    now = known.sources.get(cell.start.cell_id or "")
    if now is not None and now != normalise(cell.start.source):
        yield Reason("edited", f"cell {own}", (own,))
    read = {data.source: data for data in cell.data}
    for step in cell.end.steps if cell.end else ():
        for path in step.reads:
            if path not in read and _written_since(project, known, path, execution.ended):
                yield Reason("file", path, (own,))
    for source, data in read.items():
        dataset = DatasetVersion(source, source, data.digest, data.rows, data.columns)
        if state_of(project, dataset, execution.ended).state in ("changed", "missing"):
            yield Reason("file", source, (own,))
    for module, file in local_modules([cell.start.source], folder=known.folder, root=project.root).items():
        if file.stat().st_mtime > execution.ended:
            yield Reason("module", module, (own,))


def _written_since(project: Project, known: _Notebook, path: str, ended: float) -> bool:
    """Whether a file was written since: gone counts, and what the notebook itself wrote later is its writer's doing."""
    place = project.root / path
    try:
        written = place.stat().st_mtime
    except OSError:  # gone
        return True
    return written > max(ended, known.written.get(path, 0.0))


def _upstream_reason(
    known: _Notebook, above: _Execution, execution: _Execution, chain: tuple[int, int]
) -> Reason | None:
    cell_id = above.cell.start.cell_id
    if cell_id is None:
        return None
    if cell_id not in known.positions:
        return Reason("removed", f"cell {cell_id}", chain)
    last = known.last.get(cell_id)
    if last and last.at != above.at and last.cell.start.time > execution.cell.start.time:
        return Reason("executed again", f"cell {chain[0]}", chain)
    return None
