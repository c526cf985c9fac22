"""Arrays, Arrow and polars tables and plain values: equal content is equal however it lies, every change is seen."""

from __future__ import annotations

import collections
import datetime
import math
import struct
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import sparse

from nbops.snapshot.fingerprint import UNKNOWN, fingerprint
from nbops.snapshot.schemas import rows_of, schema_of

polars = pytest.importorskip("polars")

_dtypes = st.sampled_from(
    ["int8", "uint16", "int64", "float16", "float32", "float64", "bool", "complex64", "M8[s]", "U3"]
)
_arrays = _dtypes.flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(max_dims=3, max_side=5)))


@settings(max_examples=100, deadline=None)
@given(_arrays)
def test_how_an_array_lies_in_memory_is_not_content(array: np.ndarray[Any, Any]) -> None:
    spread = np.zeros((*array.shape, 2), array.dtype)
    spread[..., 1] = array
    other_order = array.astype(array.dtype.newbyteorder("S"))
    views = [np.asfortranarray(array), spread[..., 1], other_order, array[::-1][::-1], array.copy()]
    assert {fingerprint(view) for view in views} == {fingerprint(array)}


@settings(max_examples=200, deadline=None)
@given(_arrays, st.data())
def test_any_change_of_an_array_is_seen(array: np.ndarray[Any, Any], data: st.DataObject) -> None:
    where = data.draw(st.integers(0, array.size - 1))
    changed = array.copy()
    changed.flat[where] = data.draw(npst.from_dtype(array.dtype))
    same = _content(changed.flat[where]) == _content(array.flat[where])
    assert (fingerprint(changed) == fingerprint(array)) is same
    assert fingerprint(array.reshape(*array.shape, 1)) != fingerprint(array)


def _content(value: Any) -> object:
    parts = [value.real, value.imag] if np.iscomplexobj(value) else [value]
    return [b"nan" if part != part else part.tobytes() for part in parts]


def test_every_nan_is_one_and_zeros_are_two() -> None:
    odd = np.array(
        [struct.unpack("<d", struct.pack("<Q", bits))[0] for bits in (0xFFF8000000000000, 0x7FF8000000000001)]
    )
    assert fingerprint(odd) == fingerprint(np.array([np.nan, np.nan]))
    assert fingerprint(pa.array(odd)) == fingerprint(pa.array([math.nan, math.nan]))
    assert fingerprint(pd.Series(odd)) == fingerprint(pd.Series([np.nan, np.nan]))
    for make in (np.array, pa.array, pd.Series, polars.Series, list):
        assert fingerprint(make([0.0])) != fingerprint(make([-0.0]))


def test_large_arrays_in_blocks() -> None:
    array = np.random.default_rng(0).normal(size=(300_000, 3))
    array[::7, 1] = np.nan
    assert fingerprint(np.asfortranarray(array)) == fingerprint(array)
    assert fingerprint(array[::-1]) == fingerprint(array[::-1].copy())
    changed = array.copy()
    changed[-1, -1] += 1e-12
    assert fingerprint(changed) != fingerprint(array)


