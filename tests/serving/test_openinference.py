"""The Open Inference Protocol, version 2: its endpoints, tensors in every shape and datatype, its errors."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import COLUMNS, NAMES, ROW, Running

DATATYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "datetime": "BYTES",
}


def tensors(count: int = 2, **changes: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for column in COLUMNS:
        name = column["name"]
        tensor = {"name": name, "shape": [count], "datatype": DATATYPES[column["type"]], "data": [ROW[name]] * count}
        found.append({**tensor, **changes.get(name, {})})
    return found


def infer(service: Running, path: str = "/v2/models/echo/infer", **document: Any) -> Any:
    response = service.client.post(path, json=document)
    return response.status_code, response.json()


def test_the_server_and_its_health(service: Running) -> None:
    assert service.client.get("/v2").json() == {"name": "nbops", "version": "3", "extensions": []}
    assert service.client.get("/v2/health/live").json() == {"live": True}
    assert service.client.get("/v2/health/ready").json() == {"ready": True}


@pytest.mark.parametrize("base", ["/v2/models/echo", "/v2/models/echo/versions/3"])
def test_the_model_describes_its_tensors_with_and_without_a_version(service: Running, base: str) -> None:
    about = service.client.get(base).json()
    assert (about["name"], about["versions"], about["platform"]) == ("echo", ["3"], "nbops")
    assert [(one["name"], one["datatype"]) for one in about["inputs"]] == [
        (column["name"], DATATYPES[column["type"]]) for column in COLUMNS
    ]
    assert about["outputs"] == [{"name": "p_late", "datatype": "FP64", "shape": [-1]}]
    assert service.client.get(f"{base}/ready").json() == {"name": "echo", "ready": True}
    status, answer = infer(service, f"{base}/infer", inputs=tensors())
    assert status == 200
    assert answer["outputs"][0]["data"] == [1400.5, 1400.5]


def test_an_inference_echoes_its_id_and_names_its_model(service: Running) -> None:
    assert infer(service, id="42", inputs=tensors(), outputs=[{"name": "p_late"}], parameters={"a": 1}) == (
        200,
        {
            "model_name": "echo",
            "model_version": "3",
            "id": "42",
            "outputs": [{"name": "p_late", "shape": [2], "datatype": "FP64", "data": [1400.5, 1400.5]}],
        },
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shape": [2, 1]}, [1400.5, 1400.5]),
        ({"shape": [2, 1], "data": [[1.5], [None]]}, [1.5, None]),
        ({"data": [7, 0.1]}, [7.0, 0.1]),
        ({"datatype": "INT64", "data": [7, 8]}, [7.0, 8.0]),
        ({"datatype": "INT32", "data": [7, None]}, [7.0, None]),
        ({"datatype": "FP32", "data": [0.1, None]}, [0.10000000149011612, None]),
        ({"parameters": {"content_type": "np"}}, [1400.5, 1400.5]),
    ],
)
def test_a_double_takes_every_number_and_both_shapes(
    service: Running, change: dict[str, Any], expected: list[float | None]
) -> None:
    status, answer = infer(service, inputs=tensors(distance=change))
    assert status == 200, answer
    assert answer["outputs"][0]["data"] == expected


def test_no_rows_give_an_empty_tensor(service: Running) -> None:
    status, answer = infer(service, inputs=tensors(0))
    assert (status, answer["outputs"][0]["shape"], answer["outputs"][0]["data"]) == (200, [0], [])


def test_a_nullable_column_takes_null_and_an_optional_one_may_be_left_out(service: Running) -> None:
    given = [tensor for tensor in tensors(carrier={"data": [None, "AA"]}) if tensor["name"] not in ("stops", "late")]
    assert infer(service, inputs=given)[0] == 200


@pytest.mark.parametrize(
    ("name", "change", "field", "row", "expected"),
    [
        ("hour", {"datatype": "FP64"}, "hour", None, "datatype 'FP64', expected INT64 or INT32"),
        ("hour", {"datatype": None}, "hour", None, "datatype null"),
        ("hour", {"data": [1, "2"]}, "hour", 1, "expected an integer (64 bits), not the string '2'"),
        ("hour", {"datatype": "INT32", "data": [1, 2**31]}, "hour", 1, "is outside"),
        ("distance", {"datatype": "INT64", "data": [1, 1.5]}, "distance", 1, "expected an integer"),
        ("distance", {"datatype": "FP32", "data": [1, 1e39]}, "distance", 1, "range of a float"),
        ("seats", {"data": [None, 1]}, "seats", 0, "null, but an integer"),
        ("seats", {"data": [1]}, "seats", None, "1 values for shape [2]"),
        ("seats", {"shape": [1, 2]}, "seats", None, "expected [n] or [n, 1]"),
        ("seats", {"shape": [2, 1], "data": [[1], [1, 2]]}, "seats", 1, "2 values, expected 1"),
        ("seats", {"shape": [-1]}, "seats", None, "'shape' must be"),
        ("seats", {"shape": [True]}, "seats", None, "'shape' must be"),
        ("seats", {"shape": [1], "data": [1]}, "seats", None, "1 values, but field 'carrier' has 2"),
        ("seats", {"data": "AAAA"}, "seats", None, "'data' must be an array"),
        ("seats", {"name": "seat"}, "seat", None, "did you mean 'seats'?"),
        ("seats", {"name": "hour", "datatype": "INT64"}, "hour", None, "given twice"),
        ("seats", {"size": 1}, "seats", None, "unknown key 'size'"),
    ],
)
def test_a_bad_tensor_is_named(
    service: Running, name: str, change: dict[str, Any], field: str, row: int | None, expected: str
) -> None:
    status, answer = infer(service, inputs=tensors(**{name: change}))
    assert (status, answer.get("field"), answer.get("row")) == (400, field, row), answer
    assert expected in answer["error"]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, "'inputs' must be an array of tensors"),
        ({"inputs": []}, "field 'carrier': missing"),
        ({"inputs": [7]}, "a tensor must be an object"),
        ({"inputs": [{"name": 7}]}, "'name' must be a string"),
        ({"inputs": tensors(), "id": 7}, "'id' must be a string"),
        ({"inputs": tensors(), "outputs": [{"name": "p"}]}, "unknown output; "),
        ({"inputs": tensors(), "outputs": {}}, "'outputs' must be an array"),
        ({"inputs": tensors(), "outputs": [7]}, "with a 'name'"),
        ({"inputs": tensors(), "input": []}, "unknown key 'input'; did you mean 'inputs'?"),
    ],
)
def test_a_bad_request_is_an_error_of_the_protocol(service: Running, document: Any, expected: str) -> None:
    status, answer = infer(service, **document)
    assert status == 400
    assert expected in answer["error"]


def test_another_model_or_version_is_404_in_the_protocols_words(service: Running) -> None:
    for path in ("/v2/models/other", "/v2/models/echo/versions/4", "/v2/models/echo/versions/4/ready"):
        response = service.client.get(path)
        assert response.status_code == 404
        assert set(response.json()) == {"error"}


def test_csv_is_not_a_tensor(service: Running) -> None:
    response = service.client.post(
        "/v2/models/echo/infer", content=",".join(NAMES), headers={"content-type": "text/csv"}
    )
    assert response.status_code == 415
