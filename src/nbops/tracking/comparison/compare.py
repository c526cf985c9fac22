"""In what runs differ: params, metrics, the five versions, code cell by cell, data by column, environment by package, models.

`compare` is of two runs and needs no store; with one, contents and repeated figures are looked for, so that it also says
which columns' values differ and what may be chance. `overview` puts many runs side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nbops.errors import TrackingError
from nbops.tracking.comparison.code import code_changes, module_changes, with_recipe
from nbops.tracking.comparison.data import data_changes
from nbops.tracking.comparison.differences import Change, Comparison, ModelChange, RunLabel
from nbops.tracking.comparison.directions import configured_directions
from nbops.tracking.comparison.metrics import metric_changes, tests_between
from nbops.tracking.comparison.packages import package_changes
from nbops.tracking.schema import VERSION_KINDS, RunDetail, RunSummary
from nbops.tracking.store import Store
from nbops.tracking.store.baseline import pinned

__all__ = ["Change", "Comparison", "Overview", "Row", "compare", "compare_refs", "overview"]


@dataclass(frozen=True, slots=True)
class Row:
    """One param, metric or version of several runs, in their order; None where a run has none."""

    name: str
    values: list[str | float | None]

    @property
    def differs(self) -> bool:
        """Whether not all runs have the same."""
        return any(value != self.values[0] for value in self.values)


@dataclass(frozen=True, slots=True)
class Overview:
    """Several runs side by side, and each against the first."""

    runs: list[RunLabel]
    versions: list[Row]
    params: list[Row]
    metrics: list[Row]
    against_first: list[Comparison]


def compare(before: RunDetail, after: RunDetail, store: Store | None = None, *, history: bool = False) -> Comparison:
    """Return all that differs between two runs.

    Parameters
    ----------
    before, after
        The runs.
    store
        Where they are: for recipes, tests of significance, contents, and what the project says of metrics.
    history
        Compare all cells that were executed, not those of the recipes alone.
    """
    old, new = before.snapshot, after.snapshot
    if store and not history:
        old, new = with_recipe(store, before), with_recipe(store, after)
    configured = configured_directions(store.project) if store else {}
    tests = tests_between(store, before, after) if store else []
    by_name = {test.metric: test for test in tests}
    return Comparison(
        before=_label(before.summary),
        after=_label(after.summary),
        versions=_changes(_versions(before.summary), _versions(after.summary)),
        params=_changes(before.summary.params, after.summary.params),
        metrics=metric_changes(before.summary.metrics, after.summary.metrics, configured, by_name),
        data=data_changes(before, after, store.project if store else None),
        environment=package_changes(old, new),
        models=_model_changes(_models(old), _models(new)),
        code=code_changes(old, new),
        modules=module_changes(old, new),
        tests=tests,
    )


def compare_refs(
    store: Store, refs: Sequence[str], *, history: bool = False
) -> tuple[Comparison | Overview, list[RunDetail]]:
    """Return what differs between the runs that references name, and the runs; one is compared with its baseline.

    Raises
    ------
    TrackingError
        If there is no such run, or nothing to compare it with.
    """
    details = [store.run(ref) for ref in refs]
    if len(details) == 1:
        base = pinned(store, details[0].summary.experiment)
        if base is None:
            remedy = "name a second run, or pin a baseline: `nbops baseline RUN`"
            raise TrackingError("nothing to compare with: the experiment has no baseline", remedy=remedy)
        details.insert(0, store.run(base.run_id))
    if not details:
        raise TrackingError("no runs to compare", remedy="name them: `nbops diff 3f2a latest`")
    if len(details) == 2:
        return compare(details[0], details[1], store, history=history), details
    return overview(details, store), details


def overview(runs: Sequence[RunDetail], store: Store | None = None) -> Overview:
    """Return several runs side by side; what differs in code, data, environment and models is told against the first."""
    summaries = [run.summary for run in runs]
    return Overview(
        runs=[_label(run) for run in summaries],
        versions=_rows([_versions(run) for run in summaries], VERSION_KINDS),
        params=_rows([run.params for run in summaries]),
        metrics=_rows([run.metrics for run in summaries]),
        against_first=[compare(runs[0], run, store) for run in runs[1:]],
    )


def _label(run: RunSummary) -> RunLabel:
    return RunLabel(run.run_id, run.name, run.experiment, run.status, run.started, run.versions)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    names = dict.fromkeys((*sorted(old), *sorted(new)))
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _rows(all_values: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> list[Row]:
    chosen = names or sorted({name for values in all_values for name in values})
    return [Row(name, [values.get(name) for values in all_values]) for name in chosen]


def _versions(run: RunSummary) -> dict[str, str | None]:
    return {kind: getattr(run.versions, kind) for kind in VERSION_KINDS}


def _models(snapshot: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    models = (snapshot.get("model") or {}).get("models") or []
    return {str(model["name"]): {key: value for key, value in model.items() if key != "name"} for model in models}


def _model_changes(old: Mapping[str, dict[str, Any]], new: Mapping[str, dict[str, Any]]) -> list[ModelChange]:
    names = sorted(old.keys() | new.keys())
    return [ModelChange(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]
