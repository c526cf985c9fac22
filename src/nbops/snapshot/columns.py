"""Columns and indexes of pandas into digests that don't depend on the version of pandas that made them.

Two things are one because versions of pandas choose differently by themselves: strings kept as objects (2) or as ``str``
(3), and times in nanoseconds (2) or microseconds (3). All other changes of dtype count: widths, nullability, ``string`` and
Arrow's types, zones, the categories of a categorical, in their order, used or not. Missing is missing: None, NaN, NaT and NA
are one in a column. NumPy's columns are hashed where they lie, Arrow's chunk by chunk.
"""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa

from nbops.snapshot.arrow import column_digest as arrow_digest
from nbops.snapshot.plain import encoded_cell, zone_name
from nbops.snapshot.streams import joined, new_hash, update_numbers, update_times

_ARROW = {datetime.date: pa.date32, bytes: pa.binary, bool: pa.bool_}


def column_digest(values: Any) -> bytes:
    """Return 16 bytes over the dtype and the values of a Series or a flat Index, without its name.

    Raises
    ------
    UnknownContent
        If it holds objects without a content to tell.
    """
    import numpy as np
    import pandas as pd

    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _categorical(values)
    if dtype.kind in "mM" and not isinstance(dtype, pd.PeriodDtype | pd.ArrowDtype):
        return _times(values)
    if isinstance(dtype, np.dtype):
        array = values.to_numpy()
        return _objects(array) if dtype.kind == "O" else _numbers(array)
    if isinstance(dtype, pd.PeriodDtype):
        return joined([str(dtype).encode(), _numbers(values.array.view("int64"))])
    if isinstance(dtype, pd.IntervalDtype):
        sides = (column_digest(pd.Index(side)) for side in (values.array.left, values.array.right))
        return joined([f"interval {dtype.closed}".encode(), *sides])
    if isinstance(dtype, pd.SparseDtype):
        return joined([str(dtype).encode(), column_digest(pd.Series(np.asarray(values.array)))])
    return _extension(values, "str" if str(dtype) == "str" else str(dtype))


def _numbers(array: Any) -> bytes:
    running = new_hash()
    update_numbers(running, array)
    return joined([array.dtype.newbyteorder("<").name.encode(), bytes(running.digest())])


def _times(values: Any) -> bytes:
    import numpy as np

    array = np.asarray(values.array.view("int64"))
    unit = np.datetime_data(values.dtype)[0] if isinstance(values.dtype, np.dtype) else values.dtype.unit
    zone = zone_name(values.dtype.tz) if getattr(values.dtype, "tz", None) else ""
    running = new_hash()
    if unit in ("us", "ns"):
        update_times(running, array.view(f"m8[{unit}]"))
    else:
        update_numbers(running, array)
    name = "fine" if unit in ("us", "ns") else unit
    return joined([f"{values.dtype.kind} {name} {zone}".encode(), bytes(running.digest())])


def _categorical(values: Any) -> bytes:
    import numpy as np

    content = values.array
    running = new_hash()
    update_numbers(running, np.asarray(content.codes).astype("int32", copy=False))
    header = f"category {content.ordered} {len(content)}".encode()
    return joined([header, column_digest(content.categories), bytes(running.digest())])


def _objects(array: Any) -> bytes:
    from pandas.api.types import infer_dtype

    if infer_dtype(array, skipna=True) in ("string", "empty"):
        try:
            return joined([b"str", arrow_digest(pa.array(array, pa.large_string(), from_pandas=True))])
        except (pa.ArrowException, UnicodeError):  # lone surrogates, which Arrow doesn't take
            pass
    if (kind := _only_kind(array)) is not None:
        return joined([kind.__name__.encode(), arrow_digest(pa.array(array, _ARROW[kind](), from_pandas=True))])
    running = new_hash()
    for value in array:
        content = encoded_cell(value)
        running.update(len(content).to_bytes(8, "little") + content)
    return joined([f"object {len(array)}".encode(), bytes(running.digest())])


def _only_kind(array: Any) -> type | None:
    """Return the type of all values that aren't missing, if Arrow has one for exactly these."""
    kinds = set(map(type, array))
    found = kinds & _ARROW.keys()
    if len(found) != 1:
        return None
    others = kinds - found
    if float in others and all(value != value for value in array if type(value) is float):
        others.discard(float)
    return found.pop() if all(kind.__name__ in ("NoneType", "NAType", "NaTType") for kind in others) else None


def _extension(values: Any, name: str) -> bytes:
    try:
        content = pa.array(values.array, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):  # a type that Arrow has nothing for
        return joined([name.encode(), _objects(values.to_numpy(dtype=object))])
    return joined([name.encode(), arrow_digest(content)])
