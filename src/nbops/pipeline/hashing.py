"""SHA-256 of files and folders, remembered by what ``stat`` says.

A file whose inode, size, change and modification times are those of last time isn't read again. Times are only as
fine as the file system's clock, so a file that was changed a moment ago is hashed but not remembered. A folder's
digest is that of its sorted tree: relative paths with their files' digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbops.errors import PipelineError
from nbops.notebook.document import write_atomically

MEMO_FORMAT = 1
_SETTLED_NS = 100_000_000


@dataclass(frozen=True, slots=True)
class Content:
    """What lies at a path: a file, or a folder's files by relative path.

    Attributes
    ----------
    kind
        ``file`` or ``folder``.
    sha256, size
        Digest and bytes of the whole.
    files
        For a folder: relative path, digest and bytes of each file, sorted.
    """

    kind: str
    sha256: str
    size: int
    files: tuple[tuple[str, str, int], ...] = ()

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all files that it consists of."""
        return frozenset({self.sha256} if self.kind == "file" else {sha256 for _, sha256, _ in self.files})


class Hasher:
    """Hashes files and folders, and remembers the digests in one JSON file.

    Parameters
    ----------
    memo
        Where digests are remembered between runs; None to remember within this object only.
    """

    def __init__(self, memo: Path | None = None) -> None:
        self._memo = memo
        self._known: dict[str, list[Any]] = _load(memo) if memo else {}
        self._changed = False

    def content(self, path: Path) -> Content | None:
        """Return what lies at a path, or None when nothing does."""
        if path.is_file():
            return Content("file", self.file(path), path.stat().st_size)
        if path.is_dir():
            return self.folder(path)
        return None

    def file(self, path: Path) -> str:
        """Return a file's digest."""
        stat = path.stat()
        mark = [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        known = self._known.get(str(path))
        if known and known[:4] == mark:
            return str(known[4])
        digest = hash_file(path)
        newest = max(stat.st_mtime_ns, stat.st_ctime_ns)
        if time.time_ns() - newest > _SETTLED_NS and path.stat().st_mtime_ns == stat.st_mtime_ns:
            self._known[str(path)] = [*mark, digest]
            self._changed = True
        return digest

    def folder(self, path: Path) -> Content:
        """Return a folder's content."""
        files = []
        for folder, names, found in os.walk(path):
            names.sort()
            for name in sorted(found):
                file = Path(folder, name)
                if file.is_file():
                    files.append((file.relative_to(path).as_posix(), self.file(file), file.stat().st_size))
        files.sort()
        digest = hashlib.sha256(json.dumps([[name, sha] for name, sha, _ in files]).encode()).hexdigest()
        return Content("folder", digest, sum(size for _, _, size in files), tuple(files))

    def save(self) -> None:
        """Write what was learnt."""
        if self._memo and self._changed:
            there = {path: mark for path, mark in self._known.items() if Path(path).exists()}
            data = json.dumps({"format": MEMO_FORMAT, "files": there}).encode()
            write_atomically(self._memo, data)
            self._changed = False


def hash_file(path: Path) -> str:
    """Return the SHA-256 (hex) of a file's bytes.

    Raises
    ------
    PipelineError
        If the file can't be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PipelineError(f"can't be read: {error.strerror}", where=str(path)) from error


def _load(memo: Path) -> dict[str, list[Any]]:
    try:
        content = json.loads(memo.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # it is only a memory: without it files are read again
    if not isinstance(content, dict) or content.get("format") != MEMO_FORMAT:
        return {}
    files = content.get("files")
    return files if isinstance(files, dict) else {}
