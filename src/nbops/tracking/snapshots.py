"""The snapshot of a run: its five versions, put together from a session's records and attached to the run.

Each version is a tag with a short digest (``nbops.code`` and so on), so that two runs tell at a glance in what they
differ; the whole content is the artifact ``nbops/snapshot.json``, with ``nbops/code.diff`` and
``nbops/environment.lock`` beside it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nbops.notebook.parameters import INJECTED_ID
from nbops.snapshot import code, environment, hardware
from nbops.snapshot.fingerprint import fingerprint_file
from nbops.tracking.records import Data, Model, read
from nbops.tracking.redact import redact_source, redact_text
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.store import SNAPSHOT_ARTIFACT, Store

FORMAT = 1


def attach(
    store: Store,
    run_id: str,
    *,
    session: str,
    first: int = 1,
    last: int | None = None,
    inputs: Mapping[str, Path] | None = None,
) -> dict[str, Any]:
    """Attach the five versions to a run and return the snapshot.

    Parameters
    ----------
    store
        Where the run is.
    run_id
        The run.
    session
        The session whose cells made it.
    first, last
        The cells during which it was made: their models count, and all code and data from the session's start to the
        last. By default it's the whole session (a pipeline stage).
    inputs
        Files or folders that were declared as inputs, by name.
    """
    log = read(store.project.sessions / f"{session}.jsonl")
    history = [cell for cell in log.cells if last is None or cell.start.seq <= last]
    # The cell that a pipeline injects holds parameters, which are the experiment's version, and paths of this run alone.
    written = [cell.start for cell in history if cell.start.cell_id != INJECTED_ID]
    executed = [code.Cell(start.cell_id, start.source) for start in written]
    reads = [data for cell in history for data in cell.data]
    made = [model for cell in history if cell.start.seq >= first for model in cell.models]
    return _attach(store, run_id, executed, _data(store, reads, inputs or {}), made)


def attach_script(store: Store, run_id: str) -> dict[str, Any]:
    """Attach the versions that code outside of a recorded kernel has: its script, environment and experiment."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    script = Path(main) if main else None
    executed = [code.Cell(None, redact_source(script.read_text("utf-8", "replace")))] if script else []
    return _attach(store, run_id, executed, {"digest": None, "datasets": []}, [])


def _attach(
    store: Store, run_id: str, executed: Sequence[code.Cell], data: dict[str, Any], made: Sequence[Model]
) -> dict[str, Any]:
    run = store.client.get_run(run_id)
    found = environment.capture()
    snapshot: dict[str, Any] = {
        "format": FORMAT,
        "code": _code(store, executed),
        "data": data,
        "model": _model(made),
        "environment": _environment(found),
        "experiment": _experiment(run.info.run_name, dict(run.data.params), dict(run.data.metrics)),
    }
    digests = {f"nbops.{kind}": part["digest"] for kind, part in snapshot.items() if _has_digest(part)}
    store.log(run_id, tags=digests)
    store.log_datasets(run_id, [DatasetVersion(**dataset) for dataset in snapshot["data"]["datasets"]])
    if diff := snapshot["code"].pop("diff"):
        store.log_text(run_id, diff, "nbops/code.diff")
    store.log_text(run_id, found.lock, "nbops/environment.lock")
    store.log_text(run_id, json.dumps(snapshot, indent=1), SNAPSHOT_ARTIFACT)
    return snapshot


def _code(store: Store, executed: Sequence[code.Cell]) -> dict[str, Any]:
    version = code.capture(store.project.root, executed)
    return {
        "digest": version.digest,
        "commit": version.commit,
        "branch": version.branch,
        "dirty": version.dirty,
        "diff": redact_text(version.diff),
        "cells": [asdict(cell) for cell in version.cells],
    }


def _data(store: Store, reads: Sequence[Data], inputs: Mapping[str, Path]) -> dict[str, Any]:
    datasets = {read.source: _read_dataset(read) for read in reads}
    for name, path in inputs.items():
        source = store.project.relative(path)
        if source not in datasets and path.is_file():
            datasets[source] = DatasetVersion(name, source, fingerprint_file(path))
    found = sorted(datasets.values(), key=lambda dataset: dataset.source)
    return {
        "digest": _digest(sorted(dataset.digest for dataset in found)) if found else None,  # wherever it lay
        "datasets": [asdict(dataset) for dataset in found],
    }


def _read_dataset(read: Data) -> DatasetVersion:
    return DatasetVersion(Path(read.source).name, read.source, read.digest, read.rows, read.columns)


def _model(made: Sequence[Model]) -> dict[str, Any]:
    last = {model.name: model for model in made}
    models = [
        {"name": model.name, "kind": model.kind, "digest": model.digest, "bytes": model.size} for model in last.values()
    ]
    return {"digest": _digest([[m["name"], m["digest"]] for m in models]) if models else None, "models": models}


def _environment(version: environment.Environment) -> dict[str, Any]:
    return {
        "digest": version.digest,
        "python": version.python,
        "implementation": version.implementation,
        "system": version.system,
        "machine": version.machine,
        "threads": dict(version.threads),
        "distributions": dict(version.distributions),
        "hardware": asdict(hardware.capture()),
    }


def _experiment(name: str, params: Mapping[str, str], metrics: Mapping[str, float]) -> dict[str, Any]:
    content = {"name": name, "params": dict(params), "metrics": dict(metrics)}
    return {"digest": _digest([sorted(params.items()), sorted(metrics.items())]), **content}


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]


def _has_digest(part: object) -> bool:
    return isinstance(part, dict) and bool(part.get("digest"))
