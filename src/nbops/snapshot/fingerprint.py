"""Fingerprints of content: the same in every session and on every machine, and different for every change.

A value is told column by column in one canonical form, whatever way it was made, cut or laid out, and hashed by XXH3-128
together with names, dtypes, order and index: `columns` (pandas), `arrow`, `arrays` (NumPy, SciPy) and `plain` (Python's own
values) say what counts. What can't be told, such as a lazy frame or an open file, is "unknown". ``attrs``, metadata, chunks
and memory layout aren't content. Files are hashed by their bytes.

XXH3 is not cryptographic: it finds changes, it doesn't stop forgeries. (Yann Collet, xxHash specification, 2023.)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nbops.snapshot.contents import content_digest
from nbops.snapshot.schemas import schema_of
from nbops.snapshot.streams import UnknownContent, joined, new_hash

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FORMAT", "UNKNOWN", "fingerprint", "fingerprint_file", "fingerprint_frame", "schema_of"]

FORMAT = 2
"""The form's number; digests of different forms can't be compared."""
UNKNOWN = "unknown"
_BLOCK = 1 << 22


def fingerprint(value: object, *, threads: int | None = None) -> str:
    """Return 32 hex digits over a value's content, or `UNKNOWN`.

    Parameters
    ----------
    value
        A frame, series or index of pandas, an array of NumPy, SciPy (sparse), PyTorch or Arrow, an Arrow table, a frame or
        series of polars, a plain value, or lists, tuples, sets and dictionaries of these.
    threads
        How many hash at a time; by default as many as there are processors where it is large.
    """
    from nbops.snapshot.plain import encoded

    try:
        digest = content_digest(value, threads)
        content = encoded(value) if digest is None else b"content " + digest
    except UnknownContent:
        return UNKNOWN
    return joined([f"nbops {FORMAT}".encode(), content]).hex()


def fingerprint_frame(frame: pd.DataFrame) -> str:
    """Return 32 hex digits over a frame's values, dtypes, column names and their order, and index."""
    return fingerprint(frame)


def fingerprint_file(path: Path) -> str:
    """Return 32 hex digits over a file's bytes: what ``xxhsum -H2`` says."""
    running = new_hash()
    buffer = memoryview(bytearray(_BLOCK))
    with path.open("rb", buffering=0) as stream:
        while count := stream.readinto(buffer):
            running.update(buffer[:count])
    return str(running.hexdigest())
