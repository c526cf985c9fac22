"""``/openapi.json``: the service described for clients and code generators, written from the manifest alone.

OpenAPI 3.1, so that its schemas are JSON Schema: one schema for a row, from which every shape of ``/invocations``
is made, and the tensors of the Open Inference Protocol. The bundle writer calls `openapi` for the same file.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .manifest import Column, ColumnType, Manifest

_SCHEMAS: dict[str, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "long": {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float": {"type": "number", "format": "float"},
    "double": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "description": "ISO 8601"},
}


def openapi(manifest: Manifest) -> dict[str, Any]:
    """Return the OpenAPI document of the service that `manifest` describes."""
    base = f"/v2/models/{manifest.name}"
    invoke = _scoring("Score rows in one of MLflow's shapes", "Invocation", "Predictions", "Error")
    invoke["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}}
    infer = _scoring("Score tensors, one a column", "InferRequest", "InferResponse", "InferError")
    health = {name: _plain(text) for name, text in _HEALTH.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": manifest.name,
            "version": manifest.version,
            "description": f"Scores '{manifest.input.name}' and answers '{manifest.output.name}'.",
            "x-nbops-versions": msgspec.to_builtins(manifest.versions),
        },
        "paths": {
            "/invocations": {"post": invoke},
            base: {"get": _plain("The model's tensors in and out")},
            f"{base}/ready": {"get": _plain("Whether the model takes requests")},
            f"{base}/infer": {"post": infer},
            **{path: {"get": operation} for path, operation in health.items()},
        },
        "components": {
            "schemas": _components(manifest),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


_HEALTH = {
    "/healthz": "Whether the process lives",
    "/readyz": "Whether the model is loaded",
    "/ping": "The same, as MLflow and SageMaker ask it",
    "/version": "The model's version",
    "/v2": "The server",
    "/v2/health/live": "Whether the process lives",
    "/v2/health/ready": "Whether the model is loaded",
    "/metrics": "Counters and latencies as Prometheus reads them",
}


def _components(manifest: Manifest) -> dict[str, Any]:
    columns = manifest.input.columns
    names = [column.name for column in columns]
    required = [column.name for column in columns if column.required]
    row = _object({column.name: _value(column) for column in columns}, required)
    cell: dict[str, Any] = {"anyOf": _unique([_value(column) for column in columns])}
    split = _object(
        {"columns": _array({"enum": names}), "data": _array(_array(cell)), "index": {"type": ["array", "null"]}},
        ["columns", "data"],
    )
    rows = _array({"$ref": "#/components/schemas/Row"})
    positional = _array(
        {"type": "array", "prefixItems": [_value(column) for column in columns], "items": False, "minItems": len(names)}
    )
    inputs = _object({column.name: _array(_value(column)) for column in columns}, required)
    either = {"anyOf": [rows, positional]}
    params = {"params": {"type": ["object", "null"], "maxProperties": 0}}
    shapes = {
        "dataframe_split": split,
        "dataframe_records": rows,
        "instances": either,
        "inputs": {"anyOf": [inputs, rows, positional]},
    }
    output = manifest.output
    if output.single:
        prediction = _nullable(output.fields[0].type)
    else:
        kinds = {field.name: _nullable(field.type) for field in output.fields}
        prediction = _object(kinds, list(kinds))
    tensor = _object(
        {
            "name": {"type": "string"},
            "shape": _array({"type": "integer"}),
            "datatype": {"enum": ["BOOL", "INT32", "INT64", "FP32", "FP64", "BYTES"]},
            "parameters": {"type": "object"},
            "data": {"type": "array"},
        },
        ["name", "shape", "datatype", "data"],
    )
    place = {"row": {"type": "integer"}, "field": {"type": "string"}}
    text = {"type": "string"}
    return {
        "Row": row,
        "Invocation": {"oneOf": [_object({name: schema, **params}, [name]) for name, schema in shapes.items()]},
        "Predictions": _object({"predictions": _array(prediction)}, ["predictions"]),
        "Error": _object({"error_code": text, "message": text, **place}, ["error_code", "message"]),
        "Tensor": tensor,
        "InferRequest": _object(
            {
                "id": {"type": ["string", "null"]},
                "parameters": {"type": "object"},
                "inputs": _array({"$ref": "#/components/schemas/Tensor"}),
                "outputs": _array({"type": "object", "required": ["name"]}),
            },
            ["inputs"],
        ),
        "InferResponse": _object(
            {
                "model_name": text,
                "model_version": text,
                "id": text,
                "outputs": _array({"$ref": "#/components/schemas/Tensor"}),
            },
            ["model_name", "model_version", "outputs"],
        ),
        "InferError": _object({"error": text, **place}, ["error"]),
    }


def _value(column: Column) -> dict[str, Any]:
    return _nullable(column.type) if column.nullable else dict(_SCHEMAS[column.type])


def _nullable(kind: ColumnType) -> dict[str, Any]:
    schema = _SCHEMAS[kind]
    return {**schema, "type": [schema["type"], "null"]}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _unique(schemas: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [schema for position, schema in enumerate(schemas) if schema not in schemas[:position]]


def _plain(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "Yes"}}}


def _scoring(summary: str, request: str, response: str, error: str) -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    failures = {"400": "The input is not what the model takes", "413": "Too large", "500": "Scoring failed"}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content(request)},
        "responses": {
            "200": {"description": "The predictions", "content": content(response)},
            **{status: {"description": text, "content": content(error)} for status, text in failures.items()},
        },
    }
