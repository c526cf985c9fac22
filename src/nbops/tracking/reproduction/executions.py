"""All executions of a cell: what was executed when, how it ended, which runs it made, and what was edited between.

A cell is named by its id or the beginning of it, by the number of one of its executions, or by a name that it defines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from nbops.errors import TrackingError
from nbops.notebook.normalise import normalise, short_digest
from nbops.project import Project
from nbops.tracking.recording.records import Cell, SessionLog, read, read_session
from nbops.tracking.recording.sessions import is_alive
from nbops.tracking.reproduction.replay import is_reproduction
from nbops.tracking.schema import CellOutcome

_SHORTEST = 3


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of one cell.

    Attributes
    ----------
    session, seq
        In which session, and as which of its cells (from 1).
    notebook, cell_id
        None where the front end didn't tell.
    version
        Short digest of the normalised code.
    outcome, started, duration
        How it ended (``ok``, ``error``, ``killed``, ``running``), when it began (epoch), how many seconds it took.
    error
        The exception's type and message.
    defined, runs
        Names that it defined, and ids of the runs that it made or logged to.
    source, diff
        What was executed, and in what it differs from the execution before.
    """

    session: str
    seq: int
    notebook: str | None
    cell_id: str | None
    version: str
    outcome: CellOutcome
    started: float
    duration: float | None
    error: str | None
    defined: tuple[str, ...]
    runs: tuple[str, ...]
    source: str
    diff: str = ""


def history(project: Project, cell: str | None = None, *, notebook: str | None = None) -> list[Execution]:
    """Return the executions of a cell, oldest first, over all sessions; without a cell, those of the newest session.

    Parameters
    ----------
    project
        Where the records are.
    cell
        The cell's id or the beginning of it, the number of one of its executions in the newest session, or a name that it
        defines.
    notebook
        Only of this notebook (path relative to the project's root).

    Raises
    ------
    TrackingError
        If nothing was recorded, or no cell is known by that.
    """
    found = list(session_logs(project, notebook))
    if not found:
        raise TrackingError(
            "no cell was recorded", where=notebook or str(project.root), remedy="`%load_ext nbops` in a notebook"
        )
    newest = found[-1]
    if cell is None:
        return _with_diffs([_execution(project, newest, one) for one in newest.cells])
    chosen = list(_chosen(found, newest, cell))
    if not chosen:
        raise TrackingError(
            f"no executed cell has the id, number or name '{cell}'",
            where=notebook or "",
            remedy="`nbops history` lists the newest session's cells",
        )
    return _with_diffs([_execution(project, log, one) for log, one in chosen])


def session_logs(project: Project, notebook: str | None = None) -> Iterable[SessionLog]:
    """Yield the sessions of a project (reproductions aside) or of one notebook of it, oldest first."""
    first = []
    for path in project.sessions.glob("*.jsonl"):
        session = read_session(path)
        if session and (session.notebook == notebook or (notebook is None and not is_reproduction(session.notebook))):
            first.append((session.time, path))
    for _, path in sorted(first):
        try:
            yield read(path)
        except TrackingError:  # of a newer format
            continue


def _chosen(logs: list[SessionLog], newest: SessionLog, wanted: str) -> Iterable[tuple[SessionLog, Cell]]:
    ids: set[str | None] = set()
    if wanted.isdigit():
        ids = {cell.start.cell_id for cell in newest.cells if cell.start.seq == int(wanted)}
        if ids == {None}:  # known by nothing but its number
            return [(newest, cell) for cell in newest.cells if cell.start.seq == int(wanted)]
    if not ids and len(wanted) >= _SHORTEST:
        ids = {cell.start.cell_id for log in logs for cell in log.cells if _begins(cell.start.cell_id, wanted)}
        if len(ids) > 1:
            names = ", ".join(sorted(str(one)[:12] for one in ids)[:5])
            raise TrackingError(f"'{wanted}' fits {len(ids)} cells: {names}", remedy="give more of the id")
    if ids:
        return [(log, cell) for log in logs for cell in log.cells if cell.start.cell_id in ids]
    return [
        (log, cell)
        for log in logs
        for cell in log.cells
        if cell.end and wanted in (*cell.end.defined, *cell.end.changed)
    ]


def _begins(cell_id: str | None, wanted: str) -> bool:
    return cell_id is not None and cell_id.startswith(wanted)


def _execution(project: Project, log: SessionLog, cell: Cell) -> Execution:
    start, end = cell.start, cell.end
    outcome: CellOutcome
    if end is not None:
        outcome = end.outcome
    else:
        path = project.sessions / f"{log.session.session}.jsonl"
        outcome = "running" if log.closed is None and is_alive(log.session, path) else "killed"
    return Execution(
        session=log.session.session,
        seq=start.seq,
        notebook=log.session.notebook,
        cell_id=start.cell_id,
        version=short_digest([start.source]),
        outcome=outcome,
        started=start.time,
        duration=end.duration if end else None,
        error=end.error if end else None,
        defined=tuple(end.defined) if end else (),
        runs=tuple(end.runs) if end else (),
        source=start.source,
    )


def _with_diffs(executions: list[Execution]) -> list[Execution]:
    """Give each execution what was edited since the one before of the same cell."""
    from dataclasses import replace

    before: dict[str, Execution] = {}
    found = []
    for one in executions:
        key = one.cell_id or (f"#{one.seq}" if len({other.cell_id for other in executions}) > 1 else "")
        earlier = before.get(key)
        if earlier and normalise(earlier.source) != normalise(one.source):
            lines = difflib.unified_diff(
                earlier.source.split("\n"), one.source.split("\n"), earlier.version, one.version, lineterm="", n=1
            )
            one = replace(one, diff="\n".join(lines))
        before[key] = one
        found.append(one)
    return found
