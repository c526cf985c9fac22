"""Sends the rows of a frame to a service, as its clients would: requests of a few rows over one kept connection.

Standard library only (``http.client``), so that what is timed is the service rather than a client. A refused request
doesn't stop the replay: its rows stay NaN among the predictions and the answer is kept in ``errors``. A kept
connection that the service closed while it was idle is opened again once.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import numpy.typing as npt

from nbops.errors import ServeError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from sending a request to having read its answer."""

    p50: float
    p95: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """A request that wasn't answered with predictions: its first row, its size and what came back."""

    first_row: int
    rows: int
    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of a replay; ``predictions`` has one entry a row, NaN (None) where a request failed."""

    rows: int
    requests: int
    predictions: npt.NDArray[Any]
    latencies_ms: Latencies
    seconds: float
    errors: tuple[FailedRequest, ...]


def replay(
    url: str,
    frame: pd.DataFrame,
    *,
    batch: int = 50,
    token: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    timeout: float = 60.0,
) -> Replay:
    """Send every row of `frame` to the service at `url` and collect its predictions.

    Parameters
    ----------
    url
        The service's address, with or without ``/invocations``.
    frame
        The rows; missing values are sent as null, dates in ISO 8601.
    batch
        Rows a request.
    token
        Sent as ``Authorization: Bearer``.
    on_progress
        Called after each request with the rows sent and the rows in all.
    timeout
        Seconds to wait for an answer.

    Raises
    ------
    ServeError
        If the service can't be reached.
    """
    if batch < 1:
        raise ValueError("batch must be at least 1")
    rows = list(zip(*(plain(frame[name]) for name in frame.columns), strict=True))
    columns = [str(name) for name in frame.columns]
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection, path = _connection(url, timeout)
    predictions: list[Any] = []
    errors: list[FailedRequest] = []
    times: list[float] = []
    began = time.perf_counter()
    try:
        for first in range(0, len(rows), batch):
            part = rows[first : first + batch]
            body = msgspec.json.encode({"dataframe_split": {"columns": columns, "data": part}})
            sent = time.perf_counter()
            status, answer = _post(connection, path, body, headers, url)
            times.append((time.perf_counter() - sent) * 1000)
            values = _predictions(answer) if status == 200 else None
            if values is None or len(values) != len(part):
                errors.append(FailedRequest(first, len(part), status, _message(answer)))
                values = [None] * len(part)
            predictions += values
            if on_progress is not None:
                on_progress(first + len(part), len(rows))
    finally:
        connection.close()
    seconds = time.perf_counter() - began
    return Replay(len(rows), len(times), _array(predictions), _latencies(times), seconds, tuple(errors))


def plain(column: pd.Series) -> list[Any]:
    """Return the values of `column` as JSON writes them: None for missing, dates as ISO 8601 strings."""
    gaps = column.isna().to_numpy()
    if column.dtype.kind == "M":
        values: list[Any] = [None if gap else moment.isoformat() for moment, gap in zip(column, gaps, strict=True)]
        return values
    values = column.tolist()
    if gaps.any():
        values = [None if gap else value for value, gap in zip(values, gaps, strict=True)]
    return values


def _connection(url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServeError(f"{url!r} is no http address", remedy="give it as http://127.0.0.1:8080")
    cls = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = parts.path.rstrip("/")
    return cls(parts.hostname, parts.port, timeout=timeout), path if path.endswith(
        "/invocations"
    ) else f"{path}/invocations"


def _post(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str], url: str
) -> tuple[int, bytes]:
    for last in (False, True):
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as error:
            connection.close()
            if last:
                raise ServeError(f"the service closed the connection: {error}", where=url) from error
        except (OSError, http.client.HTTPException) as error:
            raise ServeError(
                f"the service doesn't answer: {error}", where=url, remedy="is it running? see its log"
            ) from error
    raise AssertionError("the second try returns or raises")


def _predictions(answer: bytes) -> list[Any] | None:
    try:
        values = msgspec.json.decode(answer, type=dict[str, Any]).get("predictions")
    except msgspec.DecodeError:
        return None
    return values if isinstance(values, list) else None


def _message(answer: bytes) -> str:
    try:
        return str(msgspec.json.decode(answer, type=dict[str, Any])["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return answer[:200].decode(errors="replace")


def _array(predictions: list[Any]) -> npt.NDArray[Any]:
    if all(value is None or type(value) in (int, float) for value in predictions):
        return np.array(predictions, dtype=np.float64)
    array = np.empty(len(predictions), dtype=object)
    array[:] = predictions
    return array


def _latencies(times: list[float]) -> Latencies:
    if not times:
        return Latencies(0.0, 0.0, 0.0, 0.0)
    p50, p95, p99 = np.percentile(times, [50, 95, 99])
    return Latencies(float(p50), float(p95), float(p99), max(times))
