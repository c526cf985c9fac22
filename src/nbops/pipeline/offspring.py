"""A kernel's child processes, which don't outlive it: also those in sessions of their own, also when the kernel died.

While the kernel lives its descendants are known. Afterwards they are found by its session, and by an environment variable
that they inherited from it (where there is ``/proc``). Those that were started without the variable are left alone: nbops'
own helpers, which serve other kernels too, are started so.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

MARK = "NBOPS_KERNEL"
_PROC = Path("/proc")
_ROUNDS = 5  # what is killed may be starting others
_KILLED_WITHIN_S = 1.0


class Offspring:
    """The processes that a kernel has started.

    Parameters
    ----------
    mark
        What the variable `MARK` holds in the kernel's environment; no other kernel's does.
    kernel
        The kernel's process id, if it's known; it leads its session.
    """

    def __init__(self, mark: str, kernel: int | None = None) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self._kernel = kernel
        self._known: set[psutil.Process] = set()

    def look(self) -> None:
        """Note who the kernel's descendants are; to be called before it ends."""
        if self._kernel is None:
            return
        own = _environment(self._kernel)
        try:
            descendants = psutil.Process(self._kernel).children(recursive=True)
        except psutil.NoSuchProcess:
            return
        for process in descendants:
            environment = _environment(process.pid)
            # one that a forked kernel forked has the variables that its template was started with
            if environment == own or self._mark in environment:
                self._known.add(process)

    def end(self, within: float) -> None:
        """End all that are left: ask them to, and kill those that live on after so many seconds."""
        left = self._living()
        if left and within:
            _send(left, signal.SIGTERM)
            _wait(left, within)
        for _ in range(_ROUNDS):
            left = self._living()
            if not left:
                return
            _send(left, signal.SIGKILL)
            _wait(left, _KILLED_WITHIN_S)

    def _living(self) -> set[psutil.Process]:
        return {process for process in {*self._known, *self._found()} if _is_alive(process)}

    def _found(self) -> Iterator[psutil.Process]:
        if not _PROC.is_dir():
            return
        for name in os.listdir(_PROC):  # noqa: PTH208
            if not name.isdigit() or int(name) in (os.getpid(), self._kernel):
                continue
            try:
                if self._mark in _environment(int(name)) or os.getsid(int(name)) == self._kernel:
                    yield psutil.Process(int(name))
            except (ProcessLookupError, PermissionError, psutil.NoSuchProcess):
                continue  # it has ended, or is somebody else's


def _environment(pid: int) -> tuple[bytes, ...]:
    """Return the variables that a process was started with; none if that can't be seen."""
    try:
        return tuple((_PROC / str(pid) / "environ").read_bytes().split(b"\0"))
    except OSError:
        return ()


def _send(processes: set[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _wait(processes: set[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(_is_alive(process) for process in processes):
        time.sleep(0.01)


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
