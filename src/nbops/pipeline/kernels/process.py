"""A kernel that was forked for us, as jupyter_client knows processes: the face of `subprocess.Popen`.

The template, its parent, tells how it ended; signals go by a descriptor of the process, which no other can be mistaken for.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbops.pipeline.kernels import messages

_UNKNOWN = 255
_ANSWER_WITHIN_S = 10.0


class ForkedKernel:
    """A forked kernel.

    Parameters
    ----------
    client
        The connection to the template, over which it was asked for.
    pid
        The kernel's.
    """

    stdin = stdout = stderr = None

    def __init__(self, client: socket.socket, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._client = client
        self._orphaned = False
        self._process = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return how it ended: an exit code, or a signal's number below zero; None while it runs."""
        while self.returncode is None and self._is_told(0):
            self._learn()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            If it still runs.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self._is_told(left):
                self._learn()
            elif deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal; none to a process that has ended."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._process, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def fileno(self) -> int:
        """Return what becomes readable when it ends, or when its template does; below zero when that is known."""
        return self._process if self._orphaned else self._client.fileno()

    def close(self) -> None:
        """Let go of it, whether it has ended or not."""
        self._client.close()
        process, self._process = self._process, -1
        if process >= 0:
            os.close(process)

    def _is_told(self, seconds: float | None) -> bool:
        if self.fileno() < 0:
            return False
        poller = select.poll()  # which takes descriptors of any number
        poller.register(self.fileno(), select.POLLIN)
        return bool(poller.poll(None if seconds is None else seconds * 1000))

    def _learn(self) -> None:
        if self._orphaned:
            self.returncode = _UNKNOWN  # only a parent is told more
        else:
            try:
                self.returncode = int(messages.receive(self._client, [])["exit"])
            except (EOFError, OSError):  # the template is gone
                self._orphaned = True
                return
        self.close()


def ask(where: Path, request: dict[str, Any], output: Sequence[int]) -> tuple[ForkedKernel, dict[str, Any]]:
    """Ask a template for a kernel; return it with its connection.

    Parameters
    ----------
    where
        The template's socket.
    request
        See `nbops.pipeline.kernels.circumstances.request_of`.
    output
        Descriptors that are to be the kernel's standard output and error.

    Raises
    ------
    OSError, EOFError
        If the template is gone or doesn't answer.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(_ANSWER_WITHIN_S)
        client.connect(str(where))
        messages.send(client, request, list(output))
        answer = messages.receive(client, [])
        client.settimeout(None)
        return ForkedKernel(client, answer["pid"]), answer["connection"]
    except BaseException:
        client.close()
        raise
