"""The snapshot of a run: its five versions, put together from a session's records and attached to the run.

Each version is a tag with a short digest (``nbops.code`` and so on), so that two runs tell at a glance in what they
differ; the whole content is the artifact ``nbops/snapshot.json``, with the recipe (``recipe.json`` for machines,
``recipe.py`` for people), ``code.diff`` and ``environment.lock`` beside it. The code version is the recipe's: cells that
the run doesn't need change nothing. What is of the moment (the commit, the environment) may have been caught earlier, in
the kernel.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nbops.notebook.parameters import INJECTED_ID
from nbops.project import Project
from nbops.snapshot import code
from nbops.snapshot.fingerprint import fingerprint_file
from nbops.tracking import recipe as recipes
from nbops.tracking.failures import log_failure
from nbops.tracking.journal import settle
from nbops.tracking.moment import moment
from nbops.tracking.recipe import Piece, Recipe
from nbops.tracking.recording.records import Data, Model, SessionLog, read
from nbops.tracking.redaction.redact import redact_source
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.store import SNAPSHOT_ARTIFACT, Store

FORMAT = 2
_PATIENCE = 120.0
RECIPE_ARTIFACT = "nbops/recipe.json"
RECIPE_SCRIPT = "nbops/recipe.py"


def attach(
    store: Store,
    run_id: str,
    *,
    session: str,
    inputs: Mapping[str, Path] | None = None,
    known_as: str | None = None,
    seq: int | None = None,
    caught: Mapping[str, Any] | None = None,
    with_params: bool = True,
) -> dict[str, Any]:
    """Attach the five versions to a run and return the snapshot.

    Parameters
    ----------
    store
        Where the run is.
    run_id
        The run.
    session
        The session whose cells made it. Of a pipeline's stage all cells count; else those that logged to the run.
    inputs
        Files or folders that were declared as inputs, by name.
    known_as
        The id that the session's records know the run by, when the store gave it another.
    seq
        A cell that logged to the run, though the records may not say so: its kernel may have died in it.
    caught
        What `moment` returned when the run was made; caught now when it's missing.
    with_params
        Whether plain values that the recipe reads become params, where there is none of that name.
    """
    settle(store.project, timeout=_PATIENCE)
    log = read(store.project.sessions / f"{session}.jsonl")
    targets = _targets(log, known_as or run_id, seq)
    made_by = _recipe(store.project, log, targets)
    history = recipes.history_of(log, targets)
    if with_params:
        _log_variables(store, run_id, log, made_by)
    kept = {piece.seq for piece in made_by.pieces} | set(targets)
    reads = [data for cell in log.cells if cell.start.seq in kept for data in cell.data]
    made = [model for cell in log.cells if cell.start.seq in targets for model in cell.models]
    now = dict(caught) if caught else moment(store.project)
    folder = (store.project.root / made_by.notebook).parent if made_by.notebook else store.project.root
    written = _code(store.project.root, folder, now, _own(made_by.pieces), _own(history.pieces))
    data = _data(store, reads, inputs or {}, _fitted(store, run_id))
    found = _attach(store, run_id, now, written, data, made)
    store.log_text(run_id, json.dumps(asdict(made_by), indent=1), RECIPE_ARTIFACT)
    store.log_text(run_id, _as_script(made_by), RECIPE_SCRIPT)
    return found


def attach_script(store: Store, run_id: str) -> dict[str, Any]:
    """Attach the versions that code outside of a recorded kernel has: its script, environment and experiment."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    script = Path(main) if main else None
    pieces = [Piece(1, None, redact_source(script.read_text("utf-8", "replace")), True, True)] if script else []
    now = moment(store.project)
    root = store.project.root
    written = _code(root, script.parent if script else root, now, pieces, pieces)
    return _attach(store, run_id, now, written, {"digest": None, "datasets": []}, [])


def _targets(log: SessionLog, run_id: str, seq: int | None) -> list[int]:
    if log.session.stage:
        return [cell.start.seq for cell in log.cells]
    found = recipes.cells_of_run(log, run_id)
    return sorted({*found, seq}) if seq is not None else found or [cell.start.seq for cell in log.cells]


def _recipe(project: Project, log: SessionLog, targets: Collection[int]) -> Recipe:
    try:
        return recipes.recipe_of(log, targets)
    except Exception:  # noqa: BLE001  # records of any shape: everything up to the run is always a recipe
        log_failure(project)
        return recipes.history_of(log, targets)


