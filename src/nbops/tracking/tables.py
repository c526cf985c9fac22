"""Tables that cells read, from the call of a reader to the line in the session's file.

A frame is kept as a shallow copy, which under copy-on-write (pandas 3) stays as it was read, and fingerprinted off the cell's
path; where there is no copy-on-write it's fingerprinted at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbops.project import Project
from nbops.snapshot.fingerprint import fingerprint_file, fingerprint_frame, schema_of
from nbops.tracking.background import Background
from nbops.tracking.reads import Read
from nbops.tracking.records import Data


class Tables:
    """Turns what readers tell into records.

    Parameters
    ----------
    project
        Whose root paths are relative to.
    background
        Where fingerprints are taken.
    write
        Called with each record.
    """

    def __init__(self, project: Project, background: Background, write: Callable[[Data], None]) -> None:
        self._project = project
        self._background = background
        self._write = write

    def take(self, seq: int, read: Read) -> None:
        """Record what the cell executed as number `seq` has read."""
        source = read.source(self._project)
        if read.frame is None:
            if path := read.path:
                self._background.add(lambda: self._write(Data(seq, source, read.reader, fingerprint_file(path))))
            return
        frame = read.frame.copy(deep=False)
        if _copies_on_write():
            self._background.add(lambda: self._record(seq, source, read.reader, frame))
        else:
            self._record(seq, source, read.reader, frame)

    def _record(self, seq: int, source: str, reader: str, frame: Any) -> None:
        digest, columns = fingerprint_frame(frame), schema_of(frame)
        self._write(Data(seq, source, reader, digest, len(frame), columns))


def _copies_on_write() -> bool:
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3
