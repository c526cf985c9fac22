"""Watches the projects that browsers asked for, and reports what changed in them.

Twice a second it looks at each project's traces (`nbops.tracking.recording.traces`). Looking happens in a thread: a slow file
system delays events, never the server. A project is watched from the first question about it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from nbops.lab.messages import Change
from nbops.project import Project
from nbops.tracking.recording.traces import ProjectTraces

PERIOD = 0.5
_MAX_PROJECTS = 16


class ChangeWatcher:
    """Looks at projects and reports changes.

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
