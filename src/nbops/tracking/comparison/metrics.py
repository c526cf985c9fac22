"""Metrics of two runs: by how much, whether that is better, and whether it may be chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nbops.tracking.comparison.differences import MetricChange
from nbops.tracking.comparison.directions import direction, verdict
from nbops.tracking.comparison.samples import Samples, Values, experiment_runs, samples
from nbops.tracking.comparison.significance import PairedTest, holm, paired
from nbops.tracking.schema import Point, RunDetail
from nbops.tracking.store import Store

_MOST_CURVES = 60
_NO_PAIRS = (
    "each run has one value of it; log one per fold (auc_fold_0, auc_fold_1 …, or a step per fold with a param `cv`), "
    "or repeat both runs with other seeds"
)


def metric_changes(
    before: Mapping[str, float],
    after: Mapping[str, float],
    configured: Mapping[str, str],
    tests: Mapping[str, PairedTest] | None = None,
) -> list[MetricChange]:
    """Return the metrics that differ, by name."""
    changes = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        told = verdict(one, other, direction(name, configured)) if one is not None and other is not None else None
        if told != "same":
            changes.append(MetricChange(name, one, other, told, (tests or {}).get(name)))
    return changes


def tests_between(store: Store, before: RunDetail, after: RunDetail) -> list[PairedTest]:
    """Return a paired test of each metric that both runs have, or why there can't be one."""
    if before.summary.run_id == after.summary.run_id:
        return []
    among = experiment_runs(store, before)
    other_experiment = after.summary.experiment != before.summary.experiment
    one = samples(store, before, among)
    other = samples(store, after, experiment_runs(store, after) if other_experiment else among)
    folded, seeded = _common(one.by_fold, other.by_fold), _common(one.by_seed, other.by_seed)
    single = {
        name for name in before.summary.metrics.keys() & after.summary.metrics.keys() if "fold" not in name.lower()
    }
    names = sorted(folded | seeded | single)
    return holm([_test(name, before, after, one, other) for name in names])


def histories(store: Store, runs: Sequence[RunDetail]) -> dict[str, dict[str, list[Point]]]:
    """Return the metrics that were logged more than once in one of the runs, by the runs' labels in their order."""
    found: dict[str, dict[str, list[Point]]] = {}
    for name in sorted({name for run in runs for name in run.summary.metrics})[:_MOST_CURVES]:
        points = {f"{run.summary.name} {run.summary.run_id[:8]}": _points(store, run, name) for run in runs}
        if any(len(some) > 1 for some in points.values()):
            found[name] = points
    return found


def _points(store: Store, run: RunDetail, name: str) -> list[Point]:
    return store.metric_history(run.summary.run_id, name) if name in run.summary.metrics else []


def _common(one: Mapping[str, Values], other: Mapping[str, Values]) -> set[str]:
    return set(one) & set(other)


def _test(name: str, before: RunDetail, after: RunDetail, one: Samples, other: Samples) -> PairedTest:
    if name in one.by_fold and name in other.by_fold:
        left, right = one.by_fold[name], other.by_fold[name]
        if reason := _unlike_folds(before, after, left, right):
            return PairedTest(name, "folds", reason=reason)
        keys = sorted(left, key=str)
        return paired(name, "folds", [left[key] for key in keys], [right[key] for key in keys], folds=one.folds)
    if name in one.by_seed and name in other.by_seed:
        left, right = one.by_seed[name], other.by_seed[name]
        seeds = sorted(left.keys() & right.keys(), key=str)
        if not seeds:
            return PairedTest(
                name,
                "seeds",
                reason=f"no seed in common ({_some(left)} against {_some(right)}); run both with the same",
            )
        return paired(name, "seeds", [left[seed] for seed in seeds], [right[seed] for seed in seeds])
    if name in one.curves or name in other.curves:
        return PairedTest(name, reason="its steps aren't known to be folds; a param `cv` or `n_splits` would say so")
    if name in one.by_fold or name in other.by_fold:
        return PairedTest(name, reason="only one of the runs has it by fold")
    if name in one.by_seed or name in other.by_seed:
        return PairedTest(name, reason="only one of the runs was repeated with other seeds")
    return PairedTest(name, reason=_NO_PAIRS)


def _unlike_folds(before: RunDetail, after: RunDetail, left: Values, right: Values) -> str:
    if left.keys() != right.keys():
        return f"{len(left)} folds against {len(right)}"
    old, new = before.summary, after.summary
    if old.versions.data and new.versions.data and old.versions.data != new.versions.data:
        return "the runs read different data, so that their folds aren't of the same rows"
    for name in ("cv", "n_splits", "shuffle", "split_seed", "cv_seed"):
        if old.params.get(name) != new.params.get(name):
            return f"the folds were cut otherwise ({name}: {old.params.get(name)} against {new.params.get(name)})"
    return ""


def _some(values: Values) -> str:
    keys = sorted(str(key) for key in values)
    return ", ".join(keys[:4]) + (" …" if len(keys) > 4 else "")
