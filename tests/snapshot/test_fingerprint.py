"""Equal content has equal fingerprints whatever way it came; every change is seen."""

from __future__ import annotations

import datetime
import decimal
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbops.snapshot.fingerprint import fingerprint, fingerprint_file, fingerprint_frame, schema_of


def _frame() -> pd.DataFrame:
    when = pd.to_datetime(["2013-07-01", None, "2013-07-03", "2013-07-03 12:00:00.5"], format="ISO8601")
    return pd.DataFrame(
        {
            "carrier": ["AA", None, "ü", ""],
            "delay": [1.5, float("nan"), -0.5, 0.0],
            "n": [1, 2, 3, 4],
            "small": np.array([1, 2, 3, 4], dtype="int16"),
            "late": [True, False, True, True],
            "maybe": pd.array([1, None, 3, 4], dtype="Int64"),
            "flag": pd.array([True, None, False, True], dtype="boolean"),
            "when": when,
            "zoned": when.tz_localize("America/New_York"),
            "took": pd.to_timedelta([1, None, 3, 4], unit="h"),
            "kind": pd.Categorical(["x", "y", None, "x"]),
            "lists": [[1, 2], [], None, [3]],
            "day": [datetime.date(2013, 7, 1), None, datetime.date(2013, 7, 3), datetime.date(2013, 7, 4)],
            "price": [decimal.Decimal("1.10"), None, decimal.Decimal("2.20"), decimal.Decimal("3.30")],
            "mixed": [1, "a", None, (2, 3)],
        }
    )


WAYS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "copy": lambda frame: frame.copy(),
    "shallow copy": lambda frame: frame.copy(deep=False),
    "slice of a longer one": lambda frame: pd.concat([frame, frame], ignore_index=True).iloc[:4],
    "later slice": lambda frame: pd.concat([frame, frame]).iloc[4:],
    "concat": lambda frame: pd.concat([frame.iloc[:1], frame.iloc[1:]]),
    "mask": lambda frame: frame[[True] * 4],
    "columns one by one": lambda frame: pd.DataFrame({name: frame[name] for name in frame}),
    "pickle": lambda frame: pickle.loads(pickle.dumps(frame)),
    "take": lambda frame: frame.take([3, 2, 1, 0]).take([3, 2, 1, 0]),
}


@pytest.mark.parametrize("way", WAYS)
def test_equal_content_has_equal_fingerprints(way: str) -> None:
    assert fingerprint_frame(WAYS[way](_frame())) == fingerprint_frame(_frame())


def test_parquet_gives_the_same_back(tmp_path: Path) -> None:
    frame = _frame().drop(columns=["mixed", "lists"])
    frame.to_parquet(tmp_path / "x.parquet")
    assert fingerprint_frame(pd.read_parquet(tmp_path / "x.parquet")) == fingerprint_frame(frame)


