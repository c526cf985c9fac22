"""Replaying a frame at a real HTTP server: what is sent, what comes back, what fails."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbops.data.replay import replay
from nbops.errors import ServeError


class Echo(BaseHTTPRequestHandler):
    """Answers the first column; refuses a request that holds 13; drops every third connection after its answer."""

    protocol_version = "HTTP/1.1"
    seen: list[Any]
    connections: int

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.seen.append((self.path, self.headers.get("authorization"), document["dataframe_split"]))
        values = [row[0] for row in document["dataframe_split"]["data"]]
        status, answer = (400, {"message": "unlucky"}) if 13 in values else (200, {"predictions": values})
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = len(self.seen) % 3 == 0  # without saying so: the client finds out

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[tuple[str, type[Echo]]]:
    handler = type("Handler", (Echo,), {"seen": [], "connections": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", handler
        running.shutdown()
        thread.join()


def test_rows_go_out_in_batches_and_predictions_come_back_in_order(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    frame = pd.DataFrame({"x": np.arange(105) + 100.25})
    progress: list[tuple[int, int]] = []
    result = replay(url, frame, batch=10, token="t", on_progress=lambda done, rows: progress.append((done, rows)))
    assert (result.rows, result.requests, result.errors) == (105, 11, ())
    assert result.predictions.tobytes() == frame["x"].to_numpy().tobytes()
    assert progress[0] == (10, 105)
    assert progress[-1] == (105, 105)
    assert {(path, token) for path, token, _ in handler.seen} == {("/invocations", "Bearer t")}
    assert handler.connections == 4, "kept open, and opened again only when it was dropped"
    latencies = result.latencies_ms
    assert 0 < latencies.p50 <= latencies.p95 <= latencies.p99 <= latencies.max < result.seconds * 1000


def test_every_type_is_sent_as_the_service_reads_it(server: tuple[str, type[Echo]]) -> None:
    url, handler = server
    frame = pd.DataFrame(
        {
            "x": [0.1, np.nan],
            "i": [1, 2],
            "b": [True, False],
            "s": ["ü", None],
            "d": pd.to_datetime(["2013-07-01T05:15", None]),
            "z": pd.to_datetime(["2013-07-01T05:15Z", None]),
            "n": pd.array([1, None], dtype="Int64"),
            "f": np.array([0.5, 0.1], dtype=np.float32),
            "c": pd.Categorical(["a", None]),
        },
        index=[7, 9],
    )
    result = replay(f"{url}/invocations", frame)
    assert handler.seen[0][2] == {
        "columns": ["x", "i", "b", "s", "d", "z", "n", "f", "c"],
        "data": [
            [0.1, 1, True, "ü", "2013-07-01T05:15:00", "2013-07-01T05:15:00+00:00", 1, 0.5, "a"],
            [None, 2, False, None, None, None, None, 0.10000000149011612, None],
        ],
    }
    assert result.predictions[0] == 0.1
    assert np.isnan(result.predictions[1])


def test_a_refused_request_leaves_its_rows_empty_and_the_rest_goes_on(server: tuple[str, type[Echo]]) -> None:
    result = replay(server[0], pd.DataFrame({"x": range(20)}), batch=5)
    [error] = result.errors
    assert (error.first_row, error.rows, error.status, error.message) == (10, 5, 400, "unlucky")
    assert np.flatnonzero(np.isnan(result.predictions)).tolist() == [10, 11, 12, 13, 14]


def test_no_rows_need_no_request() -> None:
    result = replay("http://127.0.0.1:1", pd.DataFrame({"x": []}))
    assert (result.requests, len(result.predictions)) == (0, 0)


def test_a_service_that_is_not_there_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ServeError, match="is it running"):
        replay("http://127.0.0.1:1", pd.DataFrame({"x": [1]}))
    with pytest.raises(ServeError, match="no http address"):
        replay("127.0.0.1:1", pd.DataFrame({"x": [1]}))
