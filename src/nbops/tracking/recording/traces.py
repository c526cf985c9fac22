"""The traces that work leaves in a project's files, looked at cheaply.

Cell records are files that grow (``.nbops/sessions/*.jsonl``) and the default store is an SQLite file, so a look at
their `stat` tells that something happened, whoever wrote it and without their help. Between full looks only the
newest session files are asked, so that a project with thousands of old sessions costs no more than a new one.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Literal

from nbops.project import Project

Trace = Literal["cells", "runs"]

_FULL_LOOK_EVERY = 10.0
_HOT_FILES = 32

_Stamp = tuple[int, int]


class ProjectTraces:
    """What a project's files looked like last time."""

    def __init__(self, project: Project) -> None:
        self._sessions = project.sessions
        self._store = _sqlite_files(project.tracking_uri)
        self._folder: _Stamp | None = None
        self._stamps: dict[str, _Stamp] = {}
        self._store_stamps: list[_Stamp | None] = []
        self._last_full = float("-inf")
        self.look()

    def look(self) -> list[Trace]:
        """Return what changed since the last look."""
        changed: list[Trace] = []
        if self._look_at_sessions():
            changed.append("cells")
        store = [_stamp(path) for path in self._store]
        if store != self._store_stamps:
            self._store_stamps = store
            changed.append("runs")
        return changed

    def _look_at_sessions(self) -> bool:
        folder, now = _stamp(self._sessions), time.monotonic()
        if folder != self._folder or now - self._last_full > _FULL_LOOK_EVERY:
            self._folder, self._last_full = folder, now
            seen = _stamps_in(self._sessions)
        else:
            hot = sorted(self._stamps, key=lambda path: self._stamps[path][0])[-_HOT_FILES:]
            seen = {**self._stamps, **{path: stamp for path in hot if (stamp := _stamp(path)) is not None}}
        changed = seen != self._stamps
        self._stamps = seen
        return changed


def _sqlite_files(uri: str) -> list[Path]:
    if not uri.startswith("sqlite:///"):
        return []
    database = uri.removeprefix("sqlite:///")
    return [Path(database), Path(f"{database}-wal")]


def _stamp(path: str | Path) -> _Stamp | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (os.stat takes both kinds and costs half)
    except OSError:
        return None  # gone, or not there yet: that is an answer
    return status.st_mtime_ns, status.st_size


def _stamps_in(folder: Path) -> dict[str, _Stamp]:
    try:
        with os.scandir(folder) as entries:
            paths = [entry.path for entry in entries if entry.name.endswith(".jsonl")]
    except OSError:
        return {}
    return {path: stamp for path in paths if (stamp := _stamp(path)) is not None}