def test_padding_and_masked_values_do_not_count() -> None:
    padded = np.zeros(2, np.dtype({"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [0, 8], "itemsize": 16}))
    padded.view("uint8")[1:8] = 9
    assert fingerprint(padded) == fingerprint(np.zeros(2, [("a", "i1"), ("b", "f8")]))
    masked = [np.ma.array([1.0, hidden], mask=[False, True]) for hidden in (2.0, 3.0)]
    assert fingerprint(masked[0]) == fingerprint(masked[1])
    assert fingerprint(masked[0]) != fingerprint(np.array([1.0, 0.0]))
    assert fingerprint(np.longdouble([1, 2])) == fingerprint(np.longdouble([0.5, 1]) * 2)


def test_sparse_arrays_by_what_they_hold() -> None:
    dense = np.array([[0, 1.5, 0], [2, 0, 0]])
    one = sparse.csr_matrix(dense)
    twice = sparse.coo_array(([1.0, 0.5, 2.0, 0.0], ([0, 0, 1, 1], [1, 1, 0, 2])), shape=(2, 3))
    forms = [one, one.tocsc(), one.tolil(), one.todok(), sparse.csr_array(dense), twice]
    assert len({fingerprint(form) for form in forms}) == 1
    changes = [one * 2, one.T, one.astype("float32"), sparse.csr_matrix((2, 3))]
    assert len({fingerprint(form) for form in [one, *changes]}) == 5
    assert twice.nnz == 4


_nested = [[{"a": 1, "b": ["x", None]}], None, [], [None, {"a": None, "b": []}], [{"a": 5, "b": None}]]
ARROW: dict[str, pa.Array] = {
    "strings": pa.array(["a", None, "", "ü", "bb"]),
    "bytes": pa.array([b"a", None, b"", b"\0", b"bb"]),
    "floats": pa.array([1.5, None, math.nan, -0.0, 3]),
    "bits": pa.array([True, None, False, True, True]),
    "nested": pa.array(_nested),
    "decimals": pa.array([1, None, 3, 4, 5], pa.int64()).cast(pa.decimal128(30, 2)),
    "times": pa.array([1, None, 3, 4, 5], pa.timestamp("us")),
    "dictionary": pa.array(["a", None, "b", "a", "b"]).dictionary_encode(),
    "fixed": pa.array([[1, 2], None, [3, 4], [5, 6], [7, 8]], pa.list_(pa.int16(), 2)),
    "nothing": pa.nulls(5),
    "map": pa.array([[("k", 1)], None, [], [("k", 2)], [("l", 1)]], pa.map_(pa.string(), pa.int32())),
    "short bytes": pa.array([b"ab", None, b"cd", b"ef", b"gh"], pa.binary(2)),
    "narrow": pa.array([1, None, 3, 4, 5], pa.float16()),
}


@pytest.mark.parametrize("name", ARROW)
def test_chunks_and_slices_are_not_content(name: str) -> None:
    array = ARROW[name]
    longer = pa.concat_arrays([array.slice(3), array, array])
    chunked = pa.chunked_array([array.slice(0, 2), array.slice(2, 0), array.slice(2)])
    assert {fingerprint(longer.slice(2, 5)), fingerprint(chunked)} == {fingerprint(array)}
    tables = [pa.table({"x": column}) for column in (array, chunked)]
    assert (
        fingerprint(tables[0]) == fingerprint(tables[1]) == fingerprint(tables[0].replace_schema_metadata({"k": "v"}))
    )
    if name != "nothing":
        assert fingerprint(array.take(pa.array([1, 0, 2, 3, 4]))) != fingerprint(array)
    assert fingerprint(array.slice(0, 4)) != fingerprint(array)


def test_what_lies_under_nulls_does_not_count() -> None:
    valid = pa.py_buffer(b"\x05")
    arrays = [pa.Array.from_buffers(pa.int64(), 3, [valid, pa.py_buffer(struct.pack("<3q", 1, n, 3))]) for n in (0, 9)]
    assert fingerprint(arrays[0]) == fingerprint(arrays[1]) == fingerprint(pa.array([1, None, 3]))
    offsets = pa.py_buffer(struct.pack("<4i", 0, 1, 3, 4))
    hidden = pa.Array.from_buffers(pa.string(), 3, [valid, offsets, pa.py_buffer(b"a??b")])
    assert fingerprint(hidden) == fingerprint(pa.array(["a", None, "b"]))


def test_layouts_of_a_type_are_one_and_types_are_not() -> None:
    text = ARROW["strings"]
    assert fingerprint(text.cast(pa.large_string())) == fingerprint(text) == fingerprint(text.cast(pa.string_view()))
    encoded = ARROW["dictionary"]
    assert fingerprint(pa.chunked_array([encoded.slice(2), encoded.slice(0, 2)])) != fingerprint(encoded)
    assert fingerprint(encoded.cast(pa.string())) != fingerprint(encoded)
    numbers = pa.array([1, 2])
    kinds = [pa.int64(), pa.int32(), pa.uint64(), pa.float64(), pa.timestamp("s"), pa.timestamp("ms"), pa.duration("s")]
    assert len({fingerprint(numbers.cast(kind)) for kind in kinds}) == len(kinds)
    zones = [pa.timestamp("s"), pa.timestamp("s", "UTC"), pa.timestamp("s", "Asia/Tokyo")]
    assert len({fingerprint(numbers.cast(pa.timestamp("s")).cast(kind)) for kind in zones}) == 3


_values = st.none() | st.text(max_size=3) | st.booleans()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_values.flatmap(lambda v: st.just(v) if v is None or isinstance(v, str) else st.none()), max_size=6),
    st.data(),
)
def test_two_columns_of_text_are_equal_or_differ(values: list[str | None], data: st.DataObject) -> None:
    other = data.draw(st.permutations(values))
    arrays = [pa.array(content, pa.string()) for content in (values, other)]
    assert (fingerprint(arrays[0]) == fingerprint(arrays[1])) is (values == other)
    frames = [polars.DataFrame({"a": polars.Series(content, dtype=polars.String)}) for content in (values, other)]
    assert (fingerprint(frames[0]) == fingerprint(frames[1])) is (values == other)


def test_polars_frames() -> None:
    frame = polars.DataFrame(
        {
            "i": [1, None, 3],
            "s": ["a", None, "ü"],
            "l": [[1], None, []],
            "c": polars.Series(["x", "y", "x"], dtype=polars.Categorical),
            "e": polars.Series(["x", "y", "x"], dtype=polars.Enum(["x", "y", "z"])),
            "d": [datetime.date(2013, 7, 1), None, datetime.date(2013, 7, 2)],
        }
    )
    cut = polars.concat([frame.slice(0, 1), frame.slice(1)], rechunk=False)
    assert fingerprint(cut) == fingerprint(frame) == fingerprint(frame.clone()) != UNKNOWN
    changes = [
        frame.with_columns(i=polars.col("i") + 1),
        frame.with_columns(polars.col("i").cast(polars.Int32)),
        frame.with_columns(polars.col("c").cast(polars.String)),
        frame.with_columns(polars.col("e").cast(polars.Enum(["x", "y"]))),
        frame.rename({"i": "j"}),
        frame.select("s", "i", "l", "c", "e", "d"),
        frame.reverse(),
        frame.head(2),
    ]
    assert len({fingerprint(one) for one in [frame, *changes]}) == len(changes) + 1
    assert fingerprint(frame.lazy()) == UNKNOWN
    assert fingerprint(polars.DataFrame({"o": polars.Series([object()], dtype=polars.Object)})) == UNKNOWN
    huge = [polars.DataFrame({"n": polars.Series([n], dtype=polars.Int128)}) for n in (2**100, 2**101)]
    assert UNKNOWN != fingerprint(huge[0]) != fingerprint(huge[1])
    assert fingerprint(frame["i"]) != fingerprint(frame["s"])


def test_plain_values_by_type_and_content() -> None:
    ident = uuid.uuid4()
    values: list[Any] = [
        None, True, 1, 1.0, 2**80, "1", b"1", "", [], (), {}, set(), [1], (1,), {1}, frozenset([1]), {1: 2}, {2: 1}, {1: "2"},
        [1, [2]], [[1], 2], "ab", ["a", "b"], ["ab"], datetime.date(2013, 7, 1), datetime.datetime(2013, 7, 1),
        datetime.datetime(2013, 7, 1, tzinfo=datetime.UTC), datetime.time(1), datetime.timedelta(1), ident, Path("a"),
        np.int64(1), np.float32(1), range(3), 1j, pd.NA, pd.NaT, pd.Timestamp("2013-07-01"), pd.Interval(0, 1), ...,
        collections.OrderedDict(a=1), int, pd.Timedelta(1), [np.zeros(2)], np.zeros(2),
    ]  # fmt: skip
    digests = [fingerprint(value) for value in values]
    assert UNKNOWN not in digests
    assert len(set(digests)) == len(values)
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"x", "y", "zz"}) == fingerprint({"zz", "y", "x"})
    assert fingerprint(float("nan")) == fingerprint(-float("nan"))


