"""Work on a cell that can wait until the kernel has replied: nobody waits for it then.

A kernel sends its reply when all hooks of a cell have returned, by threads that need the interpreter for it. So the work is
done by the kernel's own loop a moment later, or by the beginning of the next cell where that comes first. A shell without a
loop does it at once.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from nbops.tracking.recording.interrupts import Held

_MOMENT = 0.005


class Replied:
    """Holds the work on one cell, until it is due."""

    def __init__(self) -> None:
        self._job: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def then(self, job: Callable[[], None]) -> None:
        """Do a job when the kernel has replied, with the context variables of now; it must not raise."""
        self.now()
        context = contextvars.copy_context()
        self._job = lambda: context.run(job)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.now()
        else:
            self._timer = loop.call_later(_MOMENT, self.now)

    def now(self) -> None:
        """Do what is still to be done."""
        job, self._job = self._job, None
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if job is not None:
            with Held():  # the cell has ended already: nothing is left to be interrupted
                job()
