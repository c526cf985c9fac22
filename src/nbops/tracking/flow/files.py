"""Which files a statement read and wrote.

Python reports what it opens, moves, removes and lists. Libraries in C++ or Rust don't, nor do other processes: around a
statement that may use one, the working folder is compared before and after, and the paths that its texts spell are looked
up. Files of Python, of installed distributions, of nbops and of the notebook's front end don't count.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbops.tracking.flow.ledger import At, Ledger
from nbops.tracking.flow.places import library_folders

_MOST = 3000
_DEEPEST = 6
_SKIPPED = frozenset(
    {".git", ".nbops", "__pycache__", ".ipynb_checkpoints", "node_modules", ".venv", "venv", ".hypothesis"}
)
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/run/", "/var/lib/", "/opt/")
_HOME = (".ipython", ".jupyter", ".cache", ".config", ".matplotlib", ".local")

State = dict[str, tuple[int, int]]


class Files:
    """The files of a project as statements see them."""

    def __init__(self, state: Path, root: Path) -> None:
        home = Path.home()
        self._state = f"{os.path.realpath(state)}/"
        self._root = f"{os.path.realpath(root)}/"
        self._ignored = (*_SYSTEM, *(f"{home / name}/" for name in _HOME))

    def key(self, path: Any) -> str | None:
        """Return the name under which a file is known, None for one that doesn't count."""
        if isinstance(path, int) or path is None or path == "":
            return None
        try:
            full = os.path.realpath(os.fsdecode(path))
        except (OSError, ValueError, TypeError):
            return None
        if full.startswith(self._state) or full.startswith(library_folders()):
            return None
        parts = full.split("/")
        if "__pycache__" in parts and full.endswith(".pyc"):
            try:
                full = importlib.util.source_from_cache(full)
            except ValueError:
                return None
        elif not _SKIPPED.isdisjoint(parts):
            return None
        if full.startswith((self._root, f"{os.getcwd()}/")):  # noqa: PTH109  # a call for every file opened
            return full
        return None if full.startswith(self._ignored) else full

    def scan(self) -> State | None:
        """Return size and time of the files below the working folder; None if there are too many to be sure."""
        found: State = {}
        waiting = [(os.getcwd(), 0)]  # noqa: PTH109
        while waiting:
            folder, depth = waiting.pop()
            try:
                entries = list(os.scandir(folder))
            except OSError:
                continue
            for entry in entries:
                if entry.name in _SKIPPED or len(found) > _MOST:
                    continue
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if depth >= _DEEPEST:
                            return None
                        waiting.append((entry.path, depth + 1))
                    status = entry.stat()
                    found[os.path.realpath(entry.path)] = (
                        (status.st_size, status.st_mtime_ns) if entry.is_file() else (-1, 0)
                    )
                except OSError:
                    continue
        return None if len(found) > _MOST else found


def stat_of(paths: Iterable[str]) -> State:
    """Return size and time of those of the paths that exist."""
    found: State = {}
    for path in paths:
        try:
            status = os.stat(path)  # noqa: PTH116
        except (OSError, ValueError):
            continue
        found[path] = (status.st_size, status.st_mtime_ns)
    return found


