"""Calls a bundle's scoring function: checked columns in, plain lists of predictions out.

The package folder is loaded under its own name from where it lies, installed or not, after its stored objects have
been checked. The function gets a DataFrame with exactly the declared columns and dtypes; what it gives back (array,
Series, list, DataFrame) must hold one prediction a row of the declared type. If the function raises, the caller
learns an incident number and the log has the traceback under it.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .manifest import Column, Manifest, OutputColumn, check_objects
from .refusal import Refusal, StartError
from .signature import Batch, Values

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger("nbops.serving")

_DTYPES: dict[str, npt.DTypeLike] = {
    "boolean": np.bool_,
    "integer": np.int32,
    "long": np.int64,
    "float": np.float32,
    "double": np.float64,
}
_WIDER = {("f", "i"), ("f", "u"), ("f", "b"), ("i", "u"), ("i", "b")}  # declared kind, kind that widens to it


@dataclass(frozen=True, slots=True)
class Predictions:
    """What a request's rows were scored: one plain list of values for each declared output column."""

    rows: int
    columns: dict[str, list[Any]]


class Scorer:
    """A loaded scoring function.

    Parameters
    ----------
    manifest
        What the function takes and gives.
    function
        The scoring function itself.
    """

    def __init__(self, manifest: Manifest, function: Callable[[Any], Any]) -> None:
        self.manifest = manifest
        self.function = function

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> Scorer:
        """Return the scorer of the package in `folder`.

        Raises
        ------
        StartError
            If an object is missing or was changed, or the scoring module can't be imported.
        """
        check_objects(folder, manifest)
        module, _, name = manifest.entry.partition(":")
        importlib.import_module("pandas")  # before the first request, not in it
        try:
            _import_package(folder, manifest.package)
            function = getattr(importlib.import_module(f"{manifest.package}.{module}"), name, None)
        except Exception as error:
            logger.exception("%s: the scoring code can't be imported", folder)
            raise StartError(
                f"{folder}: the scoring code can't be imported: {type(error).__name__}: {error}"
            ) from error
        if not callable(function):
            raise StartError(f"{folder}: {manifest.entry} is not a function")
        return cls(manifest, function)

    def __call__(self, batch: Batch) -> Predictions:
        """Score `batch`; a `Refusal` with status 500 when the scoring function fails."""
        output = self.manifest.output
        if batch.rows == 0:  # scikit-learn refuses empty frames, and there is nothing to ask it
            return Predictions(0, {field.name: [] for field in output.fields})
        try:
            result = self.function(frame(batch, self.manifest.input.columns))
            return Predictions(batch.rows, _plain(result, output.fields, output.single, batch.rows))
        except (Exception, SystemExit) as error:
            incident = secrets.token_hex(4)
            logger.exception("scoring failed, incident %s", incident)
            message = f"scoring failed; the service's log has the cause under incident {incident}"
            raise Refusal(message, status=500, reason="scoring_failed") from error


def frame(batch: Batch, columns: tuple[Column, ...]) -> pd.DataFrame:
    """Return `batch` as the DataFrame that the scoring function was written for."""
    import pandas as pd

    data = {column.name: _series_data(pd, column, batch.columns[column.name]) for column in columns}
    return pd.DataFrame(data, index=pd.RangeIndex(batch.rows))


def _series_data(pd: Any, column: Column, values: Values) -> Any:
    array = values.array
    if values.mask is not None:
        cls = pd.arrays.BooleanArray if column.type == "boolean" else pd.arrays.IntegerArray
        return cls(array, values.mask)
    if column.type == "string":
        if int(pd.__version__.partition(".")[0]) >= 3:
            return pd.array(array, dtype="str")
        array[array == None] = np.nan  # noqa: E711 - elementwise
        return array
    if column.tz:
        return pd.DatetimeIndex(array).tz_localize("UTC")
    return array


def _plain(result: Any, fields: tuple[OutputColumn, ...], single: bool, rows: int) -> dict[str, list[Any]]:
    if hasattr(result, "columns"):
        if single and len(result.columns) != 1:
            raise ValueError(f"expected one column of predictions, got {list(result.columns)}")
        parts = [result.iloc[:, 0]] if single else [result[field.name] for field in fields]
    else:
        array = result if hasattr(result, "to_numpy") else np.asarray(result)
        if array.ndim == 2 and array.shape[1] == len(fields):
            parts = [array[:, i] for i in range(len(fields))]
        elif array.ndim == 1 and single:
            parts = [array]
        else:
            raise ValueError(f"expected {len(fields)} column(s) of predictions, got shape {array.shape}")
    columns = {field.name: _values(part, field) for field, part in zip(fields, parts, strict=True)}
    for name, values in columns.items():
        if len(values) != rows:
            raise ValueError(f"{len(values)} predictions '{name}' for {rows} rows")
    return columns


def _values(part: Any, field: OutputColumn) -> list[Any]:
    masked = not isinstance(getattr(part, "dtype", None), np.dtype) and hasattr(part, "isna") and part.isna().any()
    if masked and field.type != "datetime":  # pandas would turn integers with gaps into doubles
        array = part.to_numpy(dtype=object)
    else:
        array = part.to_numpy() if hasattr(part, "to_numpy") else np.asarray(part)
    if field.type == "datetime":
        moments = array.astype("datetime64[us]").tolist()
        return [None if moment is None else moment.isoformat() for moment in moments]
    if array.dtype != object:
        return array.astype(str).tolist() if field.type == "string" else _cast(array, field)
    given = array.tolist()
    gaps = part.isna().tolist() if hasattr(part, "isna") else [v is None or v != v for v in given]
    present = [value for value, gap in zip(given, gaps, strict=True) if not gap]
    kept = iter(map(str, present) if field.type == "string" else _cast(np.array(present), field))
    return [None if gap else next(kept) for gap in gaps]


def _cast(array: npt.NDArray[Any], field: OutputColumn) -> list[Any]:
    if not array.size:
        return []
    dtype = np.dtype(_DTYPES[field.type])
    if array.dtype.kind != dtype.kind and (dtype.kind, array.dtype.kind) not in _WIDER:
        raise TypeError(f"predictions '{field.name}' are {array.dtype}, declared {field.type}")
    cast = array.astype(dtype, copy=False)
    if cast.dtype.kind == "i" and not np.array_equal(cast, array):
        raise OverflowError(f"predictions '{field.name}' don't fit a {field.type}")
    plain: list[Any] = cast.tolist()
    return plain


def _import_package(folder: Path, package: str) -> None:
    """Make `package` importable from `folder`, wherever that lies and whatever its last part is called."""
    place = folder.resolve()
    loaded = sys.modules.get(package)
    if loaded is not None:
        if [Path(path).resolve() for path in getattr(loaded, "__path__", [])] != [place]:
            raise StartError(f"{folder}: another package named '{package}' is already loaded")
        return
    spec = importlib.util.spec_from_file_location(
        package, place / "__init__.py", submodule_search_locations=[str(place)]
    )
    if spec is None or spec.loader is None or not (place / "__init__.py").is_file():
        raise StartError(f"{folder}: no package (it has no __init__.py)")
    module = importlib.util.module_from_spec(spec)
    sys.modules[package] = module
    spec.loader.exec_module(module)
