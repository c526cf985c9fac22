"""Files that are opened to be read, by whatever: `open`, `numpy.load`, `pickle`, `json`, images, models.

Python tells of each `open` by an audit event. Of data files (`places`) the absolute path is kept, and how the file was then.
They are told when the cell has ended, once each, without those that a reader told of.
"""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from types import FrameType
from typing import Any

from nbops.tracking import audit
from nbops.tracking.reads import calls
from nbops.tracking.reads.places import CODE, is_data_path, is_users_call

_MOST = 100_000


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was opened, and its size, time and number on the disk then."""

    path: str
    state: tuple[int, int, int]


_opened: dict[str, Opened] = {}


def state_of(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """Return what tells whether a file is still the same; None if it's gone or not a file."""
    try:
        found = os.stat(path)  # noqa: PTH116  # three times as fast, for each file that is opened
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None


def normal(path: str | os.PathLike[str]) -> str:
    """Return a path's absolute form, links left as they are."""
    return os.path.abspath(path)  # noqa: PTH100  # resolve() would follow links


def hear_files() -> None:
    """Hear of files from now on."""
    audit.listen_to_opens(_on_open)


def taken() -> list[Opened]:
    """Return the files opened since the last time, in their order, and forget them."""
    global _opened
    found, _opened = _opened, {}
    return list(found.values())


def _on_open(arguments: tuple[Any, ...]) -> None:
    if not calls.listening():
        return
    path, mode, flags = arguments
    if not isinstance(path, (str, bytes)) or (isinstance(path, str) and path.endswith(CODE)):
        return
    if path in _opened or calls.inside() or len(_opened) >= _MOST:
        return
    if isinstance(mode, str):
        if (mode[:1] != "r" and "+" not in mode) or mode[:1] in ("w", "x"):
            return
    elif isinstance(flags, int) and flags & (os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_DIRECTORY", 0)):
        return
    opener = sys._getframe(2)
    calls.guarded(lambda: _keep(normal(os.fsdecode(path)), opener))


def _keep(path: str, opener: FrameType) -> None:
    if path in _opened or not is_data_path(path) or calls.in_foreign_thread():
        return
    if is_users_call(opener) and (state := state_of(path)):
        _opened[path] = Opened(path, state)
