"""Open Inference Protocol, version 2, over REST: one tensor for each column, of shape ``[n]`` or ``[n, 1]``.

A column's type says which tensor datatypes it takes (a double takes any number, a long a narrower integer), and the
values of a tensor are checked against its own datatype before they widen to the column's. ``null`` is a missing
value where the column is nullable; dates travel as ``BYTES`` in ISO 8601. ``id`` is echoed, ``outputs`` selects.
"""

from __future__ import annotations

from itertools import chain
from typing import Any

from ..documents import read_json
from ..manifest import Column, ColumnType, Manifest
from ..model import Model
from ..refusal import Refusal, nearest, show
from ..routes import JSON, Request, Response, Route, respond
from ..signature import convert

DATATYPES: dict[str, str] = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "datetime": "BYTES",
}
_TAKES: dict[str, tuple[str, ...]] = {
    "boolean": ("BOOL",),
    "integer": ("INT32",),
    "long": ("INT64", "INT32"),
    "float": ("FP32", "INT32"),
    "double": ("FP64", "FP32", "INT64", "INT32"),
    "string": ("BYTES",),
    "datetime": ("BYTES",),
}
_NARROWER: dict[str, ColumnType] = {"INT32": "integer", "INT64": "long", "FP32": "float"}
_KEYS = {"id", "parameters", "inputs", "outputs"}
_TENSOR_KEYS = {"name", "shape", "datatype", "parameters", "data"}


def routes(model: Model) -> list[Route]:
    """Return every ``/v2`` path for `model`."""
    manifest = model.manifest
    server = {"name": "nbops", "version": manifest.version, "extensions": []}

    def constant(path: str, value: Any, label: str = "", public: bool = False) -> Route:
        answer = respond(value)
        return Route(path, "GET", lambda request: answer, label=label, public=public)

    def infer(request: Request) -> Response:
        return _infer(read_json(request.body), model)

    found = [
        constant("/v2", server),
        constant("/v2/health/live", {"live": True}, public=True),
        constant("/v2/health/ready", {"ready": True}, public=True),
    ]
    for base, label in (
        (f"/v2/models/{manifest.name}", "/v2/models/{name}"),
        (f"/v2/models/{manifest.name}/versions/{manifest.version}", "/v2/models/{name}/versions/{version}"),
    ):
        found += [
            constant(base, metadata(manifest), label),
            constant(f"{base}/ready", {"name": manifest.name, "ready": True}, f"{label}/ready", public=True),
            Route(f"{base}/infer", "POST", infer, label=f"{label}/infer", accepts=(JSON,)),
        ]
    return found


def refuse(refusal: Refusal) -> Response:
    """Return `refusal` in the protocol's words, with row and field beside."""
    answer: dict[str, Any] = {"error": refusal.message}
    if refusal.row is not None:
        answer["row"] = refusal.row
    if refusal.field is not None:
        answer["field"] = refusal.field
    return respond(answer, refusal.status, refusal.headers)


def metadata(manifest: Manifest) -> dict[str, Any]:
    """Return the model's metadata: its tensors in and out."""
    inputs = [(column.name, column.type) for column in manifest.input.columns]
    outputs = [(field.name, field.type) for field in manifest.output.fields]
    return {
        "name": manifest.name,
        "versions": [manifest.version],
        "platform": "nbops",
        "inputs": [{"name": name, "datatype": DATATYPES[kind], "shape": [-1]} for name, kind in inputs],
        "outputs": [{"name": name, "datatype": DATATYPES[kind], "shape": [-1]} for name, kind in outputs],
    }


