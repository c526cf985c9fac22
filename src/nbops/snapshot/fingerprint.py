"""Fingerprints of content: the same in every session and on every machine, and different for every change.

A frame is turned, column by column, into one canonical Arrow form (large strings, decoded dictionaries, nanosecond
timestamps, one chunk) and its buffers are hashed with XXH3-128, together with names, dtypes, order and index. Slots
under nulls are zeroed first, because Arrow leaves them undefined. Files are hashed by their bytes.

XXH3 is not cryptographic: it finds changes, it doesn't stop forgeries. (Yann Collet, xxHash specification, 2023.)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_BLOCK = 1 << 22


def fingerprint_file(path: Path) -> str:
    """Return 32 hex digits over a file's bytes."""
    import xxhash

    running = xxhash.xxh3_128()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            running.update(block)
    return str(running.hexdigest())


def fingerprint_frame(frame: pd.DataFrame) -> str:
    """Return 32 hex digits over a frame's values, dtypes, column names and their order, and index."""
    import pandas as pd
    import xxhash

    running = xxhash.xxh3_128()
    running.update(f"frame 1 {len(frame)} {frame.shape[1]}".encode())
    index = frame.index
    if isinstance(index, pd.RangeIndex):
        running.update(f"range {index.start} {index.step} {index.name!r}".encode())
    else:
        for level in range(index.nlevels):
            _update(running, f"index {index.names[level]!r}", index.get_level_values(level))
    for position, name in enumerate(frame.columns):
        _update(running, f"column {name!r}", frame.iloc[:, position])
    return str(running.hexdigest())


def schema_of(frame: pd.DataFrame) -> dict[str, str]:
    """Return MLflow's type name for each column: boolean, integer, long, float, double, string, datetime, binary."""
    return {str(name): _mlflow_type(frame.iloc[:, position]) for position, name in enumerate(frame.columns)}


def _update(running: Any, label: str, values: Any) -> None:
    dtype = str(values.dtype)
    running.update(f"{label} {'str' if dtype in ('object', 'string') else dtype}".encode())
    array = _canonical(values)
    if array is None:  # mixed Python objects: Arrow has no type for them, their text has to do
        for value in values:
            text = f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass")
            running.update(f"{len(text)} ".encode() + text)
        return
    running.update(str(array.type).encode())
    for buffer in _buffers(array):
        running.update(f"buffer {len(buffer)}".encode())
        running.update(buffer)


def _canonical(values: Any) -> pa.Array | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeEncodeError):
        return None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type):
        array = array.cast(pa.large_string())
    if pa.types.is_timestamp(array.type) and array.type.unit != "ns":
        array = pc.cast(array, pa.timestamp("ns", tz=array.type.tz), safe=False)
    return array


def _buffers(array: pa.Array) -> list[bytes | memoryview]:
    """Return the buffers that stand for exactly the array's content, offset and garbage under nulls removed."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    mask = b"" if array.null_count == 0 else np.packbits(pc.is_null(array).to_numpy(zero_copy_only=False)).tobytes()
    if pa.types.is_boolean(kind):
        return [mask, np.packbits(pc.fill_null(array, False).to_numpy(zero_copy_only=False)).tobytes()]
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        filled = pc.fill_null(array, "" if pa.types.is_large_string(kind) else b"") if array.null_count else array
        offsets = np.frombuffer(filled.buffers()[1], dtype="<i8")[filled.offset : filled.offset + len(filled) + 1]
        data = filled.buffers()[2]
        content = memoryview(data)[offsets[0] : offsets[-1]] if data is not None and len(offsets) else b""
        return [mask, np.ascontiguousarray(offsets - offsets[0] if len(offsets) else offsets).data, content]
    if pa.types.is_primitive(kind):
        width = kind.bit_width // 8
        if array.null_count:
            array = pc.fill_null(array, pa.scalar(0, pa.int64()).cast(kind) if not pa.types.is_floating(kind) else 0.0)
        data = array.buffers()[1]
        start = array.offset * width
        return [mask, memoryview(data)[start : start + len(array) * width] if data is not None else b""]
    return [mask, repr(array.to_pylist()).encode("utf-8", "surrogatepass")]


def _mlflow_type(values: Any) -> str:
    from pandas.api import types

    dtype = values.dtype
    if types.is_bool_dtype(dtype):
        return "boolean"
    if types.is_integer_dtype(dtype):
        narrow = dtype.itemsize < 4 or (dtype.itemsize == 4 and types.is_signed_integer_dtype(dtype))
        return "integer" if narrow else "long"
    if types.is_float_dtype(dtype):
        return "float" if dtype.itemsize <= 4 else "double"
    if types.is_datetime64_any_dtype(dtype):
        return "datetime"
    return "string"