def _set(column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = frame[column].astype(frame[column].dtype)
        frame.at[2, column] = value
        return frame

    return change


CHANGES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "a string": _set("carrier", "u"),
    "a string to missing": _set("carrier", None),
    "a missing string to empty": lambda frame: frame.fillna({"carrier": ""}),
    "a number": _set("delay", -0.5000000000000001),
    "a number to missing": _set("delay", float("nan")),
    "a missing number to zero": lambda frame: frame.fillna({"delay": 0.0}),
    "zero to minus zero": lambda frame: frame.assign(delay=[1.5, float("nan"), -0.5, -0.0]),
    "an integer": _set("n", 7),
    "a boolean": _set("late", False),
    "a nullable integer": _set("maybe", 0),
    "a nullable integer to missing": _set("maybe", pd.NA),
    "a nullable boolean": _set("flag", True),
    "a time": _set("when", pd.Timestamp("2013-07-03 00:00:00.000001")),
    "a zoned time": _set("zoned", pd.Timestamp("2013-07-02", tz="America/New_York")),
    "the zone": lambda frame: frame.assign(zoned=frame["zoned"].dt.tz_convert("UTC")),
    "a duration": _set("took", pd.Timedelta(2, "h")),
    "a category": _set("kind", "x"),
    "a category's order": lambda frame: frame.assign(kind=frame["kind"].cat.as_ordered()),
    "an unused category": lambda frame: frame.assign(kind=frame["kind"].cat.add_categories(["w"])),
    "the categories' order": lambda frame: frame.assign(kind=frame["kind"].cat.reorder_categories(["y", "x"])),
    "categories to strings": lambda frame: frame.assign(kind=frame["kind"].astype("str")),
    "a list": lambda frame: frame.assign(lists=[[1, 2], [0], None, [3]]),
    "a date": lambda frame: frame.assign(day=[datetime.date(2013, 7, 2), *frame["day"][1:]]),
    "a decimal": lambda frame: frame.assign(price=[decimal.Decimal("1.11"), *frame["price"][1:]]),
    "an object": lambda frame: frame.assign(mixed=[1, "a", None, (2, 4)]),
    "an object's type": lambda frame: frame.assign(mixed=["1", "a", None, (2, 3)]),
    "the width": lambda frame: frame.astype({"n": "int32"}),
    "the dtype": lambda frame: frame.astype({"n": "float64"}),
    "nullable": lambda frame: frame.astype({"n": "Int64"}),
    "a column's name": lambda frame: frame.rename(columns={"n": "m"}),
    "a name's type": lambda frame: frame.rename(columns={"n": 1}),
    "two columns' order": lambda frame: frame[[*frame.columns[1::-1], *frame.columns[2:]]],
    "two columns' content": lambda frame: frame.assign(n=frame["small"].astype("int64") * 2),
    "a column less": lambda frame: frame.drop(columns="n"),
    "a row less": lambda frame: frame.iloc[:3],
    "the rows' order": lambda frame: frame.iloc[::-1],
    "the rows' order under the same index": lambda frame: frame.iloc[::-1].reset_index(drop=True),
    "the index": lambda frame: frame.set_axis([0, 1, 2, 4]),
    "the index's type": lambda frame: frame.set_axis(["0", "1", "2", "3"]),
    "the index's name": lambda frame: frame.rename_axis("row"),
    "the name of the columns": lambda frame: frame.rename_axis("field", axis="columns"),
    "a level of columns": lambda frame: frame.set_axis(
        pd.MultiIndex.from_product([["a"], frame.columns]), axis="columns"
    ),
    "strings to nullable strings": lambda frame: frame.astype({"carrier": "string"}),
    "strings to Arrow's": lambda frame: frame.astype({"carrier": "string[pyarrow]"}).astype(
        {"carrier": pd.ArrowDtype(pa.string())}
    ),
    "integers to Arrow's": lambda frame: frame.astype({"n": "int64[pyarrow]"}),
    "times to seconds": lambda frame: frame.assign(when=frame["when"].astype("datetime64[s]")),
    "a list to a tuple": lambda frame: frame.assign(lists=[(1, 2), [], None, [3]]),
    "a decimal's digits": lambda frame: frame.assign(price=[decimal.Decimal("1.1"), *frame["price"][1:]]),
    "an integer among objects to a float": lambda frame: frame.assign(mixed=[1.0, "a", None, (2, 3)]),
    "a column's name twice": lambda frame: frame.rename(columns={"n": "small"}),
    "a second level": lambda frame: frame.set_axis(pd.MultiIndex.from_product([[0, 1], [0, 1]])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen(change: str) -> None:
    assert fingerprint_frame(CHANGES[change](_frame())) != fingerprint_frame(_frame())


def test_levels_and_their_names_count() -> None:
    index = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["k", None])
    frame = pd.DataFrame({"x": [1, 2, 3]}, index=index)
    changes = [
        frame.rename_axis(["l", None]),
        frame.swaplevel(),
        frame.reset_index(level=1, drop=True),
        frame.reset_index(drop=True),
        frame.set_axis(index.set_levels([1.0, 2.0], level=1)),
        frame.set_axis(pd.Index(list(index), tupleize_cols=False)),
    ]
    assert len({fingerprint_frame(one) for one in [frame, *changes]}) == 7
    unused = pd.concat([frame, frame.rename(index={"a": "z"})]).iloc[:3]
    assert fingerprint_frame(unused) == fingerprint_frame(frame)


def test_what_versions_of_pandas_choose_by_themselves_does_not_count() -> None:
    fine = _frame().assign(when=_frame()["when"].astype("datetime64[ns]"), took=_frame()["took"].astype("m8[ns]"))
    assert fingerprint_frame(fine) == fingerprint_frame(_frame())
    assert fingerprint_frame(fine.astype({"carrier": object})) == fingerprint_frame(_frame())
    later = fine.assign(when=fine["when"] + pd.Timedelta(1, "ns"))
    assert fingerprint_frame(later) != fingerprint_frame(fine)
    far = pd.DataFrame({"t": np.array(["3000-01-01", "NaT"], "datetime64[us]")})  # no nanoseconds go so far
    assert fingerprint_frame(far) != fingerprint_frame(far.assign(t=np.array(["3001-01-01", "NaT"], "datetime64[us]")))


def test_attributes_flags_and_blocks_are_not_content() -> None:
    frame = _frame()
    frame.attrs["source"] = "here"
    frame["extra"] = 1
    del frame["extra"]
    assert fingerprint_frame(frame.set_flags(allows_duplicate_labels=False)) == fingerprint_frame(_frame())
    wide = pd.DataFrame(np.asfortranarray(np.arange(12.0).reshape(4, 3)), columns=list("abc"))
    assert fingerprint_frame(wide) == fingerprint_frame(pd.DataFrame({name: wide[name].copy() for name in "abc"}))
    assert fingerprint_frame(wide.set_axis(pd.RangeIndex(4))) == fingerprint_frame(wide.set_axis([0, 1, 2, 3]))


def test_threads_make_no_difference() -> None:
    assert {fingerprint(_frame(), threads=threads) for threads in (None, 1, 2, 5)} == {fingerprint_frame(_frame())}


def test_missing_is_missing() -> None:
    assert fingerprint_frame(pd.DataFrame({"a": ["x", None]})) == fingerprint_frame(pd.DataFrame({"a": ["x", np.nan]}))


def test_objects_of_one_type_and_of_two() -> None:
    columns = [
        [True, None],
        [True, False],
        [True, 1.0],
        [1, 1.0],
        [b"x", None],
        [b"x", "x"],
        ["x", None],
        [decimal.Decimal(1), None],
    ]
    assert len({fingerprint(pd.Series(column, dtype=object)) for column in columns}) == len(columns)
    for first in (True, b"x", datetime.date(2013, 7, 1)):
        series = [pd.Series([first, missing], dtype=object) for missing in (None, float("nan"), pd.NA, pd.NaT)]
        assert len({fingerprint(one) for one in series}) == 1


def test_empty_frames_differ_by_their_columns() -> None:
    frames = [
        pd.DataFrame(),
        pd.DataFrame(index=[0]),
        pd.DataFrame({"a": []}, dtype="float64"),
        pd.DataFrame({"a": []}, dtype="int64"),
        pd.DataFrame({"b": []}, dtype="int64"),
        pd.DataFrame({"a": []}, dtype="str"),
        _frame().iloc[:0],
    ]
    assert len({fingerprint_frame(frame) for frame in frames}) == len(frames)


def test_the_middle_of_a_long_array_counts() -> None:
    one, other = np.zeros(10_000), np.zeros(10_000)
    other[5_000] = 1
    frames = [pd.DataFrame({"a": [array, "x"]}) for array in (one, other)]
    assert fingerprint_frame(frames[0]) != fingerprint_frame(frames[1])


def test_odd_columns_have_a_fingerprint() -> None:
    odd = pd.DataFrame({"z": [1 + 2j, 3j], "p": pd.period_range("2013-01", periods=2, freq="M"), "huge": [2**90, 1]})
    odd["interval"] = pd.arrays.IntervalArray.from_breaks([0, 1, 2])
    odd["sparse"] = pd.arrays.SparseArray([0, 1])
    odd["surrogate"] = pd.Series(["\ud800", "x"], dtype="object")
    assert fingerprint_frame(odd) == fingerprint_frame(odd.copy())
    odd.loc[0, "huge"] = 2**91
    assert fingerprint_frame(odd) != fingerprint_frame(odd.assign(huge=[2**90, 1]))


columns = st.sampled_from(["float64", "int64", "str", "bool", "object"]).flatmap(
    lambda dtype: st.lists(
        {
            "float64": st.floats(allow_nan=True),
            "int64": st.integers(-(2**60), 2**60),
            "str": st.none() | st.text(max_size=4),
            "bool": st.booleans(),
            "object": st.one_of(st.integers(), st.text(max_size=2), st.none()),
        }[dtype],
        min_size=3,
        max_size=6,
    ).map(lambda values: pd.Series(values, dtype=dtype))
)


@settings(max_examples=150, deadline=None)
@given(columns, st.data())
def test_two_columns_are_equal_or_their_fingerprints_differ(column: pd.Series, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(column))))
    one, other = column.to_frame("a"), column.iloc[order].reset_index(drop=True).to_frame("a")
    same = [_bits(value) for value in one["a"]] == [_bits(value) for value in other["a"]]
    assert (fingerprint_frame(one) == fingerprint_frame(other)) is same


def _bits(value: object) -> object:
    if value is None or value is pd.NA or value != value:
        return None
    return (value.hex(),) if isinstance(value, float) else value


@pytest.mark.slow
def test_another_process_finds_the_same(tmp_path: Path) -> None:
    frame = _frame()
    frame.to_pickle(tmp_path / "x.pkl")
    code = (
        "import sys, pandas; from nbops.snapshot.fingerprint import fingerprint_frame;"
        "print(fingerprint_frame(pandas.read_pickle(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "x.pkl")]
    told = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": "7"})
    assert told.stdout.strip() == fingerprint_frame(frame)


def test_files_by_their_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"a" * 5_000_000)
    before = fingerprint_file(path)
    assert len(before) == 32
    path.write_bytes(b"a" * 4_999_999 + b"b")
    assert fingerprint_file(path) != before


def test_schema_in_mlflows_types() -> None:
    assert schema_of(_frame()[["carrier", "delay", "n", "small", "late", "maybe", "when", "zoned"]]) == {
        "carrier": "string",
        "delay": "double",
        "n": "long",
        "small": "integer",
        "late": "boolean",
        "maybe": "long",
        "when": "datetime",
        "zoned": "datetime",
    }
