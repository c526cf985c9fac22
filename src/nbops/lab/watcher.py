"""Notices what kernels and pipelines write, by looking at sizes and times of files.

Cell records are files that grow (``.nbops/sessions/*.jsonl``) and the default store is an SQLite file, so a look at
their `stat` every half second tells that something happened, whoever wrote it and without their help. Between full
looks only the newest session files are asked, so that a project with thousands of old sessions costs no more than a
new one. Looking happens in a thread: a slow file system delays events, never the server.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbops.lab.messages import Change, Trace
from nbops.project import Project

PERIOD = 0.5
_FULL_LOOK_EVERY = 10.0
_HOT_FILES = 32
_MAX_PROJECTS = 16

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


class ChangeWatcher:
    """Looks at the projects that browsers asked for, and reports changes.

    Parameters
    ----------
    report
        Called in the event loop with each change.
    """

    def __init__(self, report: Callable[[Change], None]) -> None:
        self._report = report
        self._traces: OrderedDict[str, tuple[Project, ProjectTraces]] = OrderedDict()
        self._ticker: Any = None

    def watch(self, project: Project, root: str) -> None:
        """Look at a project from now on; the least recently asked one is dropped when there are many."""
        known = self._traces.get(root)
        if known is None or known[0] != project:
            self._traces[root] = (project, ProjectTraces(project))
        self._traces.move_to_end(root)
        if len(self._traces) > _MAX_PROJECTS:
            self._traces.popitem(last=False)
        if self._ticker is None:
            self._start()

    async def poll(self) -> None:
        """Look once at every project, and report what changed."""
        for root, (_, traces) in list(self._traces.items()):
            changed = await asyncio.to_thread(traces.look)
            if changed:
                self._report(Change(root=root, changed=changed))

    def close(self) -> None:
        """Look no more."""
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None

    def _start(self) -> None:
        from tornado.ioloop import PeriodicCallback

        self._ticker = PeriodicCallback(self.poll, PERIOD * 1000)
        self._ticker.start()


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
