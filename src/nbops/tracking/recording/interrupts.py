"""Interrupts that come while the recorder works: they wait, and reach the user's cell if it is still to run.

IPython shows an exception of a hook as an error of nbops and goes on with the cell, as if nobody had asked for its end. So
the hooks run with a handler that only remembers the signal. One that came before the cell's code is raised by its first
statement; one that came after it has nothing left to interrupt.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

# `signal`'s own functions look handlers up as members of enums, which takes ten times as long
_fast: Any = import_module("_signal")
_INTERRUPT = int(signal.SIGINT)


class Held:
    """A block in which interrupts are remembered instead of raised."""

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> Held:
        self.came, self._before = False, None
        if threading.current_thread() is threading.main_thread():
            self._before = _fast.getsignal(_INTERRUPT)
            if self._before is not None:  # else it was set by C, and couldn't be put back
                _fast.signal(_INTERRUPT, self._remember)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            _fast.signal(_INTERRUPT, self._before)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self.came = True


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back an interrupt until the block has ended: an import that is broken off can't be repeated."""
    held = Held()
    try:
        with held:
            yield
    finally:
        if held.came:
            signal.raise_signal(signal.SIGINT)


def interrupt_cell(shell: Any) -> None:
    """Have the cell that is about to run be interrupted by its first statement."""
    inner = shell.run_code
    own = shell.__dict__.get("run_code")

    async def run_code(code: Any, result: Any = None, *, async_: bool = False) -> Any:
        if own is None:
            del shell.run_code
        else:
            shell.run_code = own
        return await inner(compile("raise KeyboardInterrupt", "<interrupt>", "exec"), result)

    shell.run_code = run_code
