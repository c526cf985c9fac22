"""Recorded examples: rows as the notebook had them, with what it predicted; the proof replays them.

The rows are spread over the frame and include its edges: each column's extremes, a missing value where there is one,
and rare categories. Values are in the wire format (JSON, null for missing, ISO 8601 dates), where doubles
survive bit for bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbops.errors import SliceError
from nbops.snapshot.fingerprint import schema_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_SPREAD = 192
_RAREST = 4


def choose_rows(frame: pd.DataFrame) -> list[int]:
    """Return the positions of the rows to record, in order."""
    import numpy as np

    count = len(frame)
    rows = set(np.linspace(0, count - 1, min(_SPREAD, count)).astype(int).tolist())
    for position in range(frame.shape[1]):
        rows.update(_edges(frame.iloc[:, position]))
    return sorted(rows)


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
    columns = []
    for name, kind in schema_of(frame).items():
        values = frame[name] if name in frame.columns else None
        if values is None or getattr(values, "ndim", 1) != 1:
            raise SliceError(
                f"the input's column {name!r} has no unique text name", where=where, remedy="rename the column"
            )
        if kind == "string" and not _is_text(values):
            raise SliceError(
                f"the input's column '{name}' holds {type(values.dropna().iloc[0]).__name__} objects",
                where=where,
                remedy="use numbers, booleans, text or dates in the frame that is scored",
            )
        nullable = bool(values.isna().any()) or kind in ("float", "double")
        column: dict[str, Any] = {"name": name, "type": kind, "required": True, "nullable": nullable}
        if getattr(values.dtype, "tz", None) is not None:
            column["tz"] = "UTC"
        columns.append(column)
    return columns


def predictions_of(value: Any, rows: int, *, name: str, where: str) -> tuple[dict[str, Any], list[Any]]:
    """Return the output's signature and one JSON prediction for each row.

    Raises
    ------
    SliceError
        If `value` isn't one prediction (a scalar, or a record of named columns) a row.
    """
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        if len(value) == rows:
            schema = schema_of(value)
            columns = [{"name": column, "type": kind} for column, kind in schema.items()]
            wire = [dict(zip(schema, row, strict=True)) for row in to_wire(value)]
            return {"name": name, "columns": columns}, wire
    else:
        array = value.to_numpy() if isinstance(value, pd.Series) else np.asarray(value)
        if array.ndim == 2 and array.shape[1] == 1:
            array = array[:, 0]
        if array.ndim == 1 and len(array) == rows:
            series = pd.Series(array)
            return {"name": name, "type": schema_of(series.to_frame("y"))["y"]}, _wire_column(series)
    shape = getattr(value, "shape", None) or (len(value) if hasattr(value, "__len__") else type(value).__name__)
    raise SliceError(
        f"'{name}' ({shape}) isn't one prediction for each of the {rows} rows of the input",
        where=where,
        remedy="predictions are a column: an array, a Series, or a frame with named columns",
    )


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
        rarest = values.value_counts().index[-_RAREST:]
        rows += [int(np.argmax((values == category).to_numpy())) for category in rarest]
    return rows


def _is_text(values: pd.Series) -> bool:
    import pandas as pd

    return pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty")


def _wire_column(values: pd.Series) -> list[Any]:
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return [None if value is pd.NaT else value.isoformat() for value in values]
    missing: np.ndarray[Any, Any] = values.isna().to_numpy()
    return [None if gone else value for gone, value in zip(missing, values.tolist(), strict=True)]
