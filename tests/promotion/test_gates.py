"""Gates say yes, no, and why."""

from __future__ import annotations

from typing import Any

import pytest

from nbops.errors import PromotionError
from nbops.promotion.gates import Evidence, ask


def outcome(
    gate: str, settings: dict[str, Any], metrics: dict[str, float], champion: dict[str, float] | None = None
) -> str:
    (result,) = ask({gate: settings}, Evidence(metrics, champion))
    assert result.evidence
    return result.outcome


def test_beats_baseline() -> None:
    settings = {"metric": "auc", "baseline": "baseline_auc"}
    assert outcome("beats_baseline", settings, {"auc": 0.7, "baseline_auc": 0.6}) == "passed"
    assert outcome("beats_baseline", settings, {"auc": 0.6, "baseline_auc": 0.6}) == "failed"
    assert outcome("beats_baseline", settings | {"margin": 0.2}, {"auc": 0.7, "baseline_auc": 0.6}) == "failed"
    assert outcome("beats_baseline", settings, {"auc": 0.7}) == "failed"


def test_losses_count_the_other_way() -> None:
    settings = {"metric": "log_loss", "baseline": "base"}
    assert outcome("beats_baseline", settings, {"log_loss": 0.4, "base": 0.5}) == "passed"
    settings = {"metric": "score", "baseline": "base", "lower_is_better": True}
    assert outcome("beats_baseline", settings, {"score": 0.4, "base": 0.5}) == "passed"


def test_no_regression() -> None:
    settings = {"metric": "auc", "tolerance": 0.01}
    assert outcome("no_regression", settings, {"auc": 0.7}) == "passed"
    assert outcome("no_regression", settings, {"auc": 0.695}, {"auc": 0.7}) == "passed"
    assert outcome("no_regression", settings, {"auc": 0.68}, {"auc": 0.7}) == "failed"
    assert outcome("no_regression", settings, {"auc": 0.68}, {}) == "failed"


def test_threshold() -> None:
    assert outcome("data_valid", {"metric": "failed_checks", "max": 0}, {"failed_checks": 0}) == "passed"
    assert outcome("data_valid", {"metric": "failed_checks", "max": 0}, {"failed_checks": 1}) == "failed"
    assert outcome("threshold.rows", {"metric": "rows", "min": 10}, {"rows": 9}) == "failed"


def test_not_a_number_never_passes() -> None:
    nan = float("nan")
    assert outcome("beats_baseline", {"metric": "auc", "baseline": "b"}, {"auc": nan, "b": 0.5}) == "failed"
    assert outcome("no_regression", {"metric": "auc"}, {"auc": nan}, {"auc": 0.5}) == "failed"
    assert outcome("threshold", {"metric": "auc", "min": 0.1}, {"auc": nan}) == "failed"


@pytest.mark.parametrize(
    ("gates", "message"),
    [
        ({"beats_baselin": {"metric": "a"}}, "did you mean 'beats_baseline'"),
        ({"threshold": {"metric": "a", "minimum": 1}}, "did you mean 'min'"),
        ({"beats_baseline": {"metric": "a"}}, "'baseline' is missing"),
        ({"threshold": 3}, "settings are a table"),
        ({"threshold": {"metric": "a"}}, "neither 'min' nor 'max'"),
        ({"threshold": {"metric": "a", "min": "0.5"}}, "'min' can't be '0.5'"),
        ({"beats_baseline": {"metric": 3, "baseline": "b"}}, "'metric' can't be 3"),
        ({"no_regression": {"metric": "a", "lower_is_better": 1}}, "'lower_is_better' can't be 1"),
    ],
)
def test_wrong_settings(gates: dict[str, Any], message: str) -> None:
    with pytest.raises(PromotionError, match=message):
        ask(gates, Evidence({"a": 1.0}))
