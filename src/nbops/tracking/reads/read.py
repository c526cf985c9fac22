"""A call of a reader: what it was given, what it returned, and what can be said of where that came from."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbops.project import Project
from nbops.tracking.redaction.redact import redact_text

_QUERIES = frozenset({"SELECT", "WITH", "VALUES", "FROM", "SHOW", "DESCRIBE", "PRAGMA", "EXPLAIN", "TABLE", "CALL"})


@dataclass(frozen=True, slots=True)
class Read:
    """A call of a reader.

    Attributes
    ----------
    reader
        The function's name.
    given
        What it read from: a path, several, a URL, a buffer, a query.
    answer
        What it returned; None when only the file is known.
    origin
        The database that a query went to, without credentials.
    version
        The version that the source gives itself.
    """

    reader: str
    given: Any
    answer: Any = None
    origin: str | None = None
    version: str | None = None

    @property
    def table(self) -> Any:
        """The frame, series or Arrow table that was returned, None if it was something else."""
        answer = self.answer
        root = type(answer).__module__.partition(".")[0]
        if root not in ("pandas", "polars", "pyarrow", "geopandas"):
            return answer if self.origin and isinstance(answer, list | dict | tuple) else None
        known = ("DataFrame", "Series", "Table", "RecordBatch", "GeoDataFrame", "ChunkedArray")
        return answer if type(answer).__name__ in known else None

    @property
    def paths(self) -> list[Path]:
        """The local files and folders that were read; empty if there are none."""
        files = getattr(self.answer, "files", None)  # of a dataset of Arrow
        if isinstance(files, list) and files and all(isinstance(file, str) for file in files):
            return [path for file in files if (path := _existing(file))]
        given = self.given if isinstance(self.given, list | tuple | set) else [self.given]
        return [path for one in given for path in _paths(one)]

    @property
    def path(self) -> Path | None:
        """The local file or folder that was read, None if there is none or more than one."""
        found = self.paths
        return found[0] if len(found) == 1 else None

    def source(self, project: Project) -> str:
        """Return where from: a path relative to the project, a URL, a query and its database, or the kind of an object."""
        if self.origin is None and (found := self.paths):
            return _together([project.relative(path) for path in found]) + _member(self.given)
        if isinstance(self.given, str | bytes | os.PathLike):
            text = redact_text(os.fsdecode(self.given))
            return f"{text} [{self._origin(project)}]" if self.origin else text
        for name in ("url", "full_name", "geturl"):  # of an opened URL, of fsspec's files
            if isinstance(told := getattr(self.given, name, None), str):
                return redact_text(told)
        kind = type(self.given).__name__
        return f"{kind} [{self._origin(project)}]" if self.origin else kind

    @property
    def database(self) -> Path | None:
        """The file of the database that a query was sent to, None if it isn't one."""
        scheme, _, path = (self.origin or "").partition("sqlite:///")
        return _existing(path) if not scheme else None

    def _origin(self, project: Project) -> str | None:
        return f"sqlite:///{project.relative(path)}" if (path := self.database) else self.origin


def is_query(statement: str) -> bool:
    """Whether a statement of SQL reads and doesn't write."""
    words = statement.lstrip("( \t\r\n").split(None, 1)
    return bool(words) and words[0].upper().rstrip(";") in _QUERIES


def _paths(given: Any) -> Iterator[Path]:
    name = given
    if not isinstance(given, str | bytes | os.PathLike):
        inside = getattr(getattr(given, "_fileobj", None), "_file", None)  # a file in a zip archive
        name = getattr(inside or given, "name", None)
        if inside is None and not hasattr(given, "fileno"):
            return
    if not isinstance(name, str | bytes | os.PathLike):
        return
    text = os.fsdecode(name).removeprefix("file://")
    if path := _existing(text):
        yield path
    elif any(sign in text for sign in "*?[") and "://" not in text and len(text) < 4096:
        found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  # the pattern may be absolute
        yield from (path for name in found if (path := _existing(name)))


def _existing(name: str) -> Path | None:
    path = Path(name).expanduser() if name.startswith("~") else Path(name)
    try:
        return path if name and path.exists() else None
    except (OSError, ValueError):  # SQL is too long for a path, or holds what no path can
        return None


def _member(given: Any) -> str:
    """Return the name of a file inside the archive that it's read from."""
    inside = getattr(getattr(given, "_fileobj", None), "_file", None)
    return f"!{given.name}" if inside is not None and isinstance(getattr(given, "name", None), str) else ""


def _together(sources: list[str]) -> str:
    if len(sources) == 1:
        return sources[0]
    paths = [Path(source) for source in sources]
    alike = len({path.is_absolute() for path in paths}) == 1
    shared = Path(os.path.commonpath([path.parent for path in paths])) if alike else Path()
    endings = {path.suffix for path in paths}
    pattern = shared / (f"*{endings.pop()}" if len(endings) == 1 else "*")
    return f"{pattern.as_posix()} ({len(sources)} files)"
