"""Where a run's paired figures lie: the folds of its cross-validation, or runs like it with other seeds.

*Folds* are metrics named by a fold (``auc_fold_0``, ``split0_test_score``), child runs with a param or tag ``fold``, the best
candidate's splits in the ``cv_results.csv`` that autologging keeps, or a metric's steps, but only if a param of the run
(``cv``, ``n_splits`` …) says that there are as many folds: else steps are taken for epochs, which pair with nothing.
*Seeds* are runs of the experiment that differ from the run in no param but those named like a seed, or its children.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from nbops.tracking.schema import RunDetail, RunSummary
from nbops.tracking.store import Store

_SEED = re.compile(r"(?i)(^|[._\- ]|__)(random_?)?(seed|state)$")
_SEED_INSIDE = re.compile(r"(?i)\b(random_state|seed)=\w+")
_FOLD_NAME = re.compile(
    r"(?i)^(?P<head>.*?)[_./\- ]?(?:cv[_\- ]?)?(?:fold|split)[_\- ]?(?P<number>\d+)[_./\- ]?(?P<tail>.*)$"
)
_FOLDS_PARAM = re.compile(r"(?i)(^|[._\- ]|__)(cv|k|n_?folds?|n_?splits?|folds|k_?fold|num_?folds?)$")
_MADE_UP = re.compile(r"[a-z]+-[a-z]+-\d+")
_MOST_FOLDS = 100
_MOST_RUNS = 2000

Values = dict[int | str, float]


@dataclass(frozen=True, slots=True)
class Samples:
    """A run's values by metric and fold, and by metric and seed; `folds` is the number of folds of one repeat."""

    by_fold: Mapping[str, Values] = field(default_factory=dict)
    by_seed: Mapping[str, Values] = field(default_factory=dict)
    folds: int | None = None
    curves: frozenset[str] = frozenset()


def samples(store: Store, run: RunDetail, among: Iterable[RunSummary]) -> Samples:
    """Return what a run's metrics can be tested by.

    Parameters
    ----------
    store
        Where its histories and artifacts are.
    run
        The run.
    among
        The runs of its experiment.
    """
    others = list(among)
    children = [other for other in others if other.parent == run.summary.run_id]
    count = _folds(run.summary.params)
    named = _named(run.summary.metrics)
    by_fold: dict[str, Values] = named | _below(children, "fold")
    if not by_fold and "cv_results.csv" in run.artifacts:
        by_fold = _searched(store, run.summary.run_id)
    stepped, curves = _stepped(store, run.summary, count)
    by_seed = _below(children, "seed") or _siblings(run.summary, others)
    return Samples(stepped | by_fold, by_seed, count, frozenset(curves))


def experiment_runs(store: Store, run: RunDetail) -> list[RunSummary]:
    """Return the runs of a run's experiment, newest first."""
    return store.runs(limit=_MOST_RUNS, experiment=run.summary.experiment)


def is_seed(name: str) -> bool:
    """Whether a param is named like a seed."""
    return bool(_SEED.search(name))


def _folds(params: Mapping[str, str]) -> int | None:
    for name, value in params.items():
        if _FOLDS_PARAM.search(name):
            found = re.search(r"(?:n_splits=)?(\d+)", value)
            if found and 2 <= int(found[1]) <= _MOST_FOLDS:
                return int(found[1])
    return None


def _named(metrics: Mapping[str, float]) -> dict[str, Values]:
    found: dict[str, Values] = defaultdict(dict)
    for name, value in metrics.items():
        if match := _FOLD_NAME.match(name):
            plain = "_".join(filter(None, [match["head"].strip("_./- "), match["tail"].strip("_./- ")]))
            found[plain or "score"][int(match["number"])] = value
    return {name: values for name, values in found.items() if len(values) > 1}


def _below(children: Iterable[RunSummary], kind: str) -> dict[str, Values]:
    """Return the metrics of child runs, each of which has one param that says which fold or seed it is."""
    found: dict[str, Values] = defaultdict(dict)
    for child in children:
        wanted = (
            is_seed
            if kind == "seed"
            else (lambda name: bool(re.fullmatch(r"(?i)(cv_?)?(fold|split)(_?(no|id|nr|index))?", name)))
        )
        key = next((value for name, value in sorted(child.params.items()) if wanted(name)), None)
        if key is None and kind == "fold":
            match = re.fullmatch(r"(?i).*(?:fold|split)[_\- ]?(\d+)", child.name)
            key = match[1] if match else None
        if key is not None:
            for name, value in child.metrics.items():
                found[name].setdefault(key, value)  # children come newest first
    return {name: values for name, values in found.items() if len(values) > 1}


