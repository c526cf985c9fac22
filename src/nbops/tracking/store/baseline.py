"""The run that an experiment is measured by: pinned once, and every run says how it compares.

It is a tag of the MLflow experiment, ``nbops.baseline``, so that everyone who uses the store sees the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from nbops.errors import TrackingError
from nbops.tracking.comparison.directions import configured_directions, direction, verdict
from nbops.tracking.schema import RunSummary, Verdict
from nbops.tracking.store.entities import summary_of

if TYPE_CHECKING:
    from mlflow.entities import Experiment

    from nbops.tracking.store import Store

TAG = "nbops.baseline"


def pin(store: Store, ref: str) -> RunSummary:
    """Make a run the baseline of its experiment and return it."""
    run_id = store.resolve(ref)
    run = store.client.get_run(run_id)
    store.client.set_experiment_tag(run.info.experiment_id, TAG, run_id)
    return summary_of(run, store.client.get_experiment(run.info.experiment_id).name)


def unpin(store: Store, experiment: str | None = None) -> RunSummary | None:
    """Take the baseline of an experiment (default: the project's) away; return what it was."""
    found = pinned(store, experiment)
    if found is not None:
        named = store.client.get_experiment_by_name(experiment or store.project.experiment)
        store.client.set_experiment_tag(named.experiment_id, TAG, "")  # MLflow < 3.4 can't delete one
    return found


def pinned(store: Store, experiment: str | None = None) -> RunSummary | None:
    """Return the baseline of an experiment (default: the project's), None if it has none or it was deleted."""
    store.settle()
    if not store.exists:
        return None
    name = experiment or store.project.experiment
    named = store.client.get_experiment_by_name(name)
    if named is None:
        if experiment:
            raise TrackingError(
                f"no experiment '{experiment}'", remedy="`nbops runs --json` shows each run's experiment"
            )
        return None
    return _pinned(store, named)


def judged(store: Store, runs: Iterable[RunSummary], experiments: Iterable[Experiment]) -> list[RunSummary]:
    """Return runs with what they are against the baseline of their experiment; one question to MLflow a baseline."""
    some = list(runs)
    names = {run.experiment for run in some}
    baselines = {
        experiment.name: found
        for experiment in experiments
        if experiment.name in names and experiment.tags.get(TAG) and (found := _pinned(store, experiment))
    }
    if not baselines:
        return some
    configured = configured_directions(store.project)
    return [
        replace(run, baseline=base.run_id, against=compared(run.metrics, base.metrics, configured))
        if (base := baselines.get(run.experiment))
        else run
        for run in some
    ]


def compared(
    metrics: Mapping[str, float], base: Mapping[str, float], configured: Mapping[str, str]
) -> dict[str, Verdict]:
    """Return how each metric that both have compares with the baseline's."""
    return {
        name: verdict(base[name], value, direction(name, configured)) for name, value in metrics.items() if name in base
    }


def _pinned(store: Store, experiment: Experiment) -> RunSummary | None:
    from mlflow.exceptions import MlflowException

    run_id = experiment.tags.get(TAG)
    if not run_id:
        return None
    try:
        run = store.client.get_run(run_id)
    except MlflowException:  # deleted for good
        return None
    return summary_of(run, experiment.name) if run.info.lifecycle_stage == "active" else None
