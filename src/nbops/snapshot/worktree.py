"""What differs from the commit: changed files, and the code that git doesn't know yet.

Git tells what changed, without locks of its own and within a few seconds for all calls together; what comes later counts as
not known. Notebooks are compared by their code, whose outputs would drown it; untracked files of code are told whole. The
difference is put together anew when git's status or a file that it names changed: most runs find the one before them.
"""

from __future__ import annotations

import difflib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from nbops.errors import NotebookError
from nbops.notebook.document import loads

_SECONDS = 10.0
_MOST = 1_000_000
_LARGEST = 200_000
_FILES = 200
_RACY_NS = 100_000_000  # a file may be written again within a tick of its clock
_CODE = (".py", ".ipynb", ".r", ".sql", ".sh", ".jl")


_differences: dict[Path, tuple[object, str]] = {}


@dataclass(frozen=True, slots=True)
class Status:
    """Git's short answer about a folder.

    Attributes
    ----------
    commit, branch
        None where there is none.
    changes
        Git's lines about files that differ from the commit, or that it doesn't know.
    """

    commit: str | None = None
    branch: str | None = None
    changes: tuple[str, ...] = ()


class Repository:
    """Git's answers about a folder, as long as there is time for them.

    Parameters
    ----------
    folder
        The project's folder, in a repository or not.
    seconds
        For all calls together.
    """

    def __init__(self, folder: Path, seconds: float = _SECONDS) -> None:
        self._folder = folder
        self._until = time.monotonic() + seconds

    def ask(self, *arguments: str) -> str | None:
        """Return what git says, None if it has nothing to say: no git, no repository, no commit, no time."""
        left = self._until - time.monotonic()
        if left <= 0:
            return None
        try:
            answer = subprocess.run(
                ["git", "-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-C", str(self._folder), *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=left,
                check=True,
                env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        return answer.stdout

    def line(self, *arguments: str) -> str | None:
        """Return git's answer without the line's end, None if it's empty."""
        return (self.ask(*arguments) or "").strip() or None

    def status(self) -> Status:
        """Return the commit, the branch, and which files below the folder differ."""
        if "GIT_DIR" not in os.environ and not any((each / ".git").exists() for each in _upwards(self._folder)):
            return Status()
        asked = ("status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=all", "--", ".")
        heads, changes = {}, []
        for entry in (self.ask(*asked) or "").split("\0"):
            if entry.startswith("# "):
                name, _, value = entry[2:].partition(" ")
                heads[name] = value
            elif entry:
                changes.append(entry)
        commit, branch = heads.get("branch.oid"), heads.get("branch.head")
        return Status(
            None if commit == "(initial)" else commit, None if branch == "(detached)" else branch, tuple(changes)
        )

    def difference(self, status: Status) -> str:
        """Return what the files below the folder differ in from the commit, at most a million characters."""
        if status.commit is None or not status.changes:
            return ""
        top = Path(self.line("rev-parse", "--show-toplevel") or self._folder)
        seen = status, tuple(_state(top / _path_of(entry)) for entry in status.changes)
        kept = _differences.get(self._folder)
        if kept is not None and kept[0] == seen:
            return kept[1]
        found = self._compare()
        if not any(state and time.time_ns() - state[0] < _RACY_NS for state in seen[1]):
            _differences[self._folder] = seen, found
        return found

    def _compare(self) -> str:
        changed = self.ask(
            "diff", "--no-color", "--no-ext-diff", "--no-textconv", "HEAD", "--", ".", ":(exclude)*.ipynb"
        )
        parts = [changed or ""]
        size = len(parts[0])
        for part in (*self._notebooks(), *self._untracked()):
            if size > _MOST:
                break
            parts.append(part)
            size += len(part)
        return "".join(parts).strip()[:_MOST]

    def _notebooks(self) -> list[str]:
        names = self._names("diff", "--name-only", "--relative", "-z", "HEAD", "--", "*.ipynb")
        return [_compared(name, _code(self.ask("show", f"HEAD:./{name}") or ""), self._text(name)) for name in names]

    def _untracked(self) -> list[str]:
        names = self._names("ls-files", "--others", "--exclude-standard", "-z", "--", ".")
        return [_compared(name, "", self._text(name)) for name in names if name.lower().endswith(_CODE)]

    def _names(self, *arguments: str) -> list[str]:
        return [name for name in (self.ask(*arguments) or "").split("\0") if name][:_FILES]

    def _text(self, name: str) -> str:
        path = self._folder / name
        try:
            text = path.read_text("utf-8", "replace") if path.stat().st_size <= _LARGEST * 50 else ""
        except OSError:  # it was deleted
            return ""
        return (_code(text) if path.suffix == ".ipynb" else text)[:_LARGEST]


def _upwards(folder: Path) -> tuple[Path, ...]:
    absolute = folder.absolute()
    return (absolute, *absolute.parents)


def _path_of(entry: str) -> str:
    """Return the path at the end of an entry of git's status, after a number of fields that its kind has."""
    return entry.split(" ", {"?": 1, "u": 10}.get(entry[0], 8))[-1]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.lstat()
    except OSError:  # deleted
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _code(text: str) -> str:
    """Return a notebook's code, cell after cell."""
    if not text:
        return ""
    try:
        cells = loads(text).code_cells
    except NotebookError:  # in conflict, or being written
        return ""
    return "".join(f"# %% {cell.id}\n{cell.source}\n" for cell in cells)


def _compared(name: str, before: str, after: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    names = (f"a/{name}" if old else "/dev/null", f"b/{name}" if new else "/dev/null")
    return "".join(f"{line}\n" for line in difflib.unified_diff(old, new, *names, lineterm=""))
