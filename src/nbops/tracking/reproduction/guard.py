"""Keeps a run that is lived again from writing into the project that it was copied from.

The kernel of a reproduction installs an audit hook before its first cell: opening for writing, renaming, removing or
making anything below the protected folder raises `PermissionError`. nbops' own state (the copy lies in it), the
tracking store's files and bytecode caches are free. What writes past Python (a library's own file access) isn't seen:
such paths are led to the copy beforehand, as far as they stand in the code.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import unquote, urlparse

from nbops.project import Project

VARIABLE = "NBOPS_REPLAY_GUARD"
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_MODES = frozenset("wax+")
# how many of an event's first arguments are paths that it changes
_CHANGING = {
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.truncate": 1,
    "shutil.rmtree": 1,
    "sqlite3.connect": 1,
}
_BELOW_DESCRIPTOR = frozenset({"os.mkdir", "os.remove", "os.rmdir"})


def settings(project: Project) -> str:
    """Return what the environment variable tells a kernel: the protected folder, and what is free in it."""
    free = [str(project.state), *(str(project.root / name) for name in ("mlruns", "mlartifacts"))]
    for place in (project.tracking_uri, project.artifact_root or ""):
        scheme, _, rest = place.partition(":")
        if scheme == "sqlite":
            free.append(os.path.abspath(rest.removeprefix("///")))  # noqa: PTH100  # as SQLite finds it
        elif scheme == "file":
            free.append(unquote(urlparse(place).path))
        elif place and "://" not in place:
            free.append(str(project.root / place))
    return json.dumps({"folder": str(project.root), "free": free})


def begin(shell: Any) -> None:
    """Protect the project and record from the next cell on, so that the record is the recipe's and nothing else.

    A cell that loads nbops by its magic finds it loaded, and shows nothing. Cells are numbered from 1, and IPython's own
    history of all sessions isn't told of them.
    """
    from importlib import import_module

    protect()
    shell.history_manager.enabled = False
    shell.execution_count = 1
    import_module("nbops.magics").load_ipython_extension(shell, from_next_cell=True)


def protect() -> None:
    """Protect what the environment variable names, for as long as this process lives."""
    told = os.environ.get(VARIABLE)
    if not told:
        return
    content = json.loads(told)
    inside = os.path.join(os.path.realpath(content["folder"]), "")  # noqa: PTH118  # strings: a hook at every open
    free = tuple(os.path.realpath(path) for path in content["free"])

    def refuse(place: str) -> None:
        if f"{place}/".startswith(inside) and not place.startswith(free) and "__pycache__" not in place:
            raise PermissionError(f"nbops reproduce doesn't let a run write over the project's own files: {place}")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(flags, int) and flags & _WRITES) or (isinstance(mode, str) and _MODES & set(mode))
            if writes and isinstance(path, str | bytes | os.PathLike):
                refuse(os.path.realpath(os.fsdecode(path)))
        elif event in _CHANGING:
            for path in arguments[: _CHANGING[event]]:
                if isinstance(path, str | bytes | os.PathLike):
                    # a link itself, not where it leads
                    refuse(os.path.abspath(os.path.join(_folder(event, arguments), os.fsdecode(path))))  # noqa: PTH100, PTH118

    sys.addaudithook(hook)


def _folder(event: str, arguments: tuple[Any, ...]) -> str:
    """Return the folder that a path is relative to: an open one, where the call was given its descriptor."""
    descriptor = arguments[-1] if event in _BELOW_DESCRIPTOR else -1
    if not isinstance(descriptor, int) or descriptor < 0:
        return ""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
    except OSError:  # not Linux, or closed
        return ""
