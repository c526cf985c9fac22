"""What MLflow's autologging does around a training isn't the cell's doing: its files are overlooked, its random draws undone.

MLflow tells its event logger when one of its wrappers begins and ends, and when that calls the library's own function.
Between these it makes folders, writes figures, and draws a run's name from the generator that the cell may have seeded.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nbops.tracking import audit

_watching = False


class _Modes(threading.local):
    """Whether MLflow is at work on this thread: a stack of wrappers and of the functions that they call."""

    def __init__(self) -> None:
        self.stack = [False]
        self.state: Any = None

    def push(self, *, own: bool) -> None:
        self._turn(own=own)
        self.stack.append(own)

    def pop(self) -> None:
        if len(self.stack) > 1:
            before = self.stack[-2]
            self._turn(own=before)
            self.stack.pop()

    def _turn(self, *, own: bool) -> None:
        if own == self.stack[-1]:
            return
        if own:
            self.state = random.getstate()
        elif self.state is not None:
            random.setstate(self.state)
        audit.overlook(now=own)


_modes = _Modes()


@contextmanager
def doing() -> Iterator[None]:
    """Overlook what the block does."""
    _modes.push(own=True)
    try:
        yield
    finally:
        _modes.pop()


def reset() -> None:
    """Begin anew: an interrupt may have come between a beginning and its end."""
    if len(_modes.stack) > 1:
        del _modes.stack[1:]
        audit.overlook(now=False)


def watch() -> None:
    """Have MLflow tell."""
    global _watching
    if _watching:
        return
    _watching = True
    from mlflow.utils.autologging_utils import AutologgingEventLogger

    class Boundaries(AutologgingEventLogger):  # type: ignore[misc]  # MLflow isn't typed
        def log_patch_function_start(self, *_: Any) -> None:
            _modes.push(own=True)

        def log_original_function_start(self, *_: Any) -> None:
            _modes.push(own=len(_modes.stack) > 1 and _modes.stack[-2])

        def log_original_function_success(self, *_: Any) -> None:
            _modes.pop()

        def log_original_function_error(self, *_: Any) -> None:
            _modes.pop()

        def log_patch_function_success(self, *_: Any) -> None:
            _modes.pop()

        def log_patch_function_error(self, *_: Any) -> None:
            _modes.pop()

    AutologgingEventLogger.set_logger(Boundaries())
