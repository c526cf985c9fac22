"""In what two runs differ: params, metrics, the five versions, code cell by cell, data by column, environment by package."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbops.tracking.schema import VERSION_KINDS, RunDetail


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs; None stands for "not there"."""

    name: str
    before: str | float | None
    after: str | float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two runs, `before` and `after`."""

    before: str
    after: str
    versions: list[Change]
    params: list[Change]
    metrics: list[Change]
    data: list[Change]
    environment: list[Change]
    models: list[Change]
    code: str


def compare(before: RunDetail, after: RunDetail) -> Comparison:
    """Return all that differs between two runs; `code` is a unified diff of the executed cells."""
    old, new = before.snapshot, after.snapshot
    return Comparison(
        before=before.summary.run_id,
        after=after.summary.run_id,
        versions=_changes(_versions(before), _versions(after)),
        params=_changes(before.summary.params, after.summary.params),
        metrics=_changes(before.summary.metrics, after.summary.metrics),
        data=_changes(_datasets(before), _datasets(after)),
        environment=_changes(_environment(old), _environment(new)),
        models=_changes(_models(old), _models(new)),
        code=_code_diff(before, after),
    )


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    names = sorted(old.keys() | new.keys())
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _versions(run: RunDetail) -> dict[str, str | None]:
    return {kind: getattr(run.summary.versions, kind) for kind in VERSION_KINDS}


def _datasets(run: RunDetail) -> dict[str, str]:
    described = {}
    for dataset in run.datasets:
        described[dataset.source] = f"{dataset.digest[:8]} ({dataset.rows} rows, {len(dataset.columns)} columns)"
        described |= {f"{dataset.source}:{column}": kind for column, kind in dataset.columns.items()}
    return described


def _environment(snapshot: Mapping[str, Any]) -> dict[str, str]:
    environment = snapshot.get("environment", {})
    packages: dict[str, str] = dict(environment.get("distributions", {}))
    return packages | {f"({key})": environment[key] for key in ("python", "system", "machine") if key in environment}


def _models(snapshot: Mapping[str, Any]) -> dict[str, str]:
    models = snapshot.get("model", {}).get("models", [])
    return {model["name"]: f"{model['kind']} {model['digest'][:8]}" for model in models}


def _code_diff(before: RunDetail, after: RunDetail) -> str:
    old, new = (f"{run.summary.name} ({run.summary.run_id[:8]})" for run in (before, after))
    return "\n".join(difflib.unified_diff(_script(before.snapshot), _script(after.snapshot), old, new, lineterm=""))


def _script(snapshot: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for number, cell in enumerate(snapshot.get("code", {}).get("cells", []), 1):
        lines += [f"# cell {number}", *cell["source"].split("\n"), ""]
    return lines