class _Point:
    def __init__(self, x: int) -> None:
        self.x = x


@pytest.mark.parametrize(
    "make",
    [
        lambda: object.__new__(type("Local", (), {"__reduce_ex__": lambda self, protocol: 1 / 0})),
        lambda: lambda: 1,
        lambda: (n for n in range(3)),
        lambda: Path(__file__).open(),  # noqa: SIM115
        lambda: pd.DataFrame({"a": [lambda: 1]}),
        lambda: [math],
    ],
)
def test_what_has_no_content_is_unknown(make: Callable[[], Any]) -> None:
    value = make()
    assert fingerprint(value) == UNKNOWN
    if hasattr(value, "close"):
        value.close()


def test_objects_by_what_they_hold() -> None:
    assert fingerprint(_Point(1)) == fingerprint(_Point(1)) != fingerprint(_Point(2))
    assert fingerprint([_Point(1)]) != UNKNOWN
    ring: list[Any] = []
    ring.append(ring)
    assert fingerprint(ring) == UNKNOWN


def test_schemas_of_every_kind() -> None:
    table = pa.table({"i": [1], "s": ["a"], "f": pa.array([1.5], pa.float32()), "t": pa.array([1], pa.timestamp("s"))})
    expected = {"i": "long", "s": "string", "f": "float", "t": "datetime"}
    assert schema_of(table) == schema_of(polars.from_arrow(table)) == expected
    assert schema_of(np.zeros((2, 2))) == {"0": "double", "1": "double"}
    assert schema_of(pd.Series([1], name="x")) == {"x": "long"}
    assert schema_of([1]) == {}
    odd = pd.DataFrame(
        {"s": pd.arrays.SparseArray([1]), "a": pd.array([1], dtype="int32[pyarrow]"), "c": pd.Categorical(["x"])}
    )
    assert schema_of(odd) == {"s": "long", "a": "integer", "c": "string"}
    assert [rows_of(value) for value in (table, np.zeros((2, 3)), [1, 2], 1)] == [1, 2, 2, None]
