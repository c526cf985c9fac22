"""Gates: what a model must show before it's promoted. Each result is kept with its evidence.

``[gates]`` in ``nbops.toml`` names the gates and their settings. A gate looks at the candidate's metrics, and at those
of the model that holds the alias now; it answers *passed*, *failed* or *waiting*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nbops.errors import PromotionError, nearest

Outcome = Literal["passed", "failed", "waiting"]
_LOWER_IS_BETTER = ("loss", "brier", "error", "rmse", "mse", "mae", "mape", "deviance", "failed")


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate answered, and why."""

    gate: str
    outcome: Outcome
    evidence: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What gates look at.

    Attributes
    ----------
    metrics
        The candidate's, of all stages of its pipeline.
    champion
        The metrics of the version that holds the alias, None when none does.
    """

    metrics: Mapping[str, float]
    champion: Mapping[str, float] | None = None


Settings = Mapping[str, Any]
Gate = Callable[[Evidence, Settings], GateResult]


def beats_baseline(evidence: Evidence, settings: Settings) -> GateResult:
    """`metric` must be better than the metric `baseline`, by at least `margin` (default 0)."""
    name, baseline = str(settings["metric"]), str(settings["baseline"])
    margin = float(settings.get("margin", 0.0))
    missing = _missing(evidence, "beats_baseline", name, baseline)
    if missing:
        return missing
    value, bar = evidence.metrics[name], evidence.metrics[baseline]
    passed = _gain(name, settings, value, bar) > margin
    text = f"{name} {value:.4f} {'beats' if passed else 'does not beat'} {baseline} {bar:.4f}"
    return _result("beats_baseline", passed, text, {name: value, baseline: bar})


def no_regression(evidence: Evidence, settings: Settings) -> GateResult:
    """`metric` must not be worse than the champion's by more than `tolerance` (default 0)."""
    name, tolerance = str(settings["metric"]), float(settings.get("tolerance", 0.0))
    if missing := _missing(evidence, "no_regression", name):
        return missing
    value = evidence.metrics[name]
    if evidence.champion is None:
        return _result("no_regression", True, f"{name} {value:.4f}; there is no champion yet", {name: value})
    if name not in evidence.champion:
        return _result("no_regression", False, f"the champion has no metric '{name}' to compare with", {name: value})
    bar = evidence.champion[name]
    passed = _gain(name, settings, value, bar) >= -tolerance
    text = f"{name} {value:.4f} against the champion's {bar:.4f} (tolerance {tolerance:g})"
    return _result("no_regression", passed, text, {name: value, "champion": bar})


def threshold(evidence: Evidence, settings: Settings) -> GateResult:
    """`metric` must lie within `min` and `max`, whichever are given."""
    name = str(settings["metric"])
    if missing := _missing(evidence, "threshold", name):
        return missing
    value = evidence.metrics[name]
    low, high = settings.get("min"), settings.get("max")
    passed = (low is None or value >= low) and (high is None or value <= high)
    bounds = " and ".join(f"{word} {bar:g}" for word, bar in (("at least", low), ("at most", high)) if bar is not None)
    return _result("threshold", passed, f"{name} is {value:g}, must be {bounds}", {name: value})


GATES: Mapping[str, Gate] = {
    "beats_baseline": beats_baseline,
    "data_valid": threshold,
    "no_regression": no_regression,
    "threshold": threshold,
}
_SETTINGS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "beats_baseline": (frozenset({"metric", "baseline"}), frozenset({"margin", "lower_is_better"})),
    "data_valid": (frozenset({"metric"}), frozenset({"min", "max"})),
    "no_regression": (frozenset({"metric"}), frozenset({"tolerance", "lower_is_better"})),
    "threshold": (frozenset({"metric"}), frozenset({"min", "max"})),
}
_KINDS: Mapping[str, tuple[type, ...]] = {"metric": (str,), "baseline": (str,), "lower_is_better": (bool,)}
_KIND_NAMES = {(str,): "the name of a metric", (bool,): "true or false", (int, float): "a number"}


def ask(gates: Mapping[str, Settings], evidence: Evidence) -> list[GateResult]:
    """Ask every configured gate.

    Parameters
    ----------
    gates
        ``[gates]`` of ``nbops.toml``: settings by gate; ``threshold.NAME`` allows several thresholds.

    Raises
    ------
    PromotionError
        If a gate, or a setting of one, isn't known.
    """
    results = []
    for label, settings in gates.items():
        name = label.partition(".")[0]
        _check(label, name, settings)
        answer = GATES[name](evidence, settings)
        results.append(GateResult(label, answer.outcome, answer.evidence, answer.values))
    return results


def _check(label: str, name: str, settings: Settings) -> None:
    if name not in GATES:
        raise PromotionError(f"unknown gate '{label}'", where="nbops.toml [gates]", remedy=nearest(name, GATES))
    where = f"nbops.toml [gates] {label}"
    if not isinstance(settings, Mapping):
        raise PromotionError("a gate's settings are a table", where=where, remedy=f'{label} = {{ metric = "auc" }}')
    required, optional = _SETTINGS[name]
    for key in settings:
        if key not in required | optional:
            raise PromotionError(f"unknown setting '{key}'", where=where, remedy=nearest(key, required | optional))
        kinds = _KINDS.get(key, (int, float))
        if not isinstance(settings[key], kinds) or (isinstance(settings[key], bool) and bool not in kinds):
            raise PromotionError(f"'{key}' can't be {settings[key]!r}", where=where, remedy=_KIND_NAMES[kinds])
    if lacking := sorted(required - settings.keys()):
        raise PromotionError(f"'{lacking[0]}' is missing", where=where)
    if "min" in optional and not {"min", "max"} & settings.keys():
        raise PromotionError(
            "neither 'min' nor 'max' is given", where=where, remedy=f"{label} = {{ metric = …, min = … }}"
        )


def _gain(metric: str, settings: Settings, value: float, bar: float) -> float:
    lower = settings.get("lower_is_better", any(word in metric.lower() for word in _LOWER_IS_BETTER))
    return bar - value if lower else value - bar


def _missing(evidence: Evidence, gate: str, *names: str) -> GateResult | None:
    for name in names:
        if name not in evidence.metrics:
            return _result(gate, False, f"no metric '{name}' was recorded ({nearest(name, evidence.metrics)})", {})
    return None


def _result(gate: str, passed: bool, evidence: str, values: Mapping[str, float]) -> GateResult:
    return GateResult(gate, "passed" if passed else "failed", evidence, values)
