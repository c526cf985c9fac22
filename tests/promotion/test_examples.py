"""Recorded examples and the signature that is taken from the data."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbops.errors import SliceError
from nbops.promotion.examples import choose_rows, input_columns, predictions_of, to_wire


def test_edges_are_among_the_chosen_rows() -> None:
    frame = pd.DataFrame({"x": np.arange(5000.0), "c": ["a"] * 4999 + ["rare"]})
    frame.loc[[1234], "x"] = np.nan
    frame.loc[[777], "x"] = -1e9
    rows = choose_rows(frame)
    assert {777, 1234, 4999} <= set(rows)
    assert len(rows) < 250


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=50))
def test_doubles_survive_the_wire(values: list[float]) -> None:
    wire = json.loads(json.dumps([row[0] for row in to_wire(pd.DataFrame({"x": values}))]))
    expected = [None if np.isnan(value) else value for value in values]
    assert [repr(value) for value in wire] == [repr(value) for value in expected]


def test_signature_of_every_type() -> None:
    frame = pd.DataFrame(
        {
            "b": [True, False],
            "i": np.array([1, 2], "int32"),
            "l": [1, 2],
            "f": np.array([1, 2], "float32"),
            "d": [1.0, np.nan],
            "s": ["a", None],
            "t": pd.to_datetime(["2013-01-01", "2013-01-02"]),
            "u": pd.to_datetime(["2013-01-01", "2013-01-02"], utc=True),
        }
    )
    columns = input_columns(frame, where="cell")
    assert [column["type"] for column in columns] == [
        "boolean", "integer", "long", "float", "double", "string", "datetime", "datetime",
    ]  # fmt: skip
    assert [column["nullable"] for column in columns] == [False, False, False, True, True, True, False, False]
    assert columns[-1]["tz"] == "UTC"


@pytest.mark.parametrize(
    "frame", [pd.DataFrame({"x": [[1], [2]]}), pd.DataFrame([[1, 2]], columns=["x", "x"]), pd.DataFrame({0: [1]})]
)
def test_columns_that_cannot_be_served(frame: pd.DataFrame) -> None:
    with pytest.raises(SliceError):
        input_columns(frame, where="cell")


@pytest.mark.parametrize(
    "value", [np.array([0.5, 0.25]), pd.Series([0.5, 0.25]), [0.5, 0.25], np.array([[0.5], [0.25]])]
)
def test_predictions_in_any_form(value: object) -> None:
    signature, wire = predictions_of(value, 2, name="p", where="cell")
    assert signature == {"name": "p", "type": "double"}
    assert wire == [0.5, 0.25]


def test_predictions_as_a_frame() -> None:
    signature, wire = predictions_of(pd.DataFrame({"p": [0.5], "label": ["late"]}), 1, name="out", where="cell")
    assert signature["columns"] == [{"name": "p", "type": "double"}, {"name": "label", "type": "string"}]
    assert wire == [{"p": 0.5, "label": "late"}]


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((2, 2)), 0.5, None])
def test_predictions_that_are_not_one_a_row(value: object) -> None:
    with pytest.raises(SliceError, match="one prediction for each"):
        predictions_of(value, 2, name="p", where="cell")
