"""What a stage wants from the engine that executes its notebook, and a way to stop it from another thread.

The engine runs under papermill, which hands over nothing but keyword arguments: one `KernelSession` carries the
kernel's environment, the silent first code, the expressions to evaluate at the end and the progress callback in, and
the values out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class KernelSession:
    """One execution of a notebook in one kernel.

    Attributes
    ----------
    folder
        The kernel's working directory.
    scratch
        A folder for sockets and the connection file, removed by whoever made it.
    environment
        Environment variables on top of this process's own.
    setup
        Code executed silently before the first cell.
    expressions
        Expressions evaluated after the last cell, by name; each must give a ``str``.
    metadata
        What the executed notebook's ``papermill`` metadata shall say: paths and parameters.
    preload
        Packages that the kernel's template may import ahead, besides those that only compute; None: it's started cold.
    on_cell
        Called with (i, n) when the i-th of n code cells starts.
    values
        The expressions' values, filled when the notebook ran through.
    problems
        ``Error: message`` of each expression that couldn't be evaluated.
    """

    folder: Path
    scratch: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    setup: str = ""
    expressions: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    preload: tuple[str, ...] | None = ()
    on_cell: Callable[[int, int], None] | None = None
    values: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    _stop: Callable[[], None] | None = None
    _cancelled: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked for the end."""
        return self._cancelled

    def cancel(self) -> None:
        """Stop the kernel and end the execution; from any thread, before or while it runs."""
        with self._lock:
            self._cancelled = True
            if self._stop:
                self._stop()

    def begin(self, stop: Callable[[], None]) -> None:
        """Tell how to stop; stops at once if that was asked for already."""
        with self._lock:
            self._stop = stop
            if self._cancelled:
                stop()

    def end(self) -> None:
        """Forget how to stop: there is nothing left to."""
        with self._lock:
            self._stop = None
