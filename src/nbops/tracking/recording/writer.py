"""Appending to a session's file, so that nothing that was complete is lost.

Each line is one ``write`` to a file opened for appending: from then on it's the system's, and a kernel killed at any point
leaves whole lines and at most a torn last one. Against a loss of power a thread has the disk take them, some at a time: on
many machines that takes longer than a cell.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path

from nbops.tracking.recording.records import Record, encode

_TOGETHER = 0.05


class Writer:
    """Appends records to a session's file; usable from several threads.

    A line that couldn't be written whole (a full disk, or a kernel killed before this writer) is ended before the next.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        self._due = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, record: Record, *, sync: bool = False) -> None:
        """Append one line; with `sync`, have the disk take it soon."""
        line = encode(record) + b"\n"
        with self._lock:
            line = b"\n" + line if self._torn else line
            self._torn = True
            written = os.write(self._descriptor, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            self._torn = False
        if sync and not self._due.is_set():
            self._due.set()
            if self._thread is None:
                self._thread = threading.Thread(target=self._sync, name="nbops-sync", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Close the file; what was written is on the disk."""
        self._closing.set()
        self._due.set()
        if self._thread:
            self._thread.join()
            self._fsync()  # what was written while the thread was at it
        os.close(self._descriptor)

    def _sync(self) -> None:
        while not self._closing.is_set():
            self._due.wait()
            self._closing.wait(_TOGETHER)
            self._due.clear()
            self._fsync()

    def _fsync(self) -> None:
        with suppress(OSError):  # a disk that can't is told of by the next write
            os.fsync(self._descriptor)
