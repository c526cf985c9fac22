"""What columns a table has, in the types that MLflow names: boolean, integer, long, float, double, string, datetime."""

from __future__ import annotations

from typing import Any


def schema_of(table: Any) -> dict[str, str]:
    """Return MLflow's type name for each column of a frame, an Arrow table or an array; nothing for what has none."""
    if hasattr(table, "iloc") and hasattr(table, "columns"):
        return {str(name): _of_pandas(column.dtype) for name, column in table.items()}
    if hasattr(table, "iloc"):
        return {str(table.name): _of_pandas(table.dtype)}
    if hasattr(table, "collect_schema"):  # polars
        return {name: _of_arrow(str(kind).lower()) for name, kind in table.collect_schema().items()}
    if hasattr(table, "schema") and type(table).__module__.startswith("pyarrow"):
        return {field.name: _of_arrow(str(field.type)) for field in table.schema}
    if hasattr(table, "dtype") and hasattr(table, "shape") and hasattr(table.dtype, "kind"):
        width = table.shape[1] if len(table.shape) == 2 else 1
        return {str(number): _of_pandas(table.dtype) for number in range(min(width, _WIDEST))}
    return {}


def rows_of(table: Any) -> int | None:
    """Return how many rows a table, series, array or list of rows has, None where it isn't known."""
    shape = getattr(table, "shape", None)
    if isinstance(shape, tuple) and shape:
        return int(shape[0])
    if hasattr(table, "num_rows"):
        return int(table.num_rows)
    return len(table) if isinstance(table, list) else None


_WIDEST = 1000


def _of_pandas(dtype: Any) -> str:
    from pandas.api import types

    if type(dtype).__name__ == "SparseDtype":
        dtype = dtype.subtype
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


def _of_arrow(name: str) -> str:
    if name in ("bool", "boolean"):
        return "boolean"
    if name.startswith(("int", "uint")) and name.lstrip("uint").isdigit():
        return "integer" if name in ("int8", "int16", "int32", "uint8", "uint16") else "long"
    if name in ("halffloat", "float", "float16", "float32"):
        return "float"
    if name in ("double", "float64"):
        return "double"
    if name.startswith(("timestamp", "datetime", "date")):
        return "datetime"
    return "binary" if "binary" in name else "string"
