"""What protects a service from its callers: the line it lets them form, the time it gives a body."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import pytest

from nbops.serving import asgi
from nbops.serving.manifest import Manifest
from nbops.serving.metrics import Metrics
from nbops.serving.model import Model
from nbops.serving.scorer import Predictions
from nbops.serving.signature import Batch

MANIFEST = {
    "format": 1,
    "name": "m",
    "version": "1",
    "package": "m",
    "entry": "scoring:score",
    "input": {"name": "frame", "columns": [{"name": "x", "type": "double"}]},
    "output": {"name": "y", "type": "double"},
}
BODY = b'{"dataframe_records": [{"x": 1.5}]}'


async def post(service: asgi.Service, *chunks: bytes, ends: bool = True) -> tuple[int, dict[str, Any]]:
    """Send a body in chunks and return status and answer; without an end the caller falls silent."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/invocations",
        "headers": [(b"content-type", b"application/json")],
    }
    events = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    sent: list[Any] = []

    async def receive() -> Any:
        if events:
            return events.pop(0)
        if not ends:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Any) -> None:
        sent.append(event)

    await service(scope, receive, send)
    return sent[0]["status"], msgspec.json.decode(sent[1]["body"])


def service(gate: threading.Event) -> asgi.Service:
    manifest = msgspec.convert(MANIFEST, Manifest)

    def score(batch: Batch) -> Predictions:
        gate.wait(10)
        return Predictions(batch.rows, {"y": batch.columns["x"].array.tolist()})

    return asgi.Service(Model(manifest, score, Metrics(manifest)), max_body=1000)


def test_a_body_may_come_in_any_pieces() -> None:
    gate = threading.Event()
    gate.set()
    pieces = [BODY[i : i + 1] for i in range(len(BODY))]
    for chunks in ([BODY], pieces, [b"", BODY, b""]):
        assert asyncio.run(post(service(gate), *chunks)) == (200, {"predictions": [1.5]})


def test_past_the_longest_line_a_request_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "MAX_WAITING", 3)
    gate = threading.Event()

    async def crowd() -> list[int]:
        one = service(gate)
        waiting = [asyncio.create_task(post(one, BODY)) for _ in range(3)]
        await asyncio.sleep(0.05)
        turned_away = await post(one, BODY)
        gate.set()
        return [turned_away[0], *[(await task)[0] for task in waiting], (await post(one, BODY))[0]]

    assert asyncio.run(crowd()) == [503, 200, 200, 200, 200]


def test_a_body_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "BODY_TIMEOUT", 0.05)
    status, answer = asyncio.run(post(service(threading.Event()), b"{", ends=False))
    assert (status, answer["error_code"]) == (408, "REQUEST_TIMEOUT")


def test_a_body_that_grows_past_the_limit_is_refused_while_it_streams() -> None:
    status, answer = asyncio.run(post(service(threading.Event()), *[b"x" * 300] * 4, ends=False))
    assert (status, answer["error_code"]) == (413, "REQUEST_TOO_LARGE")
