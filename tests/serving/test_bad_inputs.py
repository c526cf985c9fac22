"""Every bad request gets a 4xx that says where and what, and the service lives on."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from .conftest import NAMES, ROW, Running, rows, split

GOOD = split(rows())


@pytest.fixture(autouse=True)
def lives_on(service: Running) -> Any:
    yield
    assert service.invoke(GOOD).json() == {"predictions": [1400.5]}


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("hour", "5", "expected an integer (64 bits), not the string '5'"),
        ("hour", 5.0, "expected an integer (64 bits), not the number 5.0"),
        ("hour", True, "expected an integer (64 bits), not the boolean true"),
        ("hour", None, "null, but an integer (64 bits) is required"),
        ("hour", [5], "not an array"),
        ("hour", {"a": 1}, "not an object"),
        ("hour", 2**63, "is outside -9223372036854775808"),
        ("hour", 10**39, "is outside"),
        ("seats", 2**31, "2147483648 is outside -2147483648 … 2147483647"),
        ("seats", -(2**31) - 1, "is outside"),
        ("distance", "1400.5", "expected a number or null, not the string '1400.5'"),
        ("distance", False, "expected a number or null, not the boolean false"),
        ("share", None, "null, but a number is required"),
        ("share", 1e39, "outside the range of a float"),
        ("night", 1, "expected true or false, not the number 1"),
        ("night", "true", "expected true or false, not the string 'true'"),
        ("carrier", 7, "expected a string or null, not the number 7"),
        ("when", 1372655700, "expected an ISO 8601 date or time"),
        ("when", "yesterday", "expected an ISO 8601 date or time as a string"),
        ("when", "2013-07-01T05:15:00Z", "without an offset"),
        ("when", "2013-07-01T05:15:00.123456789", "finer than a microsecond"),
        ("stamp", "2013-07-01T05:15:00", "with an offset"),
        ("stamp", None, "null, but"),
    ],
)
@pytest.mark.parametrize("shape", ["split", "records", "inputs"])
def test_a_wrong_value_is_named_by_row_and_field(
    service: Running, shape: str, field: str, value: Any, expected: str
) -> None:
    records = [*rows(2), *rows(1, **{field: value}), *rows(1)]
    documents = {
        "split": split(records),
        "records": {"dataframe_records": records},
        "inputs": {"inputs": {name: [row[name] for row in records] for name in NAMES}},
    }
    response = service.invoke(documents[shape])
    answer = response.json()
    assert response.status_code == 400, answer
    assert (answer["row"], answer["field"], answer["error_code"]) == (2, field, "BAD_REQUEST")
    assert answer["message"].startswith(f"row 2, field '{field}': ")
    assert expected.removesuffix(" as a string") in answer["message"]


@pytest.mark.parametrize("literal", ["1e999", "-1e400", "1" + "0" * 399])
def test_a_number_beyond_double_is_refused_at_its_row(service: Running, literal: str) -> None:
    body = '{"dataframe_records": [%s, %s]}'
    good = (
        '"hour": 5, "seats": 1, "share": 1, "night": true, "carrier": "UA", "when": null, "stamp": "2013-07-01T05:15Z"'
    )
    first, second = f'{{"distance": 1, {good}}}', f'{{"distance": {literal}, {good}}}'
    answer = service.invoke((body % (first, second)).encode()).json()
    assert (answer["row"], answer["field"]) == (1, "distance")
    assert "outside the range of a double" in answer["message"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (split(rows(hours=5)), "field 'hours': unknown field; did you mean 'hour'?"),
        (split(rows(hour=...)), "field 'hour': missing; expected an integer"),
        ({"dataframe_records": [*rows(), *rows(hours=5)]}, "row 1, field 'hours': unknown field"),
        ({"dataframe_records": [*rows(), *rows(hour=...)]}, "row 1, field 'hour': missing"),
        ({"dataframe_records": [*rows(), 7]}, "row 1: expected an object, not 7"),
        ({"dataframe_records": {"a": 1}}, "'dataframe_records' must be an array"),
        ({"dataframe_split": {"columns": NAMES, "data": [list(ROW.values()), [1]]}}, "row 1: 1 values for 10 columns"),
        ({"dataframe_split": {"columns": NAMES, "data": [{}]}}, "row 0: expected an array"),
        ({"dataframe_split": {"columns": [*NAMES, "hour"], "data": []}}, "field 'hour': given twice"),
        ({"dataframe_split": {"columns": [1], "data": []}}, "a column's name must be a string, not 1"),
        ({"dataframe_split": {"columns": NAMES}}, "needs the arrays 'columns' and 'data'"),
        ({"dataframe_split": {"columns": NAMES, "data": [], "rows": 1}}, "unknown key 'rows'"),
        ({"dataframe_split": {"columns": NAMES, "data": [], "index": [1]}}, "'index' must be an array as long"),
        ({"dataframe_split": []}, "must be an object"),
        ({"instances": [list(ROW.values()), [1]]}, "row 1: 1 values"),
        ({"inputs": {**{name: [ROW[name]] for name in NAMES}, "hour": [1, 2]}}, "2 values, but field 'carrier' has 1"),
        ({"inputs": {"hour": 5}}, "field 'hour': expected an array"),
        ({"inputs": {}}, "field 'carrier': missing"),
        ({"rows": []}, "expected exactly one of dataframe_split"),
        ({**GOOD, "inputs": {}}, "expected exactly one of"),
        ({**GOOD, "parms": {}}, "unknown key 'parms'"),
        ({**GOOD, "params": {"a": 1}}, "takes no 'params'"),
        ([], "the body must be a JSON object"),
        (b"", "the body is empty"),
        (b"  \n", "the body is empty"),
        (b"{", "not valid JSON"),
        (b'{"dataframe_records": [{"distance": NaN}]}', "NaN is not JSON: write null"),
        (b'{"dataframe_records": [{"distance": -Infinity}]}', "Infinity is not JSON"),
        (b'{"dataframe_records": "\xff"}', "not valid UTF-8"),
        (b'{"dataframe_records": "\\ud800"}', "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":1e999,"b":' + b"[" * 200_000, "nested too deeply"),
        (b'{"a": 1%s}' % (b"0" * 5000), "not valid JSON: an integer of 5001 digits"),
    ],
)
def test_a_malformed_document_is_refused_in_words(service: Running, document: Any, expected: str) -> None:
    response = service.invoke(document)
    assert response.status_code == 400, response.text
    assert expected in response.json()["message"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "the body is empty"),
        (b"carrier,hours\nUA,5\n", "field 'hours': unknown field"),
        (b"carrier\nUA\n", "missing"),
        (b"carrier,carrier\nUA,UA\n", "given twice"),
        (b'carrier\n"UA', "not valid CSV"),
        (b"carrier\n\xff\n", "not valid UTF-8"),
        (b"carrier,hour\nUA\n", "row 0: 1 values for 2 columns"),
        (b"carrier\n" + b"x" * 200_000, "not valid CSV"),
    ],
)
def test_bad_csv_is_refused_in_words(service: Running, body: bytes, expected: str) -> None:
    response = service.client.post("/invocations", content=body, headers={"content-type": "text/csv"})
    assert response.status_code == 400
    assert expected in response.json()["message"]


@pytest.mark.parametrize(
    ("name", "cell"),
    [("hour", "1_0"), ("hour", "5.0"), ("distance", "inf"), ("distance", "1_0"), ("distance", "1e999"), ("night", "1")],
)
def test_a_bad_csv_cell_is_named_by_row_and_field(service: Running, name: str, cell: str) -> None:
    good = {key: str(value) for key, value in ROW.items()}
    lines = [",".join(good), ",".join(good.values()), ",".join({**good, name: cell}.values())]
    response = service.client.post(
        "/invocations", content="\n".join(lines), headers={"content-type": "text/csv; charset=utf-8"}
    )
    assert response.status_code == 400
    assert (response.json()["row"], response.json()["field"]) == (1, name)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json", "content-encoding": "gzip"},
        {"content-type": "\xff\xfe".encode("latin-1")},
    ],
)
def test_another_content_type_is_415(service: Running, headers: dict[str, Any]) -> None:
    response = service.client.post("/invocations", content=b"{}", headers=headers)
    assert response.status_code == 415
    assert response.json()["error_code"] == "UNSUPPORTED_MEDIA_TYPE"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", "/invocations", "POST"), ("POST", "/ping", "GET, HEAD"), ("DELETE", "/v2/models/echo/infer", "POST")],
)
def test_another_method_is_405_with_what_is_allowed(service: Running, method: str, path: str, allow: str) -> None:
    response = service.client.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/nowhere", "/v2/models/other/infer", "/invocations/", "/%ff", "/" + "x" * 5000])
def test_an_unknown_path_is_404(service: Running, path: str) -> None:
    response = service.client.post(path, json=GOOD)
    assert response.status_code == 404
    assert "no such path" in response.text


def test_a_hundred_megabytes_are_refused_with_flat_memory(service: Running) -> None:
    chunk = b"[1.25,null]," * 87_382  # 1 MiB

    def stream() -> Any:
        for _ in range(100):
            yield chunk

    service.invoke(GOOD)
    before = service.memory()
    headers = {"content-type": "application/json"}
    streamed = service.client.post("/invocations", content=stream(), headers=headers)
    announced = service.client.post("/invocations", content=chunk * 100, headers=headers)
    for response in (streamed, announced):
        assert response.status_code == 413
        assert "larger than 16777216 bytes" in response.json()["message"]
    assert service.memory() - before < 40 * 2**20, "the 16 MiB that are allowed, once, and their chunks"


def test_a_client_that_waits_for_100_continue_learns_413_before_sending(service: Running) -> None:
    host, port = urlsplit(service.url).hostname, urlsplit(service.url).port
    head = (
        "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection((host, port), timeout=10) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")


def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(service: Running) -> None:
    for _ in range(20):
        connection = http.client.HTTPConnection(urlsplit(service.url).netloc)
        connection.putrequest("POST", "/invocations")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
        connection.close()
    deadline = time.monotonic() + 5
    while "nbops_requests_in_flight 1.0" not in service.client.get("/metrics").text:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("carrier", ["raise", "exit", "short"])
def test_a_failing_scoring_function_is_a_500_without_its_cause(service: Running, carrier: str) -> None:
    response = service.invoke(split(rows(carrier=carrier)))
    assert response.status_code == 500
    incident = response.json()["message"].rpartition(" ")[2]
    assert "secret" not in response.text
    assert f"incident {incident}\nTraceback" in service.log.read_text()


def test_refusals_are_counted_by_reason(service: Running) -> None:
    def count(reason: str) -> float:
        text = service.client.get("/metrics").text
        return float(text.partition(f'nbops_requests_refused_total{{reason="{reason}"}} ')[2].split("\n")[0] or 0)

    before = count("wrong_type")
    service.invoke(split(rows(hour="x")))
    assert count("wrong_type") == before + 1


def test_a_smaller_limit_is_kept(starts: Callable[..., Running], package: Any) -> None:
    small = starts(package, "--max-body", "1000")
    assert small.invoke(GOOD).status_code == 200
    assert small.invoke(split(rows(20))).status_code == 413