def _searched(store: Store, run_id: str) -> dict[str, Values]:
    """Return the best candidate's test scores by split, from the table that autologging keeps of a search."""
    with TemporaryDirectory(prefix="nbops-") as folder:
        text = store.download(run_id, "cv_results.csv", Path(folder)).read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    found: dict[str, Values] = {}
    for column in rows[0] if rows else ():
        if column and column.startswith("rank_test_"):
            metric = column.removeprefix("rank_")
            best = min(rows, key=lambda row: float(row[column] or "inf"))
            pattern = re.compile(rf"split(\d+)_{re.escape(metric)}")
            values: Values = {
                int(match[1]): float(value)
                for name, value in best.items()
                if (match := pattern.fullmatch(name or "")) and value
            }
            if len(values) > 1:
                found[metric] = values
    return found


def _stepped(store: Store, run: RunSummary, folds: int | None) -> tuple[dict[str, Values], set[str]]:
    """Return metrics whose steps are folds, and the names of those with steps that aren't."""
    found: dict[str, Values] = {}
    curves = set()
    expected = (folds or 0) * _repeats(run.params)
    for name in [name for name in run.metrics if not _FOLD_NAME.match(name)][:_MOST_FOLDS]:
        points = {point.step: point.value for point in store.metric_history(run.run_id, name)}
        if len(points) < 2:
            continue
        first, last = min(points), max(points)
        whole = first in (0, 1) and last - first + 1 == len(points)
        if whole and len(points) == expected and not _is_of_training(name, run.params, len(points)):
            found[name] = {step - first: value for step, value in points.items()}
        else:
            curves.add(name)
    return found, curves


def _repeats(params: Mapping[str, str]) -> int:
    for name, value in params.items():
        found = re.search(r"n_repeats=(\d+)", value) or (
            re.fullmatch(r"(\d+)", value) if name.endswith("n_repeats") else None
        )
        if found:
            return int(found[1])
    return 1


def _is_of_training(name: str, params: Mapping[str, str], count: int) -> bool:
    """Whether as many steps are better explained by rounds of training."""
    rounds = re.compile(r"(?i)epoch|max_iter|n_estimators|rounds|steps")
    told = any(rounds.search(param) and value == str(count) for param, value in params.items())
    return told or bool(re.search(r"(?i)(^|[_\-./ ])(train|training|epoch|batch|step)([_\-./ ]|$)", name))


def is_of_fold(metric: str) -> bool:
    """Whether a metric is named by the fold that it's of."""
    return bool(_FOLD_NAME.match(metric))


def _siblings(run: RunSummary, among: Iterable[RunSummary]) -> dict[str, Values]:
    kind = _without_seeds(run)
    found: dict[str, Values] = defaultdict(dict)
    if _seed(run) is None:
        return {}
    for other in among:
        seed = _seed(other)
        if (
            seed is not None
            and other.status == "FINISHED"
            and other.parent == run.parent
            and _without_seeds(other) == kind
        ):
            for name, value in other.metrics.items():
                found[name].setdefault(seed, value)
    for name, value in run.metrics.items():
        found[name][str(_seed(run))] = value
    return {name: values for name, values in found.items() if len(values) > 1}


def _seed(run: RunSummary) -> str | None:
    seeds = sorted({value for name, value in run.params.items() if is_seed(name) and value not in ("None", "")})
    return ", ".join(seeds) or None


def _without_seeds(run: RunSummary) -> tuple[str, tuple[tuple[str, str], ...]]:
    params = ((name, _SEED_INSIDE.sub(r"\1=*", value)) for name, value in run.params.items() if not is_seed(name))
    name = "" if _MADE_UP.fullmatch(run.name) else re.sub(r"(?i)[_\- ]*(seed)[_\-= ]*\d+", "", run.name)
    return name, tuple(sorted(params))
