"""Values whose fingerprints must be the same wherever they are made: run as a script, prints name and digest of each."""

from __future__ import annotations

import datetime
import decimal
import functools
import json
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from scipy import sparse

from nbops.snapshot.fingerprint import fingerprint


@functools.cache
def vectors() -> dict[str, Any]:
    """Return values of each kind, made as users make them."""
    when = pd.to_datetime(["2013-07-01", None, "2013-07-03 12:00:00.5"], format="ISO8601")
    numbers = np.arange(12, dtype="float64").reshape(3, 4) / 7
    day = [datetime.date(2013, 7, 1), None, datetime.date(2013, 7, 3)]
    columns: dict[str, Any] = {
        "strings": ["AA", None, "ü"],
        "floats": [1.5, float("nan"), -0.0],
        "ints": [1, 2, 3],
        "small": np.array([1, 2, 3], dtype="int16"),
        "unsigned": np.array([1, 2, 3], dtype="uint32"),
        "single": np.array([0.1, 2, 3], dtype="float32"),
        "flags": [True, False, True],
        "nullable": pd.array([1, None, 3], dtype="Int64"),
        "maybe": pd.array([True, None, False], dtype="boolean"),
        "text": pd.array(["x", None, "y"], dtype="string"),
        "when": when,
        "zoned": when.tz_localize("America/New_York"),
        "utc": when.tz_localize("UTC"),
        "took": pd.to_timedelta([1, None, 3], unit="h"),
        "seconds": np.array(["2013-07-01", "NaT", "2013-07-03"], dtype="datetime64[s]"),
        "kind": pd.Categorical(["x", "y", None], categories=["z", "y", "x"]),
        "rank": pd.Categorical([1, 2, None], ordered=True),
        "period": pd.period_range("2013-01", periods=3, freq="M"),
        "lists": [[1, 2], [], None],
        "day": day,
        "price": [decimal.Decimal("1.10"), None, decimal.Decimal("3.30")],
        "mixed": [1, "a", (2, 3.5)],
        "missing": [None, None, None],
        "complex": [1 + 2j, 3j, 0j],
        "interval": pd.arrays.IntervalArray.from_breaks([0, 1, 2, 3]),
    }
    found: dict[str, Any] = {f"column {name}": pd.DataFrame({name: values}) for name, values in columns.items()}
    found["frame"] = pd.DataFrame(columns)
    found["frame by time"] = pd.DataFrame({"a": [1, 2, 3]}, index=pd.date_range("2013-01-01", periods=3, name="day"))
    found["frame by two"] = pd.DataFrame(
        {"a": range(4)}, index=pd.MultiIndex.from_product([["x", "y"], [1, 2]], names=["k", None])
    )
    found["columns of two"] = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)]))
    found["twice the name"] = pd.DataFrame([[1, 2.0]], columns=["a", "a"])
    found["empty"] = pd.DataFrame({"a": pd.Series([], dtype="float64"), "b": pd.Series([], dtype="object")})
    found["arrow-backed"] = pd.DataFrame({"a": pd.array([1, None], dtype="int64[pyarrow]")})
    found["series"] = pd.Series(["a", None], name="s")
    found["index"] = pd.Index(["a", "b"], name="i")
    found |= {"array": numbers, "array by column": np.asfortranarray(numbers), "scalar": np.float32(0.1)}
    found["objects"] = np.array([1, "a", None], dtype=object)
    found["record"] = np.array([(1, 2.5)], dtype=[("a", "int8"), ("b", "float64")])
    found["sparse"] = sparse.csr_matrix(np.eye(3))
    found["table"] = pa.table(
        {
            "i": pa.array([1, None, 3], pa.int32()),
            "s": ["a", None, "ü"],
            "d": pa.array(["x", "y", "x"]).dictionary_encode(),
            "l": [[1], None, [2, 3]],
            "st": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
            "t": pa.array([1, 2, None], pa.timestamp("ms", tz="UTC")),
            "dec": pa.array([decimal.Decimal("1.10"), None, decimal.Decimal("3.30")]),
            "b": [b"\0", None, b"x"],
            "flag": [True, None, False],
            "m": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
        }
    )
    found["plain"] = {
        "b": [1, 2.5, None, True, "ü", b"x"],
        "a": (datetime.date(2013, 7, 1), {3, 1, 2}),
        "c": float("nan"),
    }
    found["stamp"] = pd.Timestamp("2013-07-01 12:00", tz="Europe/Berlin")
    found["nested"] = [pd.DataFrame({"a": [1]}), {"x": np.arange(3)}]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps({name: fingerprint(value) for name, value in vectors().items()}, indent=1))
