"""MLflow's scoring protocol: ``POST /invocations`` with one of four JSON shapes or CSV.

``{"dataframe_split": {"columns": [...], "data": [[...]]}}``, ``{"dataframe_records": [{...}]}``,
``{"instances": [...]}`` (records, or arrays in declared order), ``{"inputs": {column: [...]}}``, or ``text/csv`` with
a header row. The answer is ``{"predictions": [...]}``; an error ``{"error_code", "message"}`` with ``row`` and
``field`` where they are known. Stricter than MLflow's own server: what the signature doesn't know is refused, not
dropped.
"""

from __future__ import annotations

from typing import Any

from ..documents import read_json
from ..model import Model
from ..refusal import Refusal, nearest, show
from ..routes import CSV, JSON, Request, Response, Route, respond
from ..signature import Batch
from ..tables import read_csv

_SHAPES = ("dataframe_split", "dataframe_records", "instances", "inputs")


def routes(model: Model) -> list[Route]:
    """Return ``/invocations``, ``/ping`` and ``/version`` for `model`."""
    manifest = model.manifest

    def invoke(request: Request) -> Response:
        if request.media_type == CSV:
            batch = model.signature.from_columns(read_csv(request.body, model.signature.columns))
        else:
            batch = _read(read_json(request.body), model)
        columns = model.score(batch).columns
        if manifest.output.single:
            return respond({"predictions": columns[manifest.output.name]})
        records = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return respond({"predictions": records})

    def ping(request: Request) -> Response:
        return Response(b"\n", media_type="text/plain; charset=utf-8")

    def version(request: Request) -> Response:
        return Response(manifest.version.encode(), media_type="text/plain; charset=utf-8")

    return [
        Route("/invocations", "POST", invoke, accepts=(JSON, CSV)),
        Route("/ping", "GET", ping, public=True),
        Route("/version", "GET", version),
    ]


def refuse(refusal: Refusal) -> Response:
    """Return `refusal` in MLflow's words."""
    answer: dict[str, Any] = {"error_code": refusal.code, "message": refusal.message}
    if refusal.row is not None:
        answer["row"] = refusal.row
    if refusal.field is not None:
        answer["field"] = refusal.field
    return respond(answer, refusal.status, refusal.headers)


def _read(document: dict[str, Any], model: Model) -> Batch:
    shapes = [key for key in document if key in _SHAPES]
    if len(shapes) != 1:
        raise Refusal(f"expected exactly one of {', '.join(_SHAPES)}", reason="malformed")
    for key, value in document.items():
        if key == "params" and not value:
            continue  # MLflow's client may send an empty one
        if key == "params":
            raise Refusal("this model takes no 'params'", reason="unknown_key")
        if key not in _SHAPES:
            raise Refusal(f"unknown key {show(key)}; {nearest(key, _SHAPES)}", reason="unknown_key")
    [shape] = shapes
    value = document[shape]
    if shape == "dataframe_split":
        return _split(value, model)
    if shape == "inputs" and type(value) is dict:
        for name, column in value.items():
            if type(column) is not list:
                raise Refusal(f"expected an array of values, not {show(column)}", reason="malformed", field=name)
        return model.signature.from_columns(value)
    if type(value) is not list:
        raise Refusal(f"'{shape}' must be an array, not {show(value)}", reason="malformed")
    if shape != "dataframe_records" and value and type(value[0]) is list:
        return model.signature.from_rows(model.signature.names, value)
    return model.signature.from_records(value)


def _split(value: Any, model: Model) -> Batch:
    if type(value) is not dict:
        raise Refusal(f"'dataframe_split' must be an object, not {show(value)}", reason="malformed")
    for key in value:
        if key not in ("columns", "data", "index"):
            raise Refusal(
                f"unknown key {show(key)} in 'dataframe_split'; expected columns, data and index", reason="unknown_key"
            )
    columns, data = value.get("columns"), value.get("data")
    if type(columns) is not list or type(data) is not list:
        raise Refusal("'dataframe_split' needs the arrays 'columns' and 'data'", reason="malformed")
    index = value.get("index")
    if index is not None and (type(index) is not list or len(index) != len(data)):
        raise Refusal("'index' must be an array as long as 'data'", reason="ragged")
    return model.signature.from_rows(columns, data)
