"""The OpenAPI document is valid, and its schemas accept what the service accepts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from nbops.serving.manifest import Manifest
from nbops.serving.openapi import openapi

from .conftest import NAMES, ROW, Running, rows, split


def schema(document: dict[str, Any], name: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


@pytest.fixture(scope="module")
def document(service: Running) -> dict[str, Any]:
    found: dict[str, Any] = service.client.get("/openapi.json").json()
    return found


def test_it_is_valid_and_names_the_model(document: dict[str, Any]) -> None:
    validate(document)
    assert document["info"]["title"] == "echo"
    assert document["info"]["x-nbops-versions"]["code"] == "c0dec0de"
    assert "/v2/models/echo/infer" in document["paths"]


@pytest.mark.parametrize(
    "body",
    [
        split(rows(2)),
        split(rows(1, when=None, distance=None)),
        {"dataframe_records": rows(2)},
        {"dataframe_records": rows(1, stops=...)},
        {"instances": rows(1)},
        {"instances": [list(ROW.values())]},
        {"inputs": {name: [ROW[name]] for name in NAMES}},
        {"dataframe_records": rows(1, hour="5")},
        {"dataframe_records": rows(1, hour=2**63)},
        {"dataframe_records": rows(1, hour=None)},
        {"dataframe_records": rows(1, hour=...)},
        {"dataframe_records": rows(1, extra=1)},
        {"instances": [[1]]},
        {"inputs": {"hour": 5}},
        {"dataframe_split": {"columns": ["nope"], "data": []}},
        {"rows": []},
        {},
    ],
)
def test_its_schema_accepts_what_the_service_accepts(
    service: Running, document: dict[str, Any], body: dict[str, Any]
) -> None:
    response = service.invoke(body)
    assert schema(document, "Invocation").is_valid(body) == (response.status_code == 200), response.text
    assert schema(document, "Predictions" if response.status_code == 200 else "Error").is_valid(response.json())


def test_an_output_of_columns_is_described_as_records() -> None:
    manifest = msgspec.convert(
        {
            "format": 1,
            "name": "m",
            "version": "1",
            "package": "m",
            "entry": "scoring:score",
            "input": {"name": "frame", "columns": [{"name": "x", "type": "long"}]},
            "output": {"name": "y", "columns": [{"name": "p", "type": "double"}, {"name": "label", "type": "string"}]},
        },
        Manifest,
    )
    document = openapi(manifest)
    validate(document)
    predictions = schema(document, "Predictions")
    assert predictions.is_valid({"predictions": [{"p": 0.5, "label": "late"}]})
    assert not predictions.is_valid({"predictions": [0.5]})
