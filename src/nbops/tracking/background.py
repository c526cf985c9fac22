"""Work off the cell's path: one thread takes jobs in order, and is waited for before the kernel ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]


class Background:
    """Runs jobs in one daemon thread, made when the first job comes.

    Parameters
    ----------
    guard
        Called with each job; it must not raise.
    inline
        Run each job at once instead: for a kernel without a user who waits.
    """

    def __init__(self, guard: Callable[[Job], None], *, inline: bool = False) -> None:
        self._guard = guard
        self._inline = inline
        self._jobs: queue.Queue[Job] = queue.Queue()
        self._thread: threading.Thread | None = None

    def add(self, job: Job) -> None:
        """Run `job` when the jobs before it are done."""
        if self._inline:
            self._guard(job)
            return
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="nbops-background", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Return when all jobs added so far are done."""
        self._jobs.join()

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                self._guard(job)
            finally:
                self._jobs.task_done()
