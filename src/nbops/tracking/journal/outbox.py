"""The kernel's end of write-behind: entries go to disk at once, what they refer to within a second.

Small operations are journaled by whoever does them. What needs a spooled file (a fitted estimator, a training frame) is
written by a background thread, and its entry after it, so that an entry never refers to what isn't there. The worker is
started when it's needed and the kernel rests, or is waited for: importing MLflow would take half of a small machine from
the cells. It is waited for, a little, when the kernel ends.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from nbops.project import Project
from nbops.tracking.failures import guarded
from nbops.tracking.journal.entries import Closed, Entry, Place
from nbops.tracking.journal.file import Appender, Journal
from nbops.tracking.journal.spool import Spool
from nbops.tracking.journal.starting import start_worker
from nbops.tracking.recording.background import Background

_GRACE = 2.0
_DELAY = 0.5
_WATCH_EVERY = 5.0
_START_WITHIN = 3.0

_current: Outbox | None = None


def current() -> Outbox | None:
    """Return the outbox of this process, None where nothing is recorded."""
    return _current if _current is not None and _current.pid == os.getpid() else None


class Outbox:
    """Takes what a kernel logs.

    Parameters
    ----------
    project
        Whose store gets it.
    session
        The kernel's session.
    inline
        Spool at once, for a kernel without a user who waits.
    is_busy
        Says whether the kernel executes cells.
    """

    def __init__(
        self, project: Project, session: str, *, inline: bool = False, is_busy: Callable[[], bool] = lambda: False
    ) -> None:
        self.project = project
        self.pid = os.getpid()
        self.uri = project.tracking_uri
        self.journal = Journal(project, session)
        self.spool = Spool(self.journal.spool, project)
        self._appender = Appender(self.journal)
        self._background = Background(lambda job: guarded(project, job), inline=inline, delay=_DELAY)
        self._starting = threading.Lock()
        self._is_busy = is_busy
        self._looked = float("-inf")
        self._used = False
        self._path: list[str] = []

    def open(self) -> None:
        """Be this process's outbox."""
        global _current
        _current = self

    def write(self, entry: Entry) -> None:
        """Journal an entry; a disk that doesn't take it now is told of in nbops' log, and tried again later."""
        guarded(self.project, lambda: self._appender.write(entry))
        if not self._used or time.monotonic() - self._looked > _WATCH_EVERY:
            self.wake()

    def later(self, job: Callable[[], None]) -> None:
        """Do a job in the background, after those given before."""
        self._background.add(job)

    def place(self) -> None:
        """Journal where modules are looked for, if that changed."""
        import sys

        path = [os.path.abspath(folder) if folder else os.getcwd() for folder in sys.path]  # noqa: PTH100, PTH109
        if path != self._path:
            self._path = path
            self.write(Place(path))

    def wake(self) -> None:
        """See to it, in the background, that a worker runs soon."""
        self._used = True
        self._looked = asked = time.monotonic()
        self._background.add(lambda: self._start(asked))

    def flush(self) -> None:
        """Return when all that was given before is journaled."""
        self._background.flush()
        guarded(self.project, self._appender.retry)

    def close(self) -> None:
        """Journal what is left and wait for the worker, a little: it goes on without us."""
        global _current
        self.flush()
        if _current is self:
            _current = None
        if self.journal.path.exists():
            self.write(Closed())
            self._background.flush()
        self._appender.close()
        deadline = time.monotonic() + _GRACE
        target = self.journal.size()
        while self.journal.path.exists() and self.journal.replayed() < target and time.monotonic() < deadline:
            time.sleep(0.01)

    def _start(self, asked: float) -> None:
        late = time.monotonic() - asked > _START_WITHIN
        if self._is_busy() and not late and not self._background.is_awaited:
            self._background.add(lambda: self._start(asked))
            return
        with self._starting:
            if not self.journal.is_held:
                start_worker(self.journal)
