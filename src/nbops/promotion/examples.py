"""Recorded examples: rows as the notebook had them, with what it predicted; the proof replays them.

The rows are spread over the frame and include its edges: each column's extremes, a missing value where there is one,
and rare categories. Values are in the wire format (JSON, null for missing, ISO 8601 dates), where doubles
survive bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbops.errors import SliceError
from nbops.snapshot.fingerprint import schema_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_SPREAD = 192
_RAREST = 4


def choose_rows(frame: pd.DataFrame) -> list[int]:
    """Return the positions of the rows to record, in order; rows with an infinity can't be sent, so none of those."""
    import numpy as np

    finite = np.ones(len(frame), dtype=bool)
    for position in range(frame.shape[1]):
        if frame.iloc[:, position].dtype.kind == "f":
            finite &= ~np.isinf(frame.iloc[:, position].to_numpy(dtype=np.float64, na_value=np.nan))
    places = np.flatnonzero(finite)
    count = len(places)
    if not count:
        return []
    rows = set(np.linspace(0, count - 1, min(_SPREAD, count)).astype(int).tolist())
    for position in range(frame.shape[1]):
        rows.update(_edges(frame.iloc[places, position]))
    return sorted(places[sorted(rows)].tolist())


def to_wire(frame: pd.DataFrame) -> list[list[Any]]:
    """Return a frame's rows as JSON values."""
    columns = [_wire_column(frame.iloc[:, position]) for position in range(frame.shape[1])]
    return [list(row) for row in zip(*columns, strict=True)]


def input_columns(frame: pd.DataFrame, *, where: str) -> list[dict[str, Any]]:
    """Return the signature's columns for a frame: name, MLflow type, and whether a value may be missing.

    Raises
    ------
    SliceError
        If a column's name isn't text, or its values have no type on the wire.
    """
    if not frame.shape[1]:
        raise SliceError("the input has no columns", where=where)
    _check_names(frame, "the input", where)
    columns = []
    for name in frame.columns:
        values = frame[name]
        kind = _type_of(values, f"the input's column '{name}'", where)
        nullable = bool(values.isna().any()) or kind in ("float", "double")
        column: dict[str, Any] = {"name": name, "type": kind, "required": True, "nullable": nullable}
        if getattr(values.dtype, "tz", None) is not None:
            column["tz"] = "UTC"
        columns.append(column)
    return columns


def dtypes_to_restore(frame: pd.DataFrame, columns: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return, as code, the dtypes of columns that a request can't carry, such as categories or a time zone."""
    import pandas as pd

    codes = {}
    for column in columns:
        dtype = frame[column["name"]].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            codes[column["name"]] = f"CategoricalDtype({dtype.categories.tolist()!r}, ordered={dtype.ordered})"
        elif str(dtype) not in _given_dtypes(column):
            codes[column["name"]] = repr(str(dtype))
    return codes


def predictions_of(value: Any, rows: int, *, name: str, where: str) -> tuple[dict[str, Any], list[Any]]:
    """Return the output's signature and one JSON prediction for each row.

    Raises
    ------
    SliceError
        If `value` isn't one prediction (a scalar, or a record of named columns) a row.
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame) and len(value) == rows:
        _check_names(value, f"'{name}'", where)
        schema = {column: _type_of(value[column], f"'{name}', column '{column}'", where) for column in value.columns}
        wire = [dict(zip(schema, row, strict=True)) for row in to_wire(value)]
        return {"name": name, "columns": [{"name": column, "type": kind} for column, kind in schema.items()]}, wire
    if not isinstance(value, pd.DataFrame):
        array: Any = value.array if isinstance(value, pd.Series | pd.Index) else np.asarray(value)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1 and len(array) == rows:
            series = pd.Series(array)
            return {"name": name, "type": _type_of(series, f"'{name}'", where)}, _wire_column(series)
    shape = getattr(value, "shape", None) or (len(value) if hasattr(value, "__len__") else type(value).__name__)
    raise SliceError(
        f"'{name}' ({shape}) isn't one prediction for each of the {rows} rows of the input",
        where=where,
        remedy=f"an array, a Series, or a frame with named columns: pd.DataFrame({name}, columns=[...])",
    )


def _check_names(frame: pd.DataFrame, what: str, where: str) -> None:
    for name in frame.columns:
        if not isinstance(name, str) or list(frame.columns).count(name) > 1:
            raise SliceError(
                f"{what} has a column {name!r}: names must be text, and each its own",
                where=where,
                remedy="rename the columns, such as with frame.columns = [...]",
            )


def _type_of(values: pd.Series, what: str, where: str) -> str:
    """Return the MLflow type of a column; objects count as what they all are."""
    import pandas as pd

    plain = pd.Series(values.dtype.categories) if isinstance(values.dtype, pd.CategoricalDtype) else values
    kind = schema_of(plain.to_frame("x"))["x"]
    if kind == "string" and pd.api.types.infer_dtype(plain, skipna=True) not in ("string", "empty"):
        present = plain.dropna()
        found = sorted({type(value).__name__ for value in present.head(1000)})
        raise SliceError(
            f"{what} holds {' and '.join(found)} objects ({values.dtype}), which have no type in a request",
            where=where,
            remedy="numbers, booleans, text or dates, each column of one dtype: .astype(...) or .convert_dtypes()",
        )
    return kind


def _given_dtypes(column: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the dtypes that a column of the signature arrives with, or that behave the same."""
    import pandas as pd

    whole = {"boolean": ("bool", "boolean"), "integer": ("int32", "Int32"), "long": ("int64", "Int64")}
    match column["type"]:
        case "string":
            return (str(pd.Series(["text"]).dtype),)
        case "datetime":
            return ("datetime64[us, UTC]",) if column.get("tz") else ("datetime64[us]",)
        case "float" | "double" as kind:
            return ("float32",) if kind == "float" else ("float64",)
        case kind:
            return (whole[kind][column["nullable"]],)


def _edges(values: pd.Series) -> list[int]:
    import numpy as np
    import pandas as pd

    rows: list[int] = []
    missing = values.isna().to_numpy()
    if missing.any():
        rows.append(int(np.argmax(missing)))
    if missing.all():
        return rows
    if pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_datetime64_any_dtype(values.dtype):
        present = np.flatnonzero(~missing)
        order = values.to_numpy()[present]
        rows += [int(present[order.argmin()]), int(present[order.argmax()])]
    else:
        counts = values.value_counts()
        rarest = counts.index[counts.to_numpy() > 0][-_RAREST:]
        rows += [int(np.argmax((values == category).to_numpy(dtype=bool, na_value=False))) for category in rarest]
    return rows


def _wire_column(values: pd.Series) -> list[Any]:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return [None if value is pd.NaT else value.isoformat() for value in values]
    missing: np.ndarray[Any, Any] = values.isna().to_numpy()
    plain = [None if gone else value for gone, value in zip(missing, values.tolist(), strict=True)]
    return [None if isinstance(value, float) and math.isinf(value) else value for value in plain]  # JSON has none
