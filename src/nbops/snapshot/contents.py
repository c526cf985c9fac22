"""Which digest a value has: frames, series and indexes, arrays, Arrow and polars tables; None for anything else.

A library that was never imported can't have made the value: types are looked for in the modules that are loaded, so that
asking costs no import.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from nbops.snapshot.streams import UnknownContent, joined

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_LARGE = 1 << 25
Job = Callable[[], bytes]


def content_digest(value: object, threads: int | None = 1) -> bytes | None:
    """Return 16 bytes over a value of one of these libraries, None for a value of another kind.

    Raises
    ------
    UnknownContent
        If it holds what can't be told, or isn't there yet: a lazy frame.
    """
    root = _library(value)
    if root == "pandas":
        return _of_pandas(value, threads)
    if root == "numpy":
        return _of_numpy(value)
    if root == "pyarrow":
        return _of_arrow(value, threads)
    if root == "polars":
        return _of_polars(value, threads)
    if root == "scipy":
        from nbops.snapshot.arrays import sparse_digest

        return joined([b"sparse", sparse_digest(value)])
    if root == "torch":
        return _of_torch(value)
    return None


def _library(value: object) -> str | None:
    """Return the library that a value's type, or what it inherits from, is known by."""
    modules = sys.modules
    for root, place, names in _KNOWN:
        module = modules.get(place)
        if module is not None and isinstance(
            value, tuple(kind for name in names if (kind := getattr(module, name, None)))
        ):
            return root
    return None


_KNOWN = (
    ("pandas", "pandas", ("DataFrame", "Series", "Index")),
    ("numpy", "numpy", ("ndarray", "generic")),
    ("pyarrow", "pyarrow", ("Table", "RecordBatch", "Array", "ChunkedArray", "Scalar")),
    ("polars", "polars", ("DataFrame", "Series", "LazyFrame")),
    ("scipy", "scipy.sparse", ("spmatrix", "sparray")),
    ("torch", "torch", ("Tensor",)),
)


def _of_pandas(value: Any, threads: int | None) -> bytes | None:
    import pandas as pd

    from nbops.snapshot.columns import column_digest
    from nbops.snapshot.plain import encoded

    if isinstance(value, pd.DataFrame):
        header = joined([b"frame", f"{value.shape}".encode(), *_names(value.columns)])
        jobs = [*_index_jobs(value.index), *(_job(column_digest, column) for _, column in value.items())]
        return joined([header, *_done(jobs, threads, _size(value))])
    if isinstance(value, pd.Series):
        header = joined([b"series", encoded(value.name)])
        return joined([header, column_digest(value), *_done(_index_jobs(value.index), 1, 0)])
    if isinstance(value, pd.Index):
        return joined([b"index", *_done(_index_jobs(value), 1, 0)])
    return None


def _names(columns: Any) -> Iterable[bytes]:
    from nbops.snapshot.plain import encoded, encoded_cell

    yield str(columns.nlevels).encode()
    yield from (encoded(name) for name in columns.names)
    yield from (encoded_cell(name) for name in columns.tolist())


def _index_jobs(index: Any) -> list[Job]:
    from nbops.snapshot.columns import column_digest
    from nbops.snapshot.plain import encoded

    names = joined([str(index.nlevels).encode(), *(encoded(name) for name in index.names)])
    if index.nlevels == 1:
        return [lambda: names, _job(column_digest, index)]
    levels = [_job(lambda level: column_digest(index.get_level_values(level)), level) for level in range(index.nlevels)]
    return [lambda: names, *levels]


def _of_numpy(value: Any) -> bytes:
    import numpy as np

    from nbops.snapshot.arrays import array_digest

    if isinstance(value, np.ndarray):
        return joined([b"array", array_digest(value)])
    return joined([b"scalar", array_digest(np.asarray(value))])


def _of_arrow(value: Any, threads: int | None) -> bytes:
    import pyarrow as pa

    from nbops.snapshot.arrow import column_digest

    if isinstance(value, pa.Table | pa.RecordBatch):
        return joined([b"table", _table(value, threads)])
    if isinstance(value, pa.Scalar):
        return joined([b"arrow scalar", column_digest(pa.array([value.as_py()], value.type))])
    return joined([b"arrow array", column_digest(value)])


def _of_polars(value: Any, threads: int | None) -> bytes:
    import polars as pl

    if isinstance(value, pl.LazyFrame):
        raise UnknownContent("LazyFrame")
    frame = value.to_frame() if isinstance(value, pl.Series) else value
    if any("Object" in str(kind) for kind in frame.dtypes):  # Arrow would get their addresses
        raise UnknownContent("Object")
    huge = [name for name, kind in frame.schema.items() if str(kind).endswith("Int128")]
    try:
        told = frame.with_columns(pl.col(huge).cast(pl.String)) if huge else frame
        table = told.to_arrow(compat_level=pl.CompatLevel.oldest())
    except Exception as error:  # a type that Arrow doesn't have
        raise UnknownContent("polars") from error
    kinds = [_polars_type(kind) for kind in frame.dtypes]
    header = joined([b"polars frame" if frame is value else b"polars series", *kinds])
    return joined([header, _table(table, threads)])


def _polars_type(kind: Any) -> bytes:
    """Return what of a type Arrow's doesn't say: an enumeration's members."""
    categories = getattr(kind, "categories", None)
    name = type(kind).__name__ if not isinstance(kind, type) else kind.__name__
    members = categories.to_list() if name == "Enum" and categories is not None else []
    return joined([name.encode(), *(str(member).encode("utf-8", "surrogatepass") for member in members)])


def _table(table: pa.Table | pa.RecordBatch, threads: int | None) -> bytes:
    from nbops.snapshot.arrow import column_digest

    header = joined([f"{table.num_rows} {table.num_columns}".encode(), *(n.encode() for n in table.schema.names)])
    jobs = [_job(column_digest, table.column(number)) for number in range(table.num_columns)]
    return joined([header, *_done(jobs, threads, table.nbytes)])


def _of_torch(value: Any) -> bytes:
    from nbops.snapshot.arrays import array_digest

    try:
        tensor = value.detach().cpu()
        narrow = str(tensor.dtype) == "torch.bfloat16"
        array = (tensor.view(sys.modules["torch"].int16) if narrow else tensor).numpy()
    except (TypeError, RuntimeError) as error:  # sparse, quantised or without data
        raise UnknownContent("Tensor") from error
    return joined([b"tensor", str(tensor.dtype).encode(), array_digest(array)])


def _job(function: Callable[[Any], bytes], argument: Any) -> Job:
    return lambda: function(argument)


def _done(jobs: Sequence[Job], threads: int | None, size: int) -> list[bytes]:
    """Return what the jobs return; in threads if it is much, since hashing lets other threads run."""
    if threads is None:
        threads = min(len(jobs), os.cpu_count() or 1, 8) if size > _LARGE else 1
    if threads < 2:
        return [job() for job in jobs]
    with ThreadPoolExecutor(threads, "nbops-fingerprint") as pool:
        return list(pool.map(lambda job: job(), jobs))


def _size(frame: pd.DataFrame) -> int:
    return int(frame.memory_usage(index=False, deep=False).sum())
