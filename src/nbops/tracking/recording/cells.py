"""What a notebook's cells did last: the badges that JupyterLab shows on them."""

from __future__ import annotations

from nbops.notebook.normalise import short_digest
from nbops.project import Project
from nbops.tracking.recording.records import Cell
from nbops.tracking.recording.sessions import is_alive, logs
from nbops.tracking.schema import CellBadge, CellOutcome


def badges(project: Project, notebook: str) -> list[CellBadge]:
    """Return the last execution of each cell of a notebook, over all of its sessions.

    Parameters
    ----------
    project
        Where the records are.
    notebook
        Path relative to the project's root.
    """
    last: dict[str, CellBadge] = {}
    for log in logs(project.sessions, notebook):
        alive = log.closed is None and is_alive(log.session, project.sessions / f"{log.session.session}.jsonl")
        for cell in log.cells:
            if cell.start.cell_id:
                before = last.get(cell.start.cell_id)
                last[cell.start.cell_id] = _badge(cell, alive, before.count + 1 if before else 1)
    return sorted(last.values(), key=lambda badge: badge.started)


def _badge(cell: Cell, alive: bool, count: int) -> CellBadge:
    outcome: CellOutcome = cell.end.outcome if cell.end else ("running" if alive else "killed")
    return CellBadge(
        cell_id=cell.start.cell_id or "",
        version=short_digest([cell.start.source]),
        outcome=outcome,
        started=cell.start.time,
        duration=cell.end.duration if cell.end else None,
        count=count,
        runs=list(cell.end.runs) if cell.end else [],
    )
