"""Several processes on one socket: forked before anything heavy loads, watched, replaced when one dies.

A worker tells its parent through a pipe that it is ready; the parent announces the service when all are. A signal to
the parent is passed on and the parent ends when the last worker has. A worker that dies before it was ever ready
ends the service: it would only die again.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from types import FrameType

from .refusal import StartError


def supervise(count: int, run: Callable[[Callable[[], None]], None], announce: Callable[[], None]) -> int:
    """Run `run` in `count` processes until a signal comes; return the exit status.

    Parameters
    ----------
    count
        How many processes.
    run
        Serves until a signal comes; calls its argument once it accepts connections.
    announce
        Called once all processes are ready.
    """
    if not hasattr(os, "fork"):
        raise StartError("--workers needs fork, which this system doesn't have; start several services instead")
    folder = tempfile.mkdtemp(prefix="nbops-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # prometheus-client reads it when it is imported
    try:
        return _Supervisor(count, run, announce).watch()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Supervisor:
    def __init__(self, count: int, run: Callable[[Callable[[], None]], None], announce: Callable[[], None]) -> None:
        self.count = count
        self.run = run
        self.announce = announce
        self.stopping = False
        self.announced = False
        self.workers: dict[int, int] = {}  # pid → pipe that says ready, then closes when the worker ends
        self.ready: set[int] = set()

    def watch(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        for _ in range(self.count):
            self._start()
        status = 0
        while self.workers:
            readable, _, _ = select.select(list(self.workers.values()), [], [], 1.0)
            for pid in [pid for pid, pipe in self.workers.items() if pipe in readable]:
                if os.read(self.workers[pid], 1):
                    self.ready.add(pid)
                else:
                    status = max(status, self._ended(pid))
            if not self.announced and len(self.ready) == self.count:
                self.announced = True
                self.announce()
        return status

    def _start(self) -> None:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid:
            os.close(writer)
            self.workers[pid] = reader
            return
        status = 1
        try:
            for other in self.workers.values():
                os.close(other)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            self.run(lambda: _say(writer))
            status = 0
        except StartError as error:
            sys.stderr.write(f"nbops: {error}\n")
            status = 2
        except BaseException:  # noqa: BLE001 - nothing of the parent's stack may run in the child
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _ended(self, pid: int) -> int:
        os.close(self.workers.pop(pid))
        _, wait_status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(wait_status)
        if self.stopping:
            return 0
        if pid not in self.ready:
            self._stop(signal.SIGTERM, None)
            return code if code > 0 else 1
        self.ready.discard(pid)
        sys.stderr.write(f"nbops: worker {pid} ended with {code}; another takes its place\n")
        self._start()
        return 0

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        for pid in list(self.workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _say(pipe: int) -> None:
    os.write(pipe, b"r")
