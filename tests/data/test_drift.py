"""Profiles and drift: known numbers, invariants, odd columns, and the speed that batches need."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbops.data.drift import drift, level, psi
from nbops.data.profile import profile
from nbops.errors import NbopsError


def one(before: Any, after: Any) -> Any:
    [found] = drift(pd.DataFrame({"x": after}), json.loads(json.dumps(profile(pd.DataFrame({"x": before})))))
    return found


def test_psi_is_the_textbooks_sum() -> None:
    expected = (0.5 - 0.25) * math.log(0.5 / 0.25) + (0.5 - 0.75) * math.log(0.5 / 0.75)
    assert psi([0.25, 0.75], [0.5, 0.5]) == pytest.approx(expected, rel=1e-15)
    assert psi([0.5, 0.5], [0.25, 0.75]) == pytest.approx(expected, rel=1e-15)
    assert psi([0.3, 0.7], [0.3, 0.7]) == 0
    assert math.isfinite(psi([1, 0], [0, 1]))


def test_the_levels_are_the_usual_ones() -> None:
    assert [level(value) for value in (0, 0.0999, 0.1, 0.2499, 0.25, 9)] == [
        "stable",
        "stable",
        "moderate",
        "moderate",
        "large",
        "large",
    ]


def test_a_profile_tells_deciles_categories_and_gaps() -> None:
    frame = pd.DataFrame(
        {"n": [*range(1, 101)], "c": ["a"] * 60 + ["b"] * 30 + [None] * 10, "k": ["x"] * 50 + [None] * 50}
    )
    found = profile(frame)
    assert (found["format"], found["rows"]) == (1, 100)
    assert found["columns"]["n"]["edges"] == [10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0]
    assert found["columns"]["n"]["shares"] == [0.1] * 10
    assert found["columns"]["c"] == {
        "kind": "categorical",
        "missing": 0.1,
        "values": ["a", "b"],
        "shares": [60 / 90, 30 / 90],
        "other": 0.0,
    }


def test_rare_categories_are_other_and_then_new_ones_cannot_be_told() -> None:
    found = profile(pd.DataFrame({"c": [f"k{i % 200}" for i in range(1000)]}))["columns"]["c"]
    assert len(found["values"]) == 50
    assert found["other"] == 0.75
    assert one([f"k{i % 200}" for i in range(1000)], ["new"] * 1000).new_share is None


def test_a_shift_is_found_and_the_largest_comes_first() -> None:
    rng = np.random.default_rng(7)
    before = pd.DataFrame({"a": rng.normal(size=5000), "b": rng.normal(size=5000), "c": rng.choice(["x", "y"], 5000)})
    after = pd.DataFrame(
        {"a": rng.normal(0.4, 1, 5000), "b": rng.normal(2, 1, 5000), "c": rng.choice(["x", "y"], 5000)}
    )
    found = drift(after, profile(before))
    assert [column.column for column in found] == ["b", "a", "c"]
    assert [column.level for column in found] == ["large", "moderate", "stable"]
    assert found[2].psi < found[2].chance * 3


def test_new_categories_and_missing_values_are_told_apart() -> None:
    found = one(["a"] * 50 + ["b"] * 50, ["a"] * 40 + ["z"] * 40 + [None] * 20)
    assert found.new_share == 0.5
    assert found.missing_change == 0.2
    assert found.level == "large"
    assert one([1.0, 2.0], [1.0, None]).missing_change == 0.5


@pytest.mark.parametrize(
    ("before", "after", "drifts"),
    [
        ([0] * 70 + [1] * 30, [0] * 30 + [1] * 70, True),
        ([0] * 70 + [1] * 30, [0] * 70 + [1] * 30, False),
        ([5.0] * 100, [5.0] * 100, False),
        ([5.0] * 100, [6.0] * 100, True),
        ([5.0] * 100, [4.0] * 100, False),
        ([None] * 100, [None] * 100, False),
        ([np.nan] * 100, [1.0] * 100, True),
        ([1.0, np.inf, -np.inf] * 30, [1.0, np.inf, -np.inf] * 30, False),
        ([True, False] * 50, [True] * 100, True),
        (pd.date_range("2013-01-01", periods=100), pd.date_range("2013-01-01", periods=100), False),
        (pd.date_range("2013-01-01", periods=100), pd.date_range("2014-01-01", periods=100, tz="UTC"), True),
        (pd.array([1, None] * 50, dtype="Int64"), pd.array([1, None] * 50, dtype="Int64"), False),
        (pd.Categorical(["a", "b"] * 50, ["b", "a", "c"]), ["a", "b"] * 50, False),
        ([1, 2] * 50, ["a", "b"] * 50, True),
        (["1", "2"] * 50, [1, 2] * 50, False),
        (pd.to_timedelta([1, 2] * 50, unit="h"), pd.to_timedelta([5, 6] * 50, unit="h"), True),
    ],
)
def test_odd_columns(before: Any, after: Any, drifts: bool) -> None:
    found = one(before, after)
    assert (found.level == "large") == drifts, found
    if not drifts:
        assert found.psi == 0


def test_only_shared_columns_count_and_no_rows_drift_nowhere() -> None:
    reference = profile(pd.DataFrame({"a": [1, 2], "b": [1, 2]}))
    assert [found.column for found in drift(pd.DataFrame({"b": [1], "z": [1]}), reference)] == ["b"]
    assert drift(pd.DataFrame({"a": []}), reference) == []
    assert drift(pd.DataFrame({"a": [1.0]}), profile(pd.DataFrame({"a": []})))[0].level == "large"


def test_another_format_is_refused() -> None:
    with pytest.raises(NbopsError, match="format 2"):
        drift(pd.DataFrame(), {"format": 2})


@settings(deadline=None, max_examples=60)
@given(
    before=st.lists(st.none() | st.floats(), min_size=1, max_size=60),
    after=st.lists(st.none() | st.floats(), min_size=1, max_size=60),
)
def test_psi_is_finite_never_negative_and_zero_against_itself(before: list[Any], after: list[Any]) -> None:
    first, second = pd.Series(before, dtype="float64"), pd.Series(after, dtype="float64")
    assert one(first, first).psi == pytest.approx(0, abs=1e-12)
    found = one(first, second)
    assert 0 <= found.psi < math.inf
    assert one(first, second.iloc[::-1]).psi == found.psi


def test_chance_holds_without_drift() -> None:
    rng = np.random.default_rng(0)
    above = 0
    for _ in range(200):
        found = one(rng.normal(size=2000), rng.normal(size=300))
        above += found.psi > found.chance
    assert 2 <= above <= 24, "about one in twenty"


def test_a_hundred_thousand_rows_of_twenty_columns_take_well_under_a_third_of_a_second() -> None:
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {f"n{i}": rng.normal(size=100_000) for i in range(14)}
    columns |= {f"c{i}": rng.choice(["a", "b", "c", "d"], 100_000) for i in range(6)}
    frame = pd.DataFrame(columns)
    reference = profile(frame)
    spent = []
    for _ in range(3):
        began = time.process_time()
        drift(frame, reference)
        spent.append(time.process_time() - began)
    assert min(spent) < 0.3
