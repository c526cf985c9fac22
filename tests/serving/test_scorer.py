"""What a scoring function may give back, and what becomes of it on the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from nbops.serving.manifest import Manifest
from nbops.serving.refusal import Refusal
from nbops.serving.scorer import Scorer
from nbops.serving.signature import Batch, Signature


def scorer(function: Callable[[Any], Any], **output: Any) -> tuple[Scorer, Batch]:
    """Return a scorer of `function` and a batch of the longs 1, 2, 3."""
    document = {
        "format": 1,
        "name": "m",
        "version": "1",
        "package": "m",
        "entry": "scoring:score",
        "input": {"name": "frame", "columns": [{"name": "x", "type": "long"}]},
        "output": {"name": "y", **output},
    }
    manifest = msgspec.convert(document, Manifest)
    return Scorer(manifest, function), Signature(manifest.input.columns).from_columns({"x": [1, 2, 3]})


@pytest.mark.parametrize(
    "function",
    [
        lambda frame: frame["x"] / 2,
        lambda frame: (frame["x"] / 2).to_numpy(),
        lambda frame: (frame["x"] / 2).tolist(),
        lambda frame: frame[["x"]] / 2,
        lambda frame: frame[["x"]].to_numpy() / 2,
        lambda frame: (frame["x"] / 2).astype("Float64"),
        lambda frame: (frame["x"] / 2).astype("float32"),
        lambda frame: (frame["x"] / 2).astype(object),
    ],
)
def test_arrays_series_lists_and_frames_are_the_same(function: Callable[[Any], Any]) -> None:
    score, batch = scorer(function, type="double")
    assert score(batch).columns == {"y": [0.5, 1.0, 1.5]}


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("double", [1, 2, 3], [1.0, 2.0, 3.0]),
        ("double", pd.array([0.5, None, 1.5], dtype="Float64"), [0.5, None, 1.5]),
        ("long", np.array([1, 2, 3], dtype=np.int8), [1, 2, 3]),
        ("long", pd.Series([1, None, 3], dtype="Int64"), [1, None, 3]),
        ("integer", [1, 2, 3], [1, 2, 3]),
        ("boolean", np.array([True, False, True]), [True, False, True]),
        ("boolean", pd.Series([True, None, False], dtype="boolean"), [True, None, False]),
        ("string", np.array(["a", "b", "c"]), ["a", "b", "c"]),
        ("string", pd.Series(["a", None, "c"]), ["a", None, "c"]),
        ("string", pd.Series(["a", "b", "a"], dtype="category"), ["a", "b", "a"]),
        (
            "datetime",
            pd.to_datetime(["2013-07-01", None, "2013-07-02"]),
            ["2013-07-01T00:00:00", None, "2013-07-02T00:00:00"],
        ),
    ],
)
def test_predictions_become_plain_values_of_the_declared_type(kind: str, given: Any, expected: list[Any]) -> None:
    score, batch = scorer(lambda frame: given, type=kind)
    [values] = score(batch).columns.values()
    assert values == expected
    assert [type(value) for value in values] == [type(value) for value in expected]


def test_a_missing_double_is_nan_inside_and_null_on_the_wire() -> None:
    score, batch = scorer(lambda frame: np.array([1.0, np.nan, 2.0]), type="double")
    assert msgspec.json.encode(score(batch).columns["y"]) == b"[1.0,null,2.0]"


def test_a_frame_of_several_columns_is_read_by_name() -> None:
    columns = [{"name": "p", "type": "double"}, {"name": "label", "type": "string"}]
    score, batch = scorer(lambda frame: pd.DataFrame({"label": ["a"] * 3, "p": [0.5] * 3, "z": 0}), columns=columns)
    assert score(batch).columns == {"p": [0.5] * 3, "label": ["a"] * 3}
    score, batch = scorer(lambda frame: np.ones((3, 2)), columns=[columns[0], {"name": "q", "type": "double"}])
    assert score(batch).columns == {"p": [1.0] * 3, "q": [1.0] * 3}


@pytest.mark.parametrize(
    ("kind", "given", "cause"),
    [
        ("double", [1.0, 2.0], ValueError),
        ("double", np.ones((3, 2)), ValueError),
        ("double", 0.5, ValueError),
        ("double", None, (TypeError, ValueError)),
        ("double", ["a", "b", "c"], (TypeError, ValueError)),
        ("double", pd.DataFrame({"a": [1, 2, 3], "b": [1, 2, 3]}), ValueError),
        ("long", [1.5, 2.0, 3.0], TypeError),
        ("integer", [2**31, 0, 0], OverflowError),
        ("boolean", [1, 0, 1], TypeError),
    ],
)
def test_predictions_that_are_not_what_was_declared_are_a_failure(kind: str, given: Any, cause: Any) -> None:
    score, batch = scorer(lambda frame: given, type=kind)
    with pytest.raises(Refusal, match=r"incident [0-9a-f]{8}") as caught:
        score(batch)
    assert caught.value.status == 500
    assert isinstance(caught.value.__cause__, cause)


def test_no_rows_are_not_asked_about() -> None:
    score, _ = scorer(lambda frame: pytest.fail("called"), type="double")
    assert score(Batch(0, {}, {})).columns == {"y": []}
