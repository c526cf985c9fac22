"""What the HTTP floor and the protocols hand each other: a request read whole, a response, and the route between.

A route with ``accepts`` takes a body of one of those media types and answers on the scoring thread; one without
is answered at once on the event loop, so health and metrics stay live while a large batch is scored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

JSON = "application/json"
CSV = "text/csv"


class Request(NamedTuple):
    """A body and its media type, lower-case and without parameters."""

    body: bytes
    media_type: str


class Response(NamedTuple):
    """An answer; the length is added when it is sent."""

    body: bytes
    status: int = 200
    media_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One path that a service answers on.

    Attributes
    ----------
    path
        The exact path.
    method
        ``GET`` (``HEAD`` too) or ``POST``.
    answer
        Gives the response, or raises `Refusal`.
    label
        What ``/metrics`` calls it: the path with the model's name and version left out.
    accepts
        Media types of the body; empty for a route without one.
    public
        Whether it is answered without a token: health only.
    """

    path: str
    method: Literal["GET", "POST"]
    answer: Callable[[Request], Response]
    label: str = ""
    accepts: tuple[str, ...] = ()
    public: bool = False


def respond(value: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Response:
    """Return `value` as a JSON response."""
    return Response(msgspec.json.encode(value), status, JSON, headers)
