"""Changes in a project reach those who listen on Jupyter's event socket."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from nbops.tracking.recording.records import End, Start
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow


async def _changes(lab: Any, act: Any, wanted: set[str]) -> list[dict[str, Any]]:
    """Listen, act, and return the changes heard until all wanted kinds were among them."""
    request = HTTPRequest(
        f"ws://127.0.0.1:{lab.port}/base/api/events/subscribe", headers={"Authorization": f"token {lab.token}"}
    )
    socket = await websocket_connect(request)
    heard: list[dict[str, Any]] = []
    try:
        await asyncio.sleep(1.2)  # what earlier tests wrote has been reported by then
        await asyncio.to_thread(act)
        async with asyncio.timeout(20):
            while not wanted <= {kind for change in heard for kind in change["changed"]}:
                event = json.loads(await socket.read_message() or "{}")
                if event.get("schema_id") == "urn:nbops:change:v1":
                    heard.append(event)
    finally:
        socket.close()
    return heard


def test_a_recorded_cell_is_told(lab: Any, write_session: Any) -> None:
    assert lab.get("runs").status_code == 200  # asking for a project starts the watch over it
    writer = write_session(lab.project, "two", "live.ipynb", [])

    def run_a_cell() -> None:
        writer.write(Start(4, "next", "x = 1", 20.0))
        writer.write(End(4, "ok", 0.01))
        writer.close()

    heard = asyncio.run(_changes(lab, run_a_cell, {"cells"}))
    assert {change["root"] for change in heard} == {"."}
    assert {"cell_id": "next", "outcome": "ok"}.items() <= lab.get("cells", notebook="live.ipynb").json()[-1].items()


def test_a_run_made_elsewhere_is_told(lab: Any) -> None:
    assert lab.get("runs").status_code == 200
    heard = asyncio.run(_changes(lab, lambda: Store(lab.project).start_run("third"), {"runs"}))
    assert {change["root"] for change in heard} == {"."}
    assert lab.get("runs").json()["runs"][0]["name"] == "third"
