"""Why a request is refused: one exception, with everything that a protocol needs to word its answer.

A `Refusal` is the caller's mistake unless its status is 500. ``row`` (counted from 0) and ``field`` say where in the
request it lies; ``reason`` is the short, bounded word under which ``/metrics`` counts it.
A `StartError` is the operator's: the service doesn't start.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHENTICATED",
    404: "ENDPOINT_NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    408: "REQUEST_TIMEOUT",
    413: "REQUEST_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


class StartError(Exception):
    """The service can't start: what is wrong and what to do about it, in one sentence."""


class Refusal(Exception):
    """A request that is answered with an error.

    Parameters
    ----------
    message
        What was wrong and what was expected, for the caller's eyes.
    reason
        A short word to count by, such as ``wrong_type``.
    status
        The HTTP status.
    row, field
        Where in the request: the row's number from 0, the column's name.
    headers
        Further HTTP headers of the answer, such as ``Allow``.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        status: int = 400,
        row: int | None = None,
        field: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        where = [f"row {row}"] if row is not None else []
        where += [f"field '{_brief(field)}'"] if field is not None else []
        super().__init__(f"{', '.join(where)}: {message}" if where else message)
        self.reason = reason
        self.status = status
        self.row = row
        self.field = field
        self.headers = headers

    @property
    def message(self) -> str:
        """The whole sentence, with the place in front."""
        return str(self)

    @property
    def code(self) -> str:
        """The status as a word, as MLflow spells it."""
        return CODES.get(self.status, "BAD_REQUEST")


def show(value: object) -> str:
    """Return `value` as it may be quoted in a message: as JSON would write it, and short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, int) and abs(value) >= 10**40:  # str() of a huge int is slow, and refused past 4,300 digits
        return "an integer of more than 40 digits"
    return _brief(repr(value))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name closest to `name`, else the list of the known."""
    names = list(known)
    matches = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean '{matches[0]}'?" if matches else _brief("known: " + ", ".join(names), 400)


def _brief(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
