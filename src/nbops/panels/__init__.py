"""Widgets for notebooks: thin views over the queries that the CLI and the server use.

Each function returns a widget that shows itself as the last expression of a cell. The widget library is imported when
a panel is made, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbops.panels.runs_table import RunsTable
    from nbops.project import Project

__all__ = ["runs"]


def runs(project: Project | Path | str | None = None, *, limit: int = 100) -> RunsTable:
    """Return a live table of a project's runs.

    Parameters
    ----------
    project
        The project, or a path in it; default: the one that the working directory lies in.
    limit
        How many runs to show at most, newest first.

    Examples
    --------
    >>> from nbops import panels
    >>> panels.runs()  # doctest: +SKIP
    """
    from nbops.panels.runs_table import RunsTable
    from nbops.project import Project

    found = project if isinstance(project, Project) else Project.find(project)
    return RunsTable(found, limit=limit)