def _infer(document: dict[str, Any], model: Model) -> Response:
    manifest = model.manifest
    for key in document:
        if key not in _KEYS:
            raise Refusal(f"unknown key {show(key)}; {nearest(key, sorted(_KEYS))}", reason="unknown_key")
    ident = document.get("id")
    if ident is not None and type(ident) is not str:
        raise Refusal(f"'id' must be a string, not {show(ident)}", reason="malformed")
    wanted = _wanted(document.get("outputs"), manifest)
    tensors = document.get("inputs")
    if type(tensors) is not list:
        raise Refusal("'inputs' must be an array of tensors", reason="malformed")
    columns: dict[str, list[Any]] = {}
    for tensor in tensors:
        name, values = _tensor(tensor, model)
        if name in columns:
            raise Refusal("given twice", reason="duplicate_field", field=name)
        columns[name] = values
    predictions = model.score(model.signature.from_columns(columns))
    answer: dict[str, Any] = {"model_name": manifest.name, "model_version": manifest.version}
    if ident is not None:
        answer["id"] = ident
    answer["outputs"] = [
        {
            "name": field.name,
            "shape": [predictions.rows],
            "datatype": DATATYPES[field.type],
            "data": predictions.columns[field.name],
        }
        for field in manifest.output.fields
        if field.name in wanted
    ]
    return respond(answer)


def _wanted(outputs: Any, manifest: Manifest) -> set[str]:
    known = {field.name for field in manifest.output.fields}
    if outputs is None or outputs == []:
        return known
    if type(outputs) is not list:
        raise Refusal("'outputs' must be an array", reason="malformed")
    wanted = set()
    for output in outputs:
        name = output.get("name") if type(output) is dict else None
        if type(name) is not str:
            raise Refusal("each of 'outputs' must be an object with a 'name'", reason="malformed")
        if name not in known:
            raise Refusal(f"unknown output; {nearest(name, sorted(known))}", reason="unknown_field", field=name)
        wanted.add(name)
    return wanted


def _tensor(tensor: Any, model: Model) -> tuple[str, list[Any]]:
    if type(tensor) is not dict:
        raise Refusal(f"a tensor must be an object, not {show(tensor)}", reason="malformed")
    name = tensor.get("name")
    if type(name) is not str:
        raise Refusal(f"a tensor's 'name' must be a string, not {show(name)}", reason="malformed")
    for key in tensor:
        if key not in _TENSOR_KEYS:
            raise Refusal(
                f"unknown key {show(key)}; {nearest(key, sorted(_TENSOR_KEYS))}", reason="unknown_key", field=name
            )
    column = model.signature.columns.get(name)
    if column is None:
        raise Refusal(f"unknown field; {nearest(name, model.signature.names)}", reason="unknown_field", field=name)
    datatype = tensor.get("datatype")
    if type(datatype) is not str or datatype not in _TAKES[column.type]:
        expected = " or ".join(_TAKES[column.type])
        raise Refusal(f"datatype {show(datatype)}, expected {expected}", reason="wrong_type", field=name)
    values = _flat(tensor.get("data"), tensor.get("shape"), name)
    return name, _narrow(values, column, datatype)


def _flat(data: Any, shape: Any, name: str) -> list[Any]:
    if type(shape) is not list or not all(type(size) is int and size >= 0 for size in shape):
        raise Refusal(f"'shape' must be [n] or [n, 1], not {show(shape)}", reason="malformed", field=name)
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise Refusal(f"shape {shape}, expected [n] or [n, 1]", reason="ragged", field=name)
    if type(data) is not list:
        raise Refusal("'data' must be an array", reason="malformed", field=name)
    if len(shape) == 2 and data and set(map(type, data)) == {list}:
        row = next((number for number, item in enumerate(data) if len(item) != 1), None)
        if row is not None:
            raise Refusal(f"{len(data[row])} values, expected 1", reason="ragged", row=row, field=name)
        data = list(chain.from_iterable(data))
    values: list[Any] = data
    if len(values) != shape[0]:
        raise Refusal(f"{len(values)} values for shape {shape}", reason="ragged", field=name)
    return values


def _narrow(values: list[Any], column: Column, datatype: str) -> list[Any]:
    """Check `values` as the tensor's own datatype where that is narrower than the column's."""
    kind = _NARROWER.get(datatype)
    if kind is None or kind == column.type:
        return values
    narrow = Column(name=column.name, type=kind, nullable=column.nullable)
    converted = convert(narrow, values)[0].array
    if datatype != "FP32":
        return values
    return [None if value is None else number for value, number in zip(values, converted.tolist(), strict=True)]
