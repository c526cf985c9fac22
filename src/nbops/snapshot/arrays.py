"""NumPy arrays and SciPy's sparse ones into digests: values in C order, shape and dtype, however they lie in memory.

Byte order, strides and the order of axes in memory are not content, nor is the padding between the fields of records.
What a mask hides isn't either. A sparse array counts by what it holds where, in whichever format; an array of text by the
dtype with its width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nbops.snapshot.plain import encoded
from nbops.snapshot.streams import UnknownContent, blocks_of, joined, new_hash, update_numbers


def array_digest(array: np.ndarray[Any, Any]) -> bytes:
    """Return 16 bytes over an array's dtype, shape and values.

    Raises
    ------
    UnknownContent
        If it holds objects without a content to tell.
    """
    header = f"{_dtype_name(array.dtype)} {array.shape}".encode()
    if isinstance(array, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(array)
        shown = np.asarray(array.filled(_zero(array.dtype)))
        return joined([header, b"masked", _values(shown), _values(mask)])
    return joined([header, _values(np.asarray(array))])


def sparse_digest(array: Any) -> bytes:
    """Return 16 bytes over a sparse array's dtype, shape and values."""
    rows = array.tocoo(copy=True)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    places = [np.asarray(axis, "int64") for axis in getattr(rows, "coords", (rows.row, rows.col))]
    order = np.lexsort(places[::-1])
    header = f"{_dtype_name(rows.data.dtype)} {rows.shape}".encode()
    return joined([header, *(_values(axis[order]) for axis in places), _values(rows.data[order])])


def _values(array: np.ndarray[Any, Any]) -> bytes:
    kind = array.dtype.kind
    if array.dtype.names:
        return joined(_values(np.asarray(array[name])) for name in array.dtype.names)
    running = new_hash()
    for block in blocks_of(array):
        if kind in "biufc":
            update_numbers(running, block)
        elif kind in "mM":
            update_numbers(running, np.ascontiguousarray(block).view(block.dtype.str.replace(kind, "i")[:3]))
        elif kind in "OT":
            for value in block:
                content = encoded(value)
                running.update(len(content).to_bytes(8, "little") + content)
        elif kind in "SUV":
            update_numbers(running, _bytewise(block))
        else:
            raise UnknownContent(str(array.dtype))
    return bytes(running.digest())


def _bytewise(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if not block.dtype.itemsize or not len(block):
        return np.zeros(0, "uint8")
    little = block.astype(block.dtype.newbyteorder("<"), copy=False)
    return np.ascontiguousarray(little).view(f"V{little.dtype.itemsize}").view("uint8").reshape(-1)


def _dtype_name(dtype: np.dtype[Any]) -> str:
    """Return a dtype's name, without the order of its bytes and the padding of its fields."""
    if dtype.names:
        fields = ((name, dtype.fields[name][0]) for name in dtype.names) if dtype.fields else ()
        return f"[{', '.join(f'{name!r}: {_dtype_name(field)}' for name, field in fields)}]"
    if dtype.subdtype:
        return f"{_dtype_name(dtype.subdtype[0])}{dtype.subdtype[1]}"
    return dtype.str.lstrip("<>|=") if dtype.kind != "T" else "StringDType"


def _zero(dtype: np.dtype[Any]) -> Any:
    return np.zeros((), dtype)[()]
