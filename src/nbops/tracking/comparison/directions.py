"""Whether more or less of a metric is better, told by its name.

The words of a name decide: ``valid_auc`` is to be large, ``log_loss`` small, and scikit-learn's ``neg_`` turns it round. A
word for an error outweighs one for a score (``brier_score_loss``). Where no word is known nothing is guessed: such a metric
is only different. ``[tracking] metrics = {name = "max"}`` in nbops.toml says otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

from nbops.errors import ProjectError
from nbops.project import Project
from nbops.tracking.schema import Verdict

Direction = Literal["max", "min"]

_UP = re.compile(
    r"acc|accuracy|ap|auc|aucpr|auprc|auroc|bleu|corr|correct|correlation|coverage|dice|f1|f2|"
    r"fbeta|fscore|gini|hits|iou|jaccard|kappa|map|mcc|mrr|ndcg|npv|pearson|ppv|precision|r2|"
    r"recall|reward|roc|rouge|score|sensitivity|silhouette|spearman|specificity|success|throughput|"
    r"tnr|tpr|variance"
)
_DOWN = re.compile(
    r"brier|bytes|cer|cost|crossentropy|deviance|distance|duration|entropy|err|error|errors|fdr|"
    r"fnr|fpr|hinge|inertia|kl|latency|logloss|loss|losses|mae|mape|memory|misclassification|mpe|"
    r"mse|msle|nll|perplexity|regret|residual|rmse|rmsle|rse|seconds|smape|stderr|time|wape|"
    r"wer"
)
_NEUTRAL = ("log_likelihood", "likelihood", "explained_variance")
_WORDS = re.compile(r"[a-z]+[0-9]*|[0-9]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def direction(name: str, configured: Mapping[str, str] | None = None) -> Direction | None:
    """Return ``max`` if more of a metric is better, ``min`` if less is, None if its name doesn't tell."""
    if configured and name in configured:
        return "max" if configured[name] == "max" else "min"
    lowered = _CAMEL.sub("_", name).lower()
    words = _WORDS.findall(lowered)
    if any(neutral in "_".join(words) for neutral in _NEUTRAL):
        return "max" if "neg" not in words and "negative" not in words else "min"
    found: Direction | None = None
    if "std" in words:  # how much something spreads is neither good nor bad
        return None
    if any(map(_DOWN.fullmatch, words)):
        found = "min"
    elif any(map(_UP.fullmatch, words)):
        found = "max" if words[-1] != "variance" else None
    if found and {"neg", "negative"}.intersection(words):
        return "min" if found == "max" else "max"
    return found


def configured_directions(project: Project) -> dict[str, str]:
    """Return what ``[tracking] metrics`` says.

    Raises
    ------
    ProjectError
        If it says anything but ``max`` and ``min``.
    """
    table = project.config.get("tracking", {}).get("metrics", {})
    if not isinstance(table, dict) or any(value not in ("max", "min") for value in table.values()):
        raise ProjectError(
            f"can't read metrics = {table!r}",
            where=f"{project.root / 'nbops.toml'}, [tracking]",
            remedy='name = "max" where more is better, "min" where less is: metrics = {profit = "max"}',
        )
    return dict(table)


def verdict(before: float, after: float, way: Direction | None) -> Verdict:
    """Return how `after` compares with `before`."""
    if math.isclose(before, after, rel_tol=1e-12) or (math.isnan(before) and math.isnan(after)):
        return "same"
    if way is None or math.isnan(before) or math.isnan(after):
        return "different"
    return "better" if (after > before) == (way == "max") else "worse"
