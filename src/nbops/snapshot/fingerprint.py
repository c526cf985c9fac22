"""Fingerprints of content: the same in every session and on every machine, and different for every change.

A frame is turned, column by column, into one canonical Arrow form (large strings, decoded dictionaries, one chunk) and its
buffers are hashed with XXH3-128, together with names, dtypes, order and index. Slots under nulls are zeroed first, because
Arrow leaves them undefined. Missing is missing: None, NaN, NaT and NA are one in a column; 0.0 and -0.0 are two values,
since what is computed from them can differ. Files are hashed by their bytes.

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
    import xxhash

    running = xxhash.xxh3_128()
    running.update(f"frame 1 {len(frame)} {frame.shape[1]}".encode())
    index = frame.index
    for level in range(index.nlevels):
        _update(running, f"index {index.names[level]!r}", index.get_level_values(level))
    for position, name in enumerate(frame.columns):
        _update(running, f"column {name!r}", frame.iloc[:, position])
    return str(running.hexdigest())


def schema_of(frame: pd.DataFrame) -> dict[str, str]:
    """Return MLflow's type name for each column: boolean, integer, long, float, double, string, datetime, binary."""
    return {str(name): _mlflow_type(frame.iloc[:, position]) for position, name in enumerate(frame.columns)}


def _update(running: Any, label: str, values: Any) -> None:
    dtype = "str" if str(values.dtype) in ("object", "string") else str(values.dtype)
    ordered = " ordered" if getattr(values.dtype, "ordered", False) else ""
    running.update(f"{label} {dtype}{ordered}".encode())
    array = _canonical(values)
    if array is None:  # mixed Python objects: Arrow has no type for them
        for value in values:
            content = _object_bytes(value)
            running.update(f"{len(content)} ".encode() + content)
        return
    running.update(str(array.type).encode())
    for buffer in _buffers(array):
        running.update(f"buffer {len(buffer)}".encode())
        running.update(buffer)


def _object_bytes(value: Any) -> bytes:
    kind = type(value).__name__.encode()
    if hasattr(value, "tobytes") and hasattr(value, "shape"):  # an array's text leaves out its middle
        return kind + f" {value.dtype} {value.shape} ".encode() + bytes(value.tobytes())
    return kind + b" " + repr(value).encode("utf-8", "surrogatepass")


def _canonical(values: Any) -> pa.Array | None:
    import pandas as pd
    import pyarrow as pa

    content = values.array if isinstance(values.dtype, pd.api.extensions.ExtensionDtype) else values.to_numpy()
    if values.dtype.kind in "mM" or isinstance(values.dtype, pd.PeriodDtype):
        content = values.array.view("int64")  # unit and zone are in the dtype
    try:
        array = pa.array(content, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_string(array.type) or pa.types.is_string_view(array.type):
        array = array.cast(pa.large_string())
    return array


def _buffers(array: pa.Array) -> list[bytes | memoryview]:
    """Return the buffers that stand for exactly the array's content, offset and garbage under nulls removed."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = array.type
    missing = pc.is_null(array).to_numpy(zero_copy_only=False) if array.null_count else None
    mask = b"" if missing is None else np.packbits(missing).tobytes()
    if pa.types.is_boolean(kind):
        return [mask, np.packbits(pc.fill_null(array, False).to_numpy(zero_copy_only=False)).tobytes()]
    if pa.types.is_large_string(kind):
        filled = pc.fill_null(array, "") if array.null_count else array
        offsets = np.frombuffer(filled.buffers()[1] or b"", dtype="<i8")[
            filled.offset : filled.offset + len(filled) + 1
        ]
        data = filled.buffers()[2]
        if not len(offsets):
            return [mask, b"", b""]
        content = memoryview(data)[offsets[0] : offsets[-1]] if data is not None else b""
        return [mask, np.ascontiguousarray(offsets - offsets[0]).data, content]
    if pa.types.is_primitive(kind) or pa.types.is_decimal(kind):
        data, width = array.buffers()[1], kind.bit_width // 8
        if data is None:
            return [mask, b""]
        content = memoryview(data)[array.offset * width : (array.offset + len(array)) * width]
        if missing is not None:
            cells = np.frombuffer(content, dtype=f"V{width}").copy()
            cells[missing] = b"\0" * width
            content = cells.tobytes()
        return [mask, content]
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
