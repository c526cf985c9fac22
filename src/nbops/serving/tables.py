"""CSV to columns: a header row, then values that are read by the declared type of their column.

An empty cell is missing (for strings too: CSV can't tell it from an empty string); so are ``nan`` and ``NaN`` among
numbers. Nothing else is guessed: the text NA is a string, and ``1_000``, ``0x10`` or ``inf`` are no numbers.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from .manifest import Column
from .refusal import Refusal, show

_INTEGER = re.compile(r"[+-]?\d{1,400}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


def read_csv(body: bytes, columns: Mapping[str, Column]) -> dict[str, Sequence[Any]]:
    """Return the values of `body` by column, read as `columns` declare them; a `Refusal` when it is no CSV."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal(f"the body is not valid UTF-8: {error.reason}", reason="malformed") from error
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise Refusal(f"the body is not valid CSV: {error}", reason="malformed") from error
    if not lines:
        raise Refusal("the body is empty; expected CSV with a header row", reason="empty_body")
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise Refusal(f"{len(row)} values for {len(header)} columns", reason="ragged", row=number)
    for position, name in enumerate(header):
        if name in header[:position]:
            raise Refusal("given twice", reason="duplicate_field", field=name)
    table = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(header, ())
    return {name: _read(cells, columns.get(name)) for name, cells in table.items()}


def _read(cells: Sequence[str], column: Column | None) -> Sequence[Any]:
    if column is None:
        return cells  # the signature refuses it by name
    match column.type:
        case "boolean":
            return [_BOOLEANS.get(cell, cell) if cell else None for cell in cells]
        case "integer" | "long":
            return [(int(cell) if _INTEGER.fullmatch(cell) else cell) if cell else None for cell in cells]
        case "float" | "double":
            return [_number(cell, row, column) if cell else None for row, cell in enumerate(cells)]
        case _:
            return [cell or None for cell in cells]


def _number(cell: str, row: int, column: Column) -> float | str | None:
    if _NUMBER.fullmatch(cell):
        value = float(cell)
        if value in (float("inf"), float("-inf")):
            message = f"{show(cell)} is outside the range of a {column.type}"
            raise Refusal(message, reason="out_of_range", row=row, field=column.name)
        return value
    return None if cell in ("nan", "NaN") else cell
