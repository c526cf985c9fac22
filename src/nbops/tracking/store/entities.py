"""Between MLflow's entities and nbops' own: what is read is made a plain value, what is written is made acceptable.

MLflow refuses names with other characters than its own set, PostgreSQL refuses NUL and HTTP refuses lone surrogates. What a
notebook named or printed must not be lost over that, so each such character becomes another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbops.tracking.schema import VERSION_KINDS, DatasetVersion, RunSummary, Versions

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput, Run

MAX_KEY = 250
MAX_PARAM = 6000
MAX_TAG = 8000
_MAX_SCHEMA = 1_000_000
_ODD = re.compile(r"[^/\w.\- :]")


def key_of(name: object) -> str:
    """Return a name of a param, metric or tag as MLflow takes it."""
    key = _ODD.sub("_", text_of(name, MAX_KEY)).strip("/") or "_"
    return re.sub(r"(?<![^/])\.{1,2}(?![^/])|//+", "_", key)  # MLflow reads them as paths, and refuses `a/../b`


def text_of(value: object, most: int) -> str:
    """Return a value's text as every store takes it, at most `most` characters."""
    return str(value)[:most].replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def batches(items: Sequence[Any], *, count: int, size: int = 200_000) -> Iterator[Sequence[Any]]:
    """Yield the items in order, in parts of at most `count` items and about `size` characters."""
    first = total = 0
    for position, item in enumerate(items):
        weight = len(str(item.value)) + len(item.key)
        if position > first and (position - first >= count or total + weight > size):
            yield items[first:position]
            first, total = position, 0
        total += weight
    if first < len(items):
        yield items[first:]


def summary_of(run: Run, experiment: str) -> RunSummary:
    """Return MLflow's run as a row of a table."""
    tags = run.data.tags
    return RunSummary(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id[:8],
        experiment=experiment,
        status=run.info.status,
        started=run.info.start_time / 1000,
        ended=run.info.end_time / 1000 if run.info.end_time else None,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        versions=Versions(**{kind: tags.get(f"nbops.{kind}") for kind in VERSION_KINDS}),
        notebook=tags.get("nbops.notebook"),
        cell_id=tags.get("nbops.cell"),
        stage=tags.get("nbops.stage"),
        parent=tags.get("mlflow.parentRunId"),
    )


def dataset_of(given: Any) -> DatasetVersion:
    """Return MLflow's dataset input as nbops' dataset; one that others logged may hold any text."""
    dataset, tags = given.dataset, {tag.key: tag.value for tag in given.tags}
    specs = _json_object(dataset.schema).get("mlflow_colspec") or []
    rows = _json_object(dataset.profile).get("num_rows")
    source = _json_object(dataset.source)
    code = (source.get("tags") or {}).get("mlflow.source.name")  # MLflow's own, for data made by code
    return DatasetVersion(
        name=dataset.name,
        source=str(source.get("uri") or code or dataset.source or ""),
        digest=dataset.digest,
        rows=rows if isinstance(rows, int) else None,
        columns={spec["name"]: spec["type"] for spec in specs if "name" in spec and "type" in spec},
        version=tags.get("nbops.version"),
    )


def dataset_input(dataset: DatasetVersion) -> DatasetInput:
    """Return a dataset as MLflow's own, with nbops' fingerprint as its digest."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    schema = json.dumps(_colspec(dataset.columns))
    return DatasetInput(
        Dataset(
            name=text_of(dataset.name, 500),
            digest=dataset.digest[:36],
            source_type="local",
            source=json.dumps({"uri": text_of(dataset.source, 60_000)}),
            schema=schema if len(schema) < _MAX_SCHEMA else json.dumps(_colspec({})),
            profile=json.dumps({"num_rows": dataset.rows}),
        ),
        [
            InputTag("mlflow.data.context", "input"),
            *([InputTag("nbops.version", text_of(dataset.version, 500))] if dataset.version else []),
        ],
    )


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _colspec(columns: Mapping[str, str]) -> dict[str, Any]:
    """Return MLflow's JSON of a tabular schema, which its UI shows as columns."""
    return {"mlflow_colspec": [{"name": name, "type": kind, "required": True} for name, kind in columns.items()]}
