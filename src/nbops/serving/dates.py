"""ISO 8601 strings to ``datetime64[us]``.

`datetime.fromisoformat` reads the forms that JSON writers emit. It drops digits past the microsecond without a word,
so those must be zero here. A column without a zone refuses an offset, one in UTC wants an offset and
is converted: guessing a zone would shift every prediction by hours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from .refusal import Refusal, show

_FINER = re.compile(r"[.,]\d{6}\d*[1-9]")


def parse_dates(values: Sequence[Any], field: str, *, aware: bool) -> npt.NDArray[np.datetime64]:
    """Return the dates that `values` (strings, or None for missing) spell.

    Parameters
    ----------
    values
        Strings and Nones.
    field
        The column's name, for the refusal.
    aware
        Whether an offset is wanted; the result is then in UTC.
    """
    parsed: list[datetime | None] = []
    for row, text in enumerate(values):
        if text is None:
            parsed.append(None)
            continue
        try:
            moment = datetime.fromisoformat(text)
            if (moment.tzinfo is not None) != aware:
                wanted = "a time with an offset, such as 2013-07-01T05:00:00Z" if aware else "a time without an offset"
                raise Refusal(
                    f"expected {wanted}, not the string {show(text)}", reason="wrong_type", row=row, field=field
                )
            parsed.append(moment.astimezone(UTC).replace(tzinfo=None) if aware else moment)
        except (ValueError, OverflowError) as error:
            raise Refusal(
                f"expected an ISO 8601 date or time, not the string {show(text)}",
                reason="wrong_type",
                row=row,
                field=field,
            ) from error
        if len(text) > 26 and _FINER.search(text):
            raise Refusal(f"{show(text)} is finer than a microsecond", reason="out_of_range", row=row, field=field)
    return np.array(parsed, dtype="datetime64[us]")