def _log_variables(store: Store, run_id: str, log: SessionLog, made_by: Recipe) -> None:
    """Log plain values that the recipe reads as params; what is there already stays as it is."""
    there = store.client.get_run(run_id).data.params
    # what a pipeline injects is logged by it, paths of this run left out
    injected = {
        name for cell in log.cells if cell.start.cell_id == INJECTED_ID and cell.end for name in cell.end.defined
    }
    found = recipes.params_of(log, made_by).items()
    params = {name: value for name, value in found if name not in there and name not in injected}
    if params:
        store.log(run_id, params=params)


def _attach(
    store: Store,
    run_id: str,
    now: Mapping[str, Any],
    written: dict[str, Any],
    data: dict[str, Any],
    made: Sequence[Model],
) -> dict[str, Any]:
    run = store.client.get_run(run_id)
    snapshot: dict[str, Any] = {
        "format": FORMAT,
        "code": written,
        "data": data,
        "model": _model(made),
        "environment": dict(now["environment"]),
        "experiment": _experiment(run.info.run_name, dict(run.data.params), dict(run.data.metrics)),
    }
    digests = {f"nbops.{kind}": part["digest"] for kind, part in snapshot.items() if _has_digest(part)}
    store.log(run_id, tags=digests)
    store.log_datasets(run_id, [DatasetVersion(**dataset) for dataset in snapshot["data"]["datasets"]])
    if diff := now["code"]["diff"]:
        store.log_text(run_id, diff, "nbops/code.diff")
    store.log_text(run_id, now["lock"], "nbops/environment.lock")
    store.log_text(run_id, json.dumps(snapshot, indent=1), SNAPSHOT_ARTIFACT)
    return snapshot


def _own(pieces: Sequence[Piece]) -> list[Piece]:
    """Leave out the cell that a pipeline injects: it holds parameters, which are the experiment's version, and paths."""
    return [piece for piece in pieces if piece.cell_id != INJECTED_ID]


def _code(
    root: Path, folder: Path, now: Mapping[str, Any], made_by: Sequence[Piece], history: Sequence[Piece]
) -> dict[str, Any]:
    sources = [piece.source for piece in made_by]
    modules = code.modules_of(sources, root, folder)
    modules |= {name: digest for name, digest in now["code"].get("modules", {}).items() if name in modules}
    return {
        "digest": code.digest_of(sources, modules),
        **{name: now["code"][name] for name in ("commit", "branch", "dirty")},
        "modules": modules,
        "cells": [{"cell_id": piece.cell_id, "source": piece.source} for piece in history],
    }


def _as_script(made_by: Recipe) -> str:
    lines = [f"# The recipe of a run: session {made_by.session}, {made_by.notebook or 'unknown notebook'}"]
    for piece in made_by.pieces:
        which = f", cell {piece.cell_id}" if piece.cell_id else ""
        lines.append(f"\n# %% [{piece.seq}]{which}{', raises' if piece.failed else ''}\n{piece.source}")
    return "\n".join(lines) + "\n"


def _fitted(store: Store, run_id: str) -> list[str]:
    """Return the fingerprints of what was passed to ``fit`` (`journal.fits`)."""
    inputs = store.client.get_run(run_id).inputs.dataset_inputs
    return [given.dataset.digest for given in inputs if given.dataset.name.startswith("fit ")]


def _data(
    store: Store, reads: Sequence[Data], inputs: Mapping[str, Path], fitted: Sequence[str] = ()
) -> dict[str, Any]:
    datasets = {read.source: _read_dataset(read) for read in reads}
    for name, path in inputs.items():
        source = store.project.relative(path)
        if source not in datasets and path.is_file():
            datasets[source] = DatasetVersion(name, source, fingerprint_file(path))
    found = sorted(datasets.values(), key=lambda dataset: dataset.source)
    digests = sorted([*(dataset.digest for dataset in found), *fitted])
    return {
        "digest": _digest(digests) if digests else None,  # wherever it lay
        "datasets": [asdict(dataset) for dataset in found],
    }


def _read_dataset(read: Data) -> DatasetVersion:
    return DatasetVersion(Path(read.source).name, read.source, read.digest, read.rows, read.columns, read.version)


def _model(made: Sequence[Model]) -> dict[str, Any]:
    last = {model.name: model for model in made}
    models = [
        {"name": model.name, "kind": model.kind, "digest": model.digest, "bytes": model.size} for model in last.values()
    ]
    return {"digest": _digest([[m["name"], m["digest"]] for m in models]) if models else None, "models": models}


def _experiment(name: str, params: Mapping[str, str], metrics: Mapping[str, float]) -> dict[str, Any]:
    content = {"name": name, "params": dict(params), "metrics": dict(metrics)}
    return {"digest": _digest([sorted(params.items()), sorted(metrics.items())]), **content}


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]


def _has_digest(part: object) -> bool:
    return isinstance(part, dict) and bool(part.get("digest"))
