"""Values as literals, and as pickles whose imports are known."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbops.promotion.values import as_literal, pickled_names

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4) | st.tuples(inner)
    ),
    max_leaves=9,
)


@given(PLAIN)
def test_a_literal_is_exactly_its_value(value: object) -> None:
    text = as_literal(value)
    if text is not None:
        again = eval(text)
        assert again == value
        assert repr(again) == repr(value)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), [float("nan")], object(), type, {1: object()}, "x" * 5000]
)
def test_values_without_a_literal(value: object) -> None:
    assert as_literal(value) is None


def test_modules_of_a_pickle() -> None:
    from collections import OrderedDict
    from fractions import Fraction

    modules, from_notebook = pickled_names(pickle.dumps([Fraction(1, 2), OrderedDict(a=1), Fraction(1, 3)], protocol=5))
    assert modules == {"fractions", "collections"}
    assert not from_notebook
