"""The signature by itself: what goes in comes out exactly, and the first culprit is named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbops.serving.manifest import Column
from nbops.serving.refusal import Refusal
from nbops.serving.signature import Signature, convert

GOOD: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "string": st.text(),
    "datetime": st.datetimes().map(datetime.isoformat),
}
ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.lists(st.none())


@given(data=st.data(), kind=st.sampled_from(sorted(GOOD)), nullable=st.booleans())
def test_good_values_come_out_exactly(data: st.DataObject, kind: Any, nullable: bool) -> None:
    strategy = st.none() | GOOD[kind] if nullable else GOOD[kind]
    given_values = data.draw(st.lists(strategy, max_size=20))
    values, nulls = convert(Column(name="x", type=kind, nullable=nullable), given_values)
    assert nulls == given_values.count(None)
    expected = {"boolean": "bool", "integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
    assert values.array.dtype == {**expected, "string": "O", "datetime": "<M8[us]"}[kind]
    for position, value in enumerate(given_values):
        found = values.array[position]
        if value is None and kind in ("boolean", "integer", "long"):
            assert values.mask is not None
            assert values.mask[position]
        elif value is None:
            assert found is None or found != found
        elif kind == "datetime":
            assert found.item() == datetime.fromisoformat(value)
        elif kind in ("float", "double"):
            assert np.float64(found).tobytes() == np.float64(value).tobytes()
        else:
            assert found == value


@given(kind=st.sampled_from(sorted(GOOD)), nullable=st.booleans(), values=st.lists(ANY, max_size=8))
def test_a_refusal_names_the_first_culprit(kind: Any, nullable: bool, values: list[Any]) -> None:
    column = Column(name="x", type=kind, nullable=nullable)
    bad = [row for row, value in enumerate(values) if refused(column, [value])]
    found = refused(column, values)
    assert (found is None) == (not bad)
    if found is not None:
        assert found.field == "x"
        assert found.row in bad
        assert found.row == bad[0] or found.reason == "wrong_type", "types are looked at before ranges"


def refused(column: Column, values: list[Any]) -> Refusal | None:
    try:
        convert(column, values)
    except Refusal as refusal:
        return refusal
    return None


def test_a_zoned_date_is_converted_to_utc() -> None:
    column = Column(name="x", type="datetime", tz="UTC")
    values, _ = convert(column, ["2013-07-01T05:15:00-04:00", "2013-07-01T09:15:00Z"])
    assert values.array.tolist() == [datetime(2013, 7, 1, 9, 15)] * 2
    assert datetime(2013, 7, 1, 9, 15, tzinfo=UTC).isoformat() == "2013-07-01T09:15:00+00:00"
    with pytest.raises(Refusal, match="ISO 8601"):
        convert(column, ["0001-01-01T00:00:00+12:00"])


@given(st.permutations(["a", "b", "c"]), st.lists(st.tuples(st.integers(0, 9), st.text(), st.booleans()), max_size=5))
def test_rows_records_and_columns_are_one(order: list[str], rows: list[tuple[int, str, bool]]) -> None:
    signature = Signature(
        [Column(name="a", type="long"), Column(name="b", type="string"), Column(name="c", type="boolean")]
    )
    records = [dict(zip("abc", row, strict=True)) for row in rows]
    batches = [
        signature.from_records([{name: record[name] for name in order} for record in records]),
        signature.from_rows(order, [[record[name] for name in order] for record in records]),
        signature.from_columns({name: [record[name] for record in records] for name in order}),
    ]
    for batch in batches:
        assert batch.rows == len(rows)
        assert list(batch.columns) == ["a", "b", "c"]
        found = zip(*(batch.columns[name].array.tolist() for name in "abc"), strict=True)
        assert list(found) == rows


def test_the_size_of_a_message_does_not_follow_the_size_of_a_value() -> None:
    for value in ("x" * 10**6, 10**300, [0] * 10**6):
        with pytest.raises(Refusal) as caught:
            convert(Column(name="x", type="long"), [value])
        assert len(caught.value.message) < 300
