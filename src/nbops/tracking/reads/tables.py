"""What cells read, from the call of a reader to the line in the session's file.

A table is kept as a shallow copy, which under copy-on-write (pandas 3, polars, Arrow) stays as it was read, and
fingerprinted off the cell's path. Where there is no copy-on-write, or more would be held than ``[tracking] memory`` allows,
it's fingerprinted at once. Files are hashed later too; one that has changed in between is "unknown".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbops.project import Project
from nbops.snapshot.fingerprint import UNKNOWN, fingerprint
from nbops.snapshot.schemas import rows_of, schema_of
from nbops.snapshot.sources import delta_version, dvc_version
from nbops.tracking.reads import Read
from nbops.tracking.reads.contents import files_digest, grouped, opened
from nbops.tracking.reads.files import Opened, normal, taken
from nbops.tracking.reads.held import Held, allowed, keeps_content, shallow, size_of
from nbops.tracking.recording.background import Background
from nbops.tracking.recording.records import Data

_MOST = 200


@dataclass(slots=True)
class _Cell:
    """What a cell has read so far."""

    seq: int
    count: int = 0
    paths: set[str] = field(default_factory=set)
    told: set[tuple[str, str]] = field(default_factory=set)


class Tables:
    """Turns what readers tell into records.

    Parameters
    ----------
    project
        Whose root paths are relative to, and which says how much may be held.
    background
        Where fingerprints are taken.
    write
        Called with each record.
    """

    def __init__(self, project: Project, background: Background, write: Callable[[Data], None]) -> None:
        self._project = project
        self._background = background
        self._write = write
        self._held = Held(lambda: allowed(project))
        self._cell = _Cell(0)

    def take(self, seq: int, read: Read) -> None:
        """Record what the cell executed as number `seq` has read."""
        cell = self._of(seq)
        cell.count += 1
        if cell.count > _MOST:  # queries in a loop, say: the end tells how many more there were
            return
        paths = read.paths if read.origin is None else []
        cell.paths.update(normal(path) for path in paths)
        source = read.source(self._project)
        if read.version is None and len(paths) == 1 and (commit := delta_version(paths[0])) is not None:
            read = replace(read, version=f"delta:{commit}")
        if read.table is None:
            files = opened(paths or [path for path in [read.database] if path])
            self._background.add(lambda: self._record_files(cell, read, source, files, paths))
            return
        table = shallow(read.table)
        size = size_of(table)
        if keeps_content(table) and self._held.take(size):
            self._background.add(lambda: self._record_held(cell, read, source, table, paths, size))
        else:
            self._record_table(cell, read, source, table, paths)

    def end(self, seq: int, *, hidden: bool = False) -> None:
        """Record the files that the cell opened otherwise, unless it's `hidden`; to be called when it has ended."""
        cell, others = self._of(seq), taken()
        if hidden:
            return
        if more := max(0, cell.count - _MOST):
            self._write(Data(seq, f"{more} more reads", "", UNKNOWN))
        for files in grouped([file for file in others if file.path not in cell.paths]):
            self._add_files(cell, files)

    def _of(self, seq: int) -> _Cell:
        if self._cell.seq != seq:
            self._cell = _Cell(seq)
        return self._cell

    def _add_files(self, cell: _Cell, files: list[Opened]) -> None:
        read = Read("open", [Path(file.path) for file in files])
        source, paths = read.source(self._project), [Path(file.path) for file in files]
        self._background.add(lambda: self._record_files(cell, read, source, files, paths))

    def _record_held(self, cell: _Cell, read: Read, source: str, table: Any, paths: list[Path], size: int) -> None:
        try:
            self._record_table(cell, read, source, table, paths, threads=1)
        finally:
            self._held.release(size)

    def _record_table(
        self, cell: _Cell, read: Read, source: str, table: Any, paths: list[Path], *, threads: int | None = None
    ) -> None:
        digest = fingerprint(table, threads=threads)
        version = read.version or self._tracked(paths)
        self._tell(cell, Data(cell.seq, source, read.reader, digest, rows_of(table), schema_of(table), version))

    def _record_files(self, cell: _Cell, read: Read, source: str, files: list[Opened], paths: list[Path]) -> None:
        version = read.version or self._tracked(paths)
        columns = schema_of(read.answer) if read.answer is not None else {}
        if (digest := files_digest(files)) is not None:
            self._tell(cell, Data(cell.seq, source, read.reader, digest, None, columns, version))

    def _tracked(self, paths: list[Path]) -> str | None:
        return dvc_version(paths[0].absolute(), self._project.root) if len(paths) == 1 else None

    def _tell(self, cell: _Cell, data: Data) -> None:
        if (data.source, data.digest) not in cell.told:
            cell.told.add((data.source, data.digest))
            self._write(data)
