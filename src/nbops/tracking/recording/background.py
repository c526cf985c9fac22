"""Work off the cell's path: one thread takes jobs in order, and is waited for before the kernel ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from nbops.tracking import audit

Job = Callable[[], None]


class Background:
    """Runs jobs in one daemon thread, made when the first job comes.

    Parameters
    ----------
    guard
        Called with each job; it must not raise.
    inline
        Run each job at once instead: for a kernel without a user who waits.
    delay
        Seconds that a job waits at first, unless it's waited for: what gave it is likely to have more to do, and threads
        share the interpreter. What was given meanwhile is done with it.
    """

    def __init__(self, guard: Callable[[Job], None], *, inline: bool = False, delay: float = 0.0) -> None:
        self._guard = guard
        self._inline = inline
        self._delay = delay
        self._hurry = threading.Event()
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

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the jobs to be done."""
        return self._inline or self._hurry.is_set()

    def flush(self) -> None:
        """Return when all jobs added so far are done."""
        self._hurry.set()
        self._jobs.join()
        self._hurry.clear()

    def _work(self) -> None:
        audit.overlook(now=True)  # what it opens and starts isn't the doing of the cell that runs meanwhile
        while True:
            job = self._jobs.get()
            if self._delay:
                self._hurry.wait(self._delay)
            also = self._jobs.qsize()
            self._do(job)
            for _ in range(also):
                self._do(self._jobs.get())

    def _do(self, job: Job) -> None:
        try:
            self._guard(job)
        finally:
            self._jobs.task_done()
