"""From untrusted values to the columns a model was trained on, or a refusal that names row and field.

`Signature` takes a request's values column by column, row by row or record by record, checks which columns are
there, and converts each to a numpy array of the declared type. The happy path looks at ``set(map(type, values))``,
one pass in C, and at each value only to find the culprit. Types are strict: an integer is fine for a double, no
other conversion happens; null is missing, and only a nullable column takes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from .dates import parse_dates
from .manifest import Column
from .refusal import Refusal, nearest, show

Array = npt.NDArray[Any]

_NULL: Final = type(None)
_FLOATS: Final = frozenset({float, int})
_ACCEPTED: Final[dict[str, frozenset[type]]] = {
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "long": frozenset({int}),
    "float": _FLOATS,
    "double": _FLOATS,
    "string": frozenset({str}),
    "datetime": frozenset({str}),
}
_EXPECTED: Final = {
    "boolean": "true or false",
    "integer": "an integer (32 bits)",
    "long": "an integer (64 bits)",
    "float": "a number",
    "double": "a number",
    "string": "a string",
    "datetime": "an ISO 8601 date or time as a string",
}


@dataclass(frozen=True, slots=True)
class Values:
    """One column: its array, and for booleans and integers, which have no value for missing, a mask."""

    array: Array
    mask: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """The checked columns of one request, in declared order; ``missing`` counts nulls where there are any."""

    rows: int
    columns: dict[str, Values]
    missing: dict[str, int]


class Signature:
    """The columns that a service takes.

    Parameters
    ----------
    columns
        As the manifest declares them.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = {column.name: column for column in columns}
        self.names = tuple(self.columns)

    def from_columns(self, given: Mapping[str, Sequence[Any]]) -> Batch:
        """Return the batch for one sequence of values a column; every refusal is a `Refusal`."""
        self._check_names(list(given))
        rows = len(next(iter(given.values()))) if given else 0
        for name, values in given.items():
            if len(values) != rows:
                first = next(iter(given))
                raise Refusal(f"{len(values)} values, but field '{first}' has {rows}", reason="ragged", field=name)
        return self._convert(rows, given)

    def from_rows(self, names: Sequence[Any], rows: Sequence[Any]) -> Batch:
        """Return the batch for `rows`, each an array of values in the order of `names`."""
        for name in names:
            if type(name) is not str:
                raise Refusal(f"a column's name must be a string, not {show(name)}", reason="malformed")
        self._check_names(names)
        if not rows:
            return self._convert(0, dict.fromkeys(names, ()))
        if set(map(type, rows)) != {list} or set(map(len, rows)) != {len(names)}:
            for number, row in enumerate(rows):
                if type(row) is not list:
                    raise Refusal(f"expected an array of values, not {show(row)}", reason="malformed", row=number)
                if len(row) != len(names):
                    raise Refusal(f"{len(row)} values for {len(names)} columns", reason="ragged", row=number)
        return self._convert(len(rows), dict(zip(names, zip(*rows, strict=True), strict=True)))

    def from_records(self, records: Sequence[Any]) -> Batch:
        """Return the batch for `records`, each an object from column name to value."""
        for number, record in enumerate(records):
            if type(record) is not dict:
                raise Refusal(f"expected an object, not {show(record)}", reason="malformed", row=number)
            if record.keys() != self.columns.keys():
                self._check_names(list(record), row=number)
        given = {name: [record.get(name) for record in records] for name in self.names}
        return self._convert(len(records), given)

    def _check_names(self, names: Sequence[str], row: int | None = None) -> None:
        seen: set[str] = set()
        for name in names:
            if name not in self.columns:
                hint = nearest(name, self.names)
                raise Refusal(f"unknown field; {hint}", reason="unknown_field", row=row, field=name)
            if name in seen:
                raise Refusal("given twice", reason="duplicate_field", row=row, field=name)
            seen.add(name)
        for name, column in self.columns.items():
            if column.required and name not in seen:
                expected = _EXPECTED[column.type]
                raise Refusal(f"missing; expected {expected}", reason="missing_field", row=row, field=name)

    def _convert(self, rows: int, given: Mapping[str, Sequence[Any]]) -> Batch:
        columns: dict[str, Values] = {}
        missing: dict[str, int] = {}
        for name, column in self.columns.items():
            values = given.get(name)
            if values is None:
                values = (None,) * rows
            columns[name], nulls = convert(column, values)
            if nulls:
                missing[name] = nulls
        return Batch(rows, columns, missing)


def convert(column: Column, values: Sequence[Any]) -> tuple[Values, int]:
    """Return `values` as the array that `column` declares, and how many of them are null.

    Raises
    ------
    Refusal
        Naming the first row whose value isn't what the column takes.
    """
    kinds = set(map(type, values))
    accepted = _ACCEPTED[column.type]
    nulls = values.count(None) if _NULL in kinds else 0
    if not (kinds <= accepted or (column.nullable and kinds <= accepted | {_NULL})):
        raise _culprit(column, values, accepted)
    match column.type:
        case "double" | "float":
            return Values(_floats(column, values)), nulls
        case "string":
            return Values(np.array(values, dtype=object)), nulls
        case "datetime":
            return Values(parse_dates(values, column.name, aware=column.tz is not None)), nulls
        case _:
            return _whole(column, values, nulls), nulls


def _floats(column: Column, values: Sequence[Any]) -> Array:
    dtype = np.float64 if column.type == "double" else np.float32
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype=np.float64).astype(dtype, copy=False)
    except OverflowError:  # an integer beyond the largest double
        array = np.array([np.inf if _too_large(value) else value for value in values], dtype=dtype)
    if np.isinf(array).any():
        row = int(np.isinf(array).argmax())
        message = f"{show(values[row])} is outside the range of a {column.type}"
        raise Refusal(message, reason="out_of_range", row=row, field=column.name)
    return array


def _whole(column: Column, values: Sequence[Any], nulls: int) -> Values:
    dtype = {"boolean": np.bool_, "integer": np.int32, "long": np.int64}[column.type]
    mask = np.fromiter((value is None for value in values), np.bool_, len(values)) if column.nullable else None
    filled = [0 if value is None else value for value in values] if nulls else values
    if column.type != "boolean" and filled:
        info = np.iinfo(dtype)
        if min(filled) < info.min or max(filled) > info.max:
            row = next(i for i, value in enumerate(filled) if not info.min <= value <= info.max)
            message = f"{show(filled[row])} is outside {info.min} … {info.max}; expected {_EXPECTED[column.type]}"
            raise Refusal(message, reason="out_of_range", row=row, field=column.name)
    return Values(np.array(filled, dtype=dtype), mask)


def _culprit(column: Column, values: Iterable[Any], accepted: frozenset[type]) -> Refusal:
    for row, value in enumerate(values):
        if type(value) in accepted or (value is None and column.nullable):
            continue
        expected = _EXPECTED[column.type]
        if value is None:
            return Refusal(f"null, but {expected} is required", reason="null", row=row, field=column.name)
        also = " or null" if column.nullable else ""
        return Refusal(
            f"expected {expected}{also}, not {_kind(value)}", reason="wrong_type", row=row, field=column.name
        )
    raise AssertionError("only called when a value is wrong")


def _kind(value: object) -> str:
    word = {bool: "the boolean ", int: "the number ", float: "the number ", str: "the string "}
    return word.get(type(value), "") + show(value)


def _too_large(value: object) -> bool:
    return type(value) is int and abs(value) >= 2**1024
