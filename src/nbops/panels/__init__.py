"""Widgets for notebooks: thin views over the queries that the CLI and the server use.

Each function returns a widget that shows itself as the last expression of a cell. The widget library is imported when
a panel is made, not before.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbops.panels.pictures.page import Pictured
    from nbops.panels.runs_table import RunsTable
    from nbops.project import Project

__all__ = ["comparison", "runs"]


def comparison(*refs: str, project: Project | Path | str | None = None) -> Pictured:
    """Return in what runs differ, with pictures; one run is compared with its experiment's baseline.

    Parameters
    ----------
    refs
        Ids, beginnings of ids, names, or ``latest``.
    project
        The project, or a path in it; default: the one that the working directory lies in.

    Examples
    --------
    >>> from nbops import panels
    >>> panels.comparison("3f2a", "latest")  # doctest: +SKIP
    """
    from nbops.panels.compared import pictured
    from nbops.project import Project
    from nbops.tracking.comparison.compare import compare_refs
    from nbops.tracking.store import Store

    store = Store(project if isinstance(project, Project) else Project.find(project))
    found, details = compare_refs(store, refs)
    return pictured(found, store, details)


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
