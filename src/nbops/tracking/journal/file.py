"""A journal on disk: the kernel's end, which appends, and the worker's, which reads on from where it left off.

Each entry is one ``write`` to a file opened for appending. What can't be written, because the disk is full, stays in memory
in its order and is tried again with the next entry. The replayed offset is a file of its own, beside the journal, as are
the lock that one replayer at a time holds, the spool, and `ids`, what the store made of the kernel's ids.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.journal.entries import FORMAT, Entry, Head, decode, encode

_MOST_WAITING = 100_000


class Journal:
    """Paths of a session's journal, and what can be asked of it from any process.

    Parameters
    ----------
    project
        The project.
    session
        The session's id.
    """

    def __init__(self, project: Project, session: str) -> None:
        self.project = project
        self.session = session
        self.folder = folder_of(project)
        self.path = self.folder / f"{session}.jsonl"
        self.spool = self.folder / session
        self._offset = self.folder / f"{session}.offset"
        self._ids = self.folder / f"{session}.ids"
        self._lock = self.folder / f"{session}.lock"

    def size(self) -> int:
        """Return how many bytes of whole lines there are."""
        try:
            with self.path.open("rb") as stream:
                end = stream.seek(0, os.SEEK_END)
                while end > 0:
                    start = max(0, end - 4096)
                    stream.seek(start)
                    found = stream.read(end - start).rfind(b"\n")
                    if found >= 0:
                        return start + found + 1
                    end = start
        except FileNotFoundError:
            return 0
        return 0

    def replayed(self) -> int:
        """Return the offset up to which everything is in the store."""
        try:
            return int(self._offset.read_bytes() or b"0")
        except (FileNotFoundError, ValueError):
            return 0

    def mark(self, offset: int) -> None:
        """Write the offset, whole or not at all."""
        self._replace(self._offset, str(offset).encode())

    def ids(self) -> dict[str, str]:
        """Return what the store made of the kernel's ids: of runs, and the models of fits."""
        found: dict[str, str] = {}
        with suppress(FileNotFoundError):
            for line in self._ids.read_bytes().split(b"\n"):
                with suppress(msgspec.DecodeError):  # torn
                    found |= msgspec.json.decode(line, type=dict[str, str])
        return found

    def keep_id(self, ours: str, theirs: str) -> None:
        """Append what became of an id."""
        with self._ids.open("ab", buffering=0) as stream:
            stream.write(b"\n" + msgspec.json.encode({ours: theirs}))

    def tidy(self, older: float) -> None:
        """Remove what lies in the spool for longer than `older` seconds: to be called when all is replayed."""
        now = time.time()
        for path in self.spool.glob("*"):
            with suppress(OSError):
                if path.is_file() and now - path.stat().st_mtime > older:
                    path.unlink()

    def head(self) -> Head | None:
        """Return the first line, None where it isn't whole.

        Raises
        ------
        TrackingError
            If the journal is of a newer format.
        """
        try:
            with self.path.open("rb") as stream:
                entry = decode(stream.readline())
        except FileNotFoundError:
            return None
        if not isinstance(entry, Head):
            return None
        if entry.format > FORMAT:
            raise TrackingError(
                f"written by a newer nbops (format {entry.format}, this one reads {FORMAT})",
                where=str(self.path),
                remedy="upgrade nbops",
            )
        return entry

    def read(self, offset: int) -> Iterator[tuple[int, Entry]]:
        """Return the entries from an offset on, each with the offset of its end; torn lines are left out."""
        with suppress(FileNotFoundError), self.path.open("rb") as stream:
            stream.seek(offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                if entry := decode(line):
                    yield offset, entry

    def hold(self) -> int | None:
        """Take the lock that a replayer holds; return its descriptor, None where another has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor

    @property
    def is_held(self) -> bool:
        """Whether a replayer is at work."""
        descriptor = self.hold()
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def remove(self) -> None:
        """Remove all of it, the journal first: what is left without one is rubbish."""
        for path in (self.path, self._offset, self._ids, self._lock):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.spool, ignore_errors=True)

    @staticmethod
    def _replace(path: Path, content: bytes) -> None:
        fresh = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
        fresh.write_bytes(content)
        fresh.replace(path)


class Appender:
    """The kernel's end of a journal; usable from several threads.

    Parameters
    ----------
    journal
        Made with its first line when the first entry comes.
    """

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._torn = False
        self._waiting: deque[bytes] = deque()

    def write(self, entry: Entry) -> None:
        """Append an entry; what the disk doesn't take waits in memory.

        Raises
        ------
        OSError
            If the disk doesn't take it; it is tried again with the next.
        """
        with self._lock:
            self._waiting.append(encode(entry) + b"\n")
            while len(self._waiting) > _MOST_WAITING:
                self._waiting.popleft()
            self._drain()

    def retry(self) -> None:
        """Try again to write what waits."""
        with self._lock:
            if self._waiting:
                self._drain()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _drain(self) -> None:
        if self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0:
            os.close(self._descriptor)  # somebody took this kernel for dead, and removed its journal
            self._descriptor = None
        if self._descriptor is None:
            self._open()
        assert self._descriptor is not None
        while self._waiting:
            line = (b"\n" if self._torn else b"") + self._waiting[0]
            self._torn = True
            if os.write(self._descriptor, line) < len(line):
                raise OSError(28, os.strerror(28), str(self.journal.path))
            self._torn = False
            self._waiting.popleft()

    def _open(self) -> None:
        self.journal.folder.mkdir(parents=True, exist_ok=True)
        path = self.journal.path
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        size = os.lseek(self._descriptor, 0, os.SEEK_END)
        self._torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"
        if size == 0:
            self._waiting.appendleft(encode(head_of(self.journal)) + b"\n")


def folder_of(project: Project) -> Path:
    """Return where a project's journals lie."""
    return project.state / "journal"


def journals(project: Project) -> list[Journal]:
    """Return the journals that there are, oldest first."""
    return [Journal(project, path.stem) for path in sorted(folder_of(project).glob("*.jsonl"))]


def head_of(journal: Journal) -> Head:
    """Return the first line of a journal of this process."""
    import sys

    from nbops.tracking.recording.resources import process_mark, process_started

    return Head(
        session=journal.session,
        pid=os.getpid(),
        process_started=process_started(),
        host=platform.node(),
        python=sys.executable,
        uri=journal.project.tracking_uri,
        process=process_mark(os.getpid()),
    )


def is_alive(head: Head) -> bool:
    """Whether the kernel that writes a journal still runs, as far as this machine can tell."""
    from nbops.tracking.recording.resources import is_running

    return head.host != platform.node() or is_running(head.pid, head.process_started, head.process)
