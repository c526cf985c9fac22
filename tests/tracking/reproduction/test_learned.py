"""Whether two fitted models have learned the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbops.tracking.reproduction.learned import compare_states
from nbops.tracking.reproduction.tolerance import Tolerance

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 3))
Y = (X.sum(axis=1) > 0).astype(int)


def models(**options: Any) -> list[Any]:
    return [
        LogisticRegression(**options).fit(X, Y),
        make_pipeline(StandardScaler(), LogisticRegression(**options)).fit(X, Y),
        GridSearchCV(LogisticRegression(**options), {"C": [0.1, 1.0]}, cv=2).fit(X, Y),
    ]


def test_the_same_fit_has_learned_the_same() -> None:
    for old, new in zip(models(), models(), strict=True):
        assert compare_states(old, new, Tolerance()).level == "same"


def test_a_forest_is_its_trees() -> None:
    forests = [RandomForestClassifier(n_estimators=3, random_state=seed).fit(X, Y) for seed in (0, 0, 1)]
    assert compare_states(forests[0], forests[1], Tolerance()).level == "same"
    assert compare_states(forests[0], forests[2], Tolerance()).level == "differs"


@pytest.mark.parametrize(("shift", "level"), [(1e-12, "same"), (1e-4, "close"), (0.5, "differs")])
def test_coefficients_within_tolerance(shift: float, level: str) -> None:
    old, new = LogisticRegression().fit(X, Y), LogisticRegression().fit(X, Y)
    new.coef_ = new.coef_ * (1 + shift)
    found = compare_states(old, new, Tolerance())
    assert (found.level, found.name) == (level, "coef_" if level != "same" else "")


def test_other_settings_and_shapes_differ() -> None:
    assert compare_states(models()[1], models(fit_intercept=False)[1], Tolerance()).level == "differs"
    assert compare_states({"coef_": X}, {"coef_": X[:, :2]}, Tolerance()).before == "shape (80, 3)"
    assert compare_states({"a": 1}, {"b": 1}, Tolerance()).level == "differs"


def test_an_address_in_a_model_is_not_learned() -> None:
    texts = ["a rocket in orbit", "the late goal"]
    one, other = (make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(texts, [0, 1]) for _ in range(2))
    other[0]._stop_words_id = one[0]._stop_words_id + 1_000_000
    assert compare_states(one, other, Tolerance()).level == "same"