class Traffic:
    """The files that one statement reads and writes, in order."""

    def __init__(self, files: Files, ledger: Ledger) -> None:
        self.files = files
        self.ledger = ledger
        self.read: dict[str, None] = {}
        self.written: dict[str, None] = {}
        self.needs: set[At] = set()
        self.outside = False  # another process, or a library that doesn't report
        self.unsure = False
        self.database = False
        self._before: State | None = None
        self._scanned = False
        self._spelled: dict[str, None] = {}

    def on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take what Python reports."""
        match event:
            case "open":
                self._opened(*arguments[:3])
            case "os.listdir" | "os.scandir":
                self.listed(arguments[0] if arguments[0] is not None else ".")
            case "glob.glob" | "glob.glob/2":
                self.listed(
                    os.fspath(arguments[2] if len(arguments) > 2 and arguments[2] else _fixed_part(arguments[0]))
                )
            case "os.rename" | "os.link" | "os.symlink" | "shutil.move" | "shutil.copytree":
                self.reads(arguments[0], below=True)
                if event in ("os.rename", "shutil.move"):
                    self.writes(arguments[0])
                self.writes(arguments[1])
            case "os.remove" | "os.mkdir" | "os.rmdir" | "os.truncate" | "shutil.rmtree":
                self.reads(arguments[0], below=event == "shutil.rmtree")
                self.writes(arguments[0])
            case "sqlite3.connect":
                self.database = self.database or arguments[0] == ":memory:" or self.files.key(arguments[0]) is not None
            case "exec":
                return
            case _:
                self.goes_outside(everything=event != "os.fork")

    def _opened(self, path: Any, mode: Any, flags: Any) -> None:
        if type(path) is int:
            return
        if isinstance(mode, str):
            reads, writes = "r" in mode or "+" in mode or "a" in mode, not set(mode).isdisjoint("wxa+")
        else:
            flags = flags if isinstance(flags, int) else 0
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
            reads = not (flags & os.O_TRUNC)
        if reads:
            self.reads(path)
        if writes:
            self.writes(path)

    def reads(self, path: Any, *, below: bool = False) -> None:
        """Take a file as read; with `below`, what lies in the folder too."""
        key = self.files.key(path)
        if key is None or key in self.written:
            return
        self.read[key] = None
        self._need(key)
        if below:
            self._need_below(key)

    def writes(self, path: Any) -> None:
        """Take a file as written."""
        key = self.files.key(path)
        if key is not None:
            self._need_folders(key)
            self.written[key] = None

    def listed(self, folder: Any) -> None:
        """Take the files of a folder as listed."""
        key = self.files.key(folder)
        if key is not None:
            self._need(key)
            self._need_below(key)

    def goes_outside(self, *, everything: bool) -> None:
        """Something that doesn't report is about to use files."""
        if everything:
            for writers in self.ledger.files.values():
                self.needs |= writers
        if not self._scanned:
            self._scanned = self.outside = True
            self._before = self.files.scan()

    def spelled(self, texts: Iterable[str]) -> bool:
        """Look up texts that may be paths of files written before; return whether one was."""
        found = False
        for text in texts:
            if not text or len(text) > 300 or "\n" in text:
                continue
            key = self.files.key(text)
            if key is not None and (key in self.ledger.files or self._is_above(key)):
                found = True
                self._spelled.setdefault(key)
        return found

    def finish(self, *, asks: bool) -> None:
        """Find out what was written by what doesn't report; `asks`: the statement may ask whether a file is there."""
        for key in self._spelled:
            if asks or key not in self.written:  # else it's only replaced
                self._need(key)
                self._need_below(key)
        if not self._scanned:
            return
        after = self.files.scan()
        if self._before is None or after is None:
            self.unsure = True
            return
        for path in self._before.keys() | after.keys():
            if self._before.get(path) != after.get(path):
                self.writes(path)

    def _need(self, key: str) -> None:
        self.needs |= self.ledger.files.get(key, frozenset())
        self.needs |= self.ledger.files.get("*", frozenset())
        self._need_folders(key)

    def _need_folders(self, key: str) -> None:
        if not self.ledger.files:
            return
        folder = os.path.dirname(key)  # noqa: PTH120
        while len(folder) > 1:
            self.needs |= self.ledger.files.get(folder, frozenset())
            folder = os.path.dirname(folder)  # noqa: PTH120

    def _need_below(self, key: str) -> None:
        start = f"{key}/"
        for path, writers in self.ledger.files.items():
            if path.startswith(start):
                self.needs |= writers

    def _is_above(self, key: str) -> bool:
        start = f"{key}/"
        return any(path.startswith(start) for path in self.ledger.files)


def _fixed_part(pattern: Any) -> str:
    text = os.fsdecode(pattern)
    fixed = text[: min((at for at in map(text.find, "*?[") if at >= 0), default=len(text))]
    return os.path.dirname(fixed) or "."  # noqa: PTH120
