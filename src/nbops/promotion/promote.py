"""Promotion: a candidate passes the gates, becomes a version in MLflow's registry, and gets the alias.

The registered model is an MLflow pyfunc of the whole scoring function, so raw rows go in, and every tool that speaks
MLflow can load it. A refused candidate leaves nothing in the registry.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from filelock import FileLock

from nbops.errors import GateFailed, PromotionError
from nbops.promotion import gates, service
from nbops.promotion.candidates import Candidate
from nbops.promotion.capture import FOLDER
from nbops.promotion.verification import GATE, verify
from nbops.tracking.schema import VERSION_KINDS
from nbops.tracking.store import Store
from nbops.tracking.store.registry import ModelVersion

MODEL_FOLDER = "nbops/model"  # autologging may have logged a model called "model"


@dataclass(frozen=True, slots=True)
class Promotion:
    """What a promotion did.

    Attributes
    ----------
    model, version, alias
        The registered model, its version, and the alias that it holds now.
    run_id
        The run that made it.
    previous
        The version that held the alias before, None if none did.
    gates
        What each gate answered.
    """

    model: str
    version: str
    alias: str
    run_id: str
    previous: str | None
    gates: Sequence[gates.GateResult]


def promote(
    store: Store,
    candidate: Candidate,
    *,
    alias: str = "champion",
    reason: str = "",
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Promotion:
    """Promote a candidate.

    Parameters
    ----------
    store
        Where its runs are.
    candidate
        What to promote.
    alias
        The alias that it is to hold.
    reason
        Why, for the record.
    say, progress
        Told what takes time; called with how many cells of the recipe have begun to run again, and how many there are.

    Raises
    ------
    GateFailed
        If a gate doesn't pass; nothing was registered.
    PromotionError
        If MLflow's registry can't hold the model under that name or alias.
    """
    model = store.project.model_name
    _check_names(model, alias)
    store.project.state.mkdir(parents=True, exist_ok=True)
    with FileLock(store.project.state / "promote.lock"):  # two at once would register one run twice
        results, previous = _pass_gates(store, candidate, model, alias, say, progress)
        return _promote(store, candidate, model, alias, reason, results, previous)


def _check_names(model: str, alias: str) -> None:
    if not model.strip() or set("/:") & set(model):
        raise PromotionError(
            f"a model can't be called '{model}'", where="nbops.toml [model] name", remedy="leave out '/' and ':'"
        )
    if not re.fullmatch(r"[\w-]+", alias, re.ASCII) or re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        raise PromotionError(
            f"'{alias}' can't be an alias",
            remedy="letters, digits, '_' and '-', and neither 'latest' nor a version such as 'v1'",
        )


def _pass_gates(
    store: Store,
    candidate: Candidate,
    model: str,
    alias: str,
    say: Callable[[str], None] | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[gates.GateResult], ModelVersion | None]:
    previous = store.registry.by_alias(model, alias)
    evidence = gates.Evidence(candidate.metrics, _metrics_of(previous.tags) if previous else None)
    results = gates.ask(store.project.config.get("gates", {}), evidence)
    if all(result.outcome == "passed" for result in results):  # what takes long is asked last
        results.append(verify(store, candidate.run, say=say, progress=progress))
    if refused := [result for result in results if result.outcome != "passed"]:
        raise GateFailed(
            "; ".join(f"{result.gate}: {result.evidence}" for result in refused),
            where=f"{model}, run {candidate.run.summary.run_id[:8]}",
            remedy="a better model, or other [gates] in nbops.toml"
            if refused[0].gate != GATE
            else f"`nbops reproduce {candidate.run.summary.run_id[:8]}` shows what differs",
        )
    return results, previous


def _promote(
    store: Store,
    candidate: Candidate,
    model: str,
    alias: str,
    reason: str,
    results: Sequence[gates.GateResult],
    previous: ModelVersion | None,
) -> Promotion:
    run_id = candidate.run.summary.run_id
    version = store.registry.of_run(model, run_id) or _register(store, candidate, model)
    tags = {
        "nbops.metrics": json.dumps(dict(candidate.metrics)),
        "nbops.gates": json.dumps([asdict(result) for result in results]),
        "nbops.stages": json.dumps(dict(candidate.stages)),
        "nbops.promoted": json.dumps({"by": _user(), "at": time.time(), "alias": alias, "reason": reason}),
    }
    for kind in VERSION_KINDS:
        if digest := getattr(candidate.run.summary.versions, kind):
            tags[f"nbops.{kind}"] = digest
    store.registry.tag(model, version, tags)
    store.registry.set_alias(model, alias, version)
    return Promotion(model, version, alias, run_id, previous.version if previous else None, results)


def _register(store: Store, candidate: Candidate, model: str) -> str:
    run_id = candidate.run.summary.run_id
    with tempfile.TemporaryDirectory(prefix="nbops-") as name:
        folder = Path(name)
        capture = store.download(run_id, FOLDER, folder / "download")
        write_model(folder / MODEL_FOLDER, capture, package=f"{model}_{run_id[:8]}")
        store.log_folder(run_id, folder / MODEL_FOLDER, MODEL_FOLDER)
    return store.registry.register(model, run_id, MODEL_FOLDER)


def write_model(target: Path, capture: Path, *, package: str) -> None:
    """Write the scoring function as an MLflow pyfunc model: raw rows in, predictions out.

    Parameters
    ----------
    target
        The model's folder.
    capture
        What the scoring cell recorded.
    package
        A name for its code that no other model has: MLflow puts the code of all models that a process loads side by side.
    """
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    recorded = service.read_capture(capture)
    code = target.with_name("code") / service.package_name(package, recorded["distributions"])
    service.write_scoring(code, capture)
    loader = Template(service.template("pyfunc.py")).substitute(entry=recorded["entry"])
    (code / "pyfunc.py").write_text(loader, encoding="utf-8")
    output = recorded["output"]
    outputs = output.get("columns") or [{"name": output["name"], "type": output["type"]}]
    signature = ModelSignature(
        inputs=Schema([ColSpec(column["type"], column["name"]) for column in recorded["input"]["columns"]]),
        outputs=Schema([ColSpec(column["type"], column["name"]) for column in outputs]),
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*input example was not provided")  # the signature comes from the data
        mlflow.pyfunc.save_model(
            path=str(target),
            loader_module=f"{code.name}.pyfunc",
            code_paths=[str(code)],
            signature=signature,
            pip_requirements=[f"{name}=={version}" for name, version in recorded["distributions"].items()],
        )


def _metrics_of(tags: Mapping[str, str]) -> dict[str, float]:
    metrics: dict[str, float] = json.loads(tags.get("nbops.metrics", "{}"))
    return metrics


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # no account behind this user id, as in many containers
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
