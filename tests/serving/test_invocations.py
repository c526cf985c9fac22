"""MLflow's protocol: every shape gives the same predictions, and numbers survive bit for bit."""

from __future__ import annotations

import csv
import io
import struct
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nbops.data.replay import replay

from .conftest import NAMES, ROW, Running, rows, split

REMOTE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def bits(numbers: list[float]) -> bytes:
    return struct.pack(f"{len(numbers)}d", *numbers)


def table(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES)
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()


def test_every_shape_gives_the_same_predictions(service: Running) -> None:
    records = [*rows(1, distance=1), *rows(1, distance=None, carrier=None, when=None), *rows(1, distance=0.1)]
    values = [[row[name] for name in NAMES] for row in records]
    documents: list[dict[str, Any]] = [
        split(records),
        {"dataframe_split": {"columns": NAMES, "data": values, "index": [5, 6, 7]}, "params": {}},
        {"dataframe_records": records},
        {"instances": records},
        {"instances": values},
        {"inputs": {name: [row[name] for row in records] for name in NAMES}},
    ]
    for document in documents:
        assert service.invoke(document).json() == {"predictions": [1.0, None, 0.1]}
    for text in (table(records), "\ufeff" + table(records), table(records).replace("\r\n", "\n")):
        response = service.client.post("/invocations", content=text, headers={"content-type": "text/csv"})
        assert response.json() == {"predictions": [1.0, None, 0.1]}


@pytest.mark.parametrize(
    "document",
    [
        {"dataframe_records": []},
        {"instances": []},
        {"dataframe_split": {"columns": NAMES, "data": []}},
        {"inputs": {name: [] for name in NAMES}},
    ],
)
def test_no_rows_give_no_predictions(service: Running, document: dict[str, Any]) -> None:
    assert service.invoke(document).json() == {"predictions": []}


def test_the_order_of_columns_does_not_matter_and_optional_ones_may_be_left_out(service: Running) -> None:
    record = dict(reversed(ROW.items()))
    assert service.invoke(split([record])).json() == {"predictions": [1400.5]}
    for name in ("stops", "late"):
        del record[name]
    assert service.invoke(split([record])).json() == {"predictions": [1400.5]}
    assert service.invoke({"dataframe_records": [record, ROW]}).json() == {"predictions": [1400.5, 1400.5]}


def test_dates_without_time_and_in_other_zones_are_read(service: Running) -> None:
    good = rows(when="2013-07-01", stamp="2013-07-01T05:15:00.000000+05:30")
    assert service.invoke({"dataframe_records": good}).status_code == 200


@REMOTE
@given(numbers=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
@example(numbers=[-0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1e22, 9007199254740993.0])
def test_doubles_survive_bit_for_bit(service: Running, numbers: list[float]) -> None:
    document = {"inputs": {name: [ROW[name]] * len(numbers) for name in NAMES} | {"distance": numbers}}
    encoded = [msgspec.json.encode(document), str(document).replace("'", '"').replace("True", "true")]
    encoded[1] = encoded[1].replace("False", "false")  # Python's repr of floats
    for body in encoded:
        response = service.invoke(body if isinstance(body, bytes) else body.encode())
        assert bits(response.json()["predictions"]) == bits(numbers)
    lines = table([{**ROW, "distance": repr(number)} for number in numbers])
    response = service.client.post("/invocations", content=lines, headers={"content-type": "text/csv"})
    assert bits(response.json()["predictions"]) == bits(numbers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from([*NAMES, "columns", "data", "name"]), inner, max_size=4)
    ),
    max_leaves=12,
)
DOCUMENT = JSON | st.dictionaries(
    st.sampled_from(["dataframe_split", "dataframe_records", "instances", "inputs", "params", "outputs", "id"]), JSON
)


@REMOTE
@given(document=DOCUMENT, path=st.sampled_from(["/invocations", "/v2/models/echo/infer"]))
def test_no_json_is_a_server_error(service: Running, document: Any, path: str) -> None:
    response = service.client.post(
        path, content=msgspec.json.encode(document), headers={"content-type": "application/json"}
    )
    assert response.status_code < 500
    assert response.status_code == 200 or isinstance(response.json(), dict)


@REMOTE
@given(record=st.fixed_dictionaries(dict.fromkeys(NAMES, JSON)))
def test_no_record_is_a_server_error(service: Running, record: dict[str, Any]) -> None:
    response = service.invoke(msgspec.json.encode({"dataframe_records": [ROW, record]}))
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert response.json()["row"] == 1
        assert response.json()["field"] in NAMES


@REMOTE
@given(
    body=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
    kind=st.sampled_from(["application/json", "text/csv"]),
    path=st.sampled_from(["/invocations", "/v2/models/echo/infer"]),
)
def test_no_bytes_are_a_server_error(service: Running, body: bytes, kind: str, path: str) -> None:
    response = service.client.post(path, content=body, headers={"content-type": kind})
    assert 400 <= response.status_code < 500


def test_sixteen_threads_each_get_their_own_answers(service: Running) -> None:
    def ask(worker: int) -> bool:
        for turn in range(25):
            wanted = [worker + turn / 100, float(turn)]
            answer = service.invoke({"dataframe_records": [{**ROW, "distance": value} for value in wanted]})
            if answer.json() != {"predictions": wanted}:
                return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(ask, range(16)))


def test_health_answers_while_the_model_is_busy(service: Running) -> None:
    slow = threading.Thread(target=service.invoke, args=[split(rows(carrier="sleep"))])
    slow.start()
    answered = 0
    while slow.is_alive():
        assert service.client.get("/healthz", timeout=0.8).status_code == 200
        answered += 1
    slow.join()
    assert answered > 5


def test_a_replayed_frame_comes_back_bit_for_bit(service: Running) -> None:
    rng = np.random.default_rng(0)
    count = 230
    frame = pd.DataFrame(
        {
            "carrier": rng.choice(["UA", "Ü", None], count),
            "distance": np.where(rng.random(count) < 0.1, np.nan, rng.normal(size=count)),
            "hour": rng.integers(-(2**63), 2**63 - 1, count),
            "seats": rng.integers(0, 300, count).astype(np.int32),
            "share": rng.random(count).astype(np.float32),
            "night": rng.random(count) < 0.5,
            "when": pd.date_range("2013-07-01", periods=count, freq="h").where(rng.random(count) < 0.9),
            "stamp": pd.date_range("2013-07-01", periods=count, freq="h", tz="America/New_York"),
            "stops": pd.array([1, None] * (count // 2), dtype="Int64"),
        }
    )
    result = replay(service.url, frame, batch=50)
    assert (result.requests, result.errors) == (5, ())
    assert result.predictions.tobytes() == frame["distance"].to_numpy().tobytes()
