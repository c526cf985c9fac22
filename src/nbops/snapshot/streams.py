"""Numbers into a running hash: in blocks that stay in the processor's cache, and always as the same bytes.

What doesn't need a change goes to XXH3-128 as it lies in memory, in one call that lets other threads run. Otherwise blocks
are copied to where they are put in order: strides, byte order, the slots of missing values, which Arrow leaves undefined, and
NaN: processors disagree on its sign and libraries on its payload, so that every NaN is one. 0.0 and -0.0 stay two values,
since what is computed from them can differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import xxhash

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 1 << 16
_NAT = -(1 << 63)


class UnknownContent(Exception):  # it never leaves this package: `fingerprint` answers "unknown"
    """A value has no content that could be told the same way in another session."""


def new_hash() -> Any:
    """Return a running XXH3-128."""
    return xxhash.xxh3_128()


def joined(parts: Iterable[bytes]) -> bytes:
    """Return 16 bytes that stand for `parts`, each with its length, in their order."""
    running = new_hash()
    for part in parts:
        running.update(len(part).to_bytes(8, "little"))
        running.update(part)
    return bytes(running.digest())


def update_numbers(running: Any, values: np.ndarray[Any, Any], missing: np.ndarray[Any, Any] | None = None) -> None:
    """Add one-dimensional numbers of a numeric dtype to `running`; those that are `missing` as zeros."""
    import numpy as np

    values = values.view("uint8") if values.dtype.kind == "b" else values
    if values.dtype.kind == "c":
        update_numbers(running, _parts_of_complex(values), None if missing is None else missing.repeat(2))
        return
    floating = values.dtype.kind == "f"
    swap = not values.dtype.isnative
    if not floating and missing is None and not swap and values.flags.c_contiguous:
        running.update(values.data if values.dtype.kind in "iu" else values.view("uint8").data)
        return
    for start in range(0, len(values), _BLOCK):
        block = np.ascontiguousarray(values[start : start + _BLOCK])
        if swap:
            block = block.astype(block.dtype.newbyteorder("="))
        if missing is not None and (gone := missing[start : start + _BLOCK]).any():
            block = np.where(gone, np.zeros(1, block.dtype), block)
        if floating and (strange := np.isnan(block)).any():
            block = np.where(strange, np.full(1, np.nan, block.dtype), block)
        running.update(_without_padding(block).data)


def update_times(running: Any, values: np.ndarray[Any, Any]) -> None:
    """Add 64-bit times in microseconds or nanoseconds, so that equal times are equal in either unit."""
    import numpy as np

    counts = np.ascontiguousarray(values.view("int64"))
    if np.datetime_data(values.dtype)[0] == "us":
        running.update(counts.data)
        return
    finer, between = new_hash(), False
    for start in range(0, len(counts), _BLOCK):
        block = counts[start : start + _BLOCK]
        coarse = block // 1000
        rest = block - coarse * 1000
        coarse[block == _NAT] = _NAT
        rest[block == _NAT] = 0
        running.update(coarse.data)
        if rest.any():
            where = np.flatnonzero(rest)
            finer.update((where + start).data)
            finer.update(rest[where].data)
            between = True
    if between:
        running.update(finer.digest())


def blocks_of(array: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
    """Yield an array's elements in C order as one-dimensional arrays, without a copy of the whole."""
    import numpy as np

    if array.flags.c_contiguous or array.ndim < 2:
        yield array.reshape(-1)
        return
    rows = max(1, _BLOCK // max(1, array[0].size))
    for start in range(0, len(array), rows):
        yield np.ascontiguousarray(array[start : start + rows]).reshape(-1)


def _parts_of_complex(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.ascontiguousarray(values).view(values.real.dtype)


def _without_padding(block: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an extended float's 10 bytes of 16; the others are whatever was in memory."""
    import numpy as np

    if block.dtype.kind == "f" and block.itemsize == 16 and np.finfo(block.dtype).nmant == 63:
        return np.ascontiguousarray(block.view("uint8").reshape(-1, 16)[:, :10])
    return block if block.dtype.kind in "iuf" and block.itemsize <= 8 else block.view("uint8")
