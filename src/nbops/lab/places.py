"""From a path as the browser knows it to a project and a path inside that project.

The browser speaks of paths relative to the server's root folder, with forward slashes. A project may lie below that
folder, or around it (JupyterLab started in a sub-folder). Paths that lead out of the server's root, symbolic links
included, are refused: through this door nobody reaches more than Jupyter's own file browser shows.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from nbops.errors import ProjectError
from nbops.project import Project


class PathRefused(ProjectError):
    """A path that the server doesn't serve."""

    http_status = 403


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path of the browser lies.

    Attributes
    ----------
    project
        The project around it.
    root
        The project's root relative to the server's root; ``.`` for the server's root itself.
    served
        The server's root relative to the project's root, when it lies inside; else empty.
    path
        The path relative to the project's root.
    """

    project: Project
    root: str
    served: str
    path: str


def locate(server_root: Path, path: str = "") -> Place:
    """Return the place of `path`, given relative to `server_root`.

    Raises
    ------
    PathRefused
        If the path leads out of the server's root folder.
    ProjectError
        If the project's ``nbops.toml`` can't be read.
    """
    base = server_root.resolve()
    if "\0" in path:
        raise PathRefused("a path can't hold a null byte")
    target = (base / path.lstrip("/")).resolve()
    if not target.is_relative_to(base):
        raise PathRefused(
            "this path leads out of the folder that Jupyter serves",
            where=path,
            remedy="start JupyterLab in a folder that holds the notebook",
        )
    existing = target
    while not existing.exists():  # an unsaved or just deleted notebook still has a project
        existing = existing.parent
    project = Project.find(existing)
    inside = base != project.root and base.is_relative_to(project.root)
    return Place(
        project,
        root=Path(os.path.relpath(project.root, base)).as_posix(),
        served=project.relative(base) if inside else "",
        path=project.relative(target),
    )
