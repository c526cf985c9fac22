"""`flight_features` is what a service computes for a request: row by row, for any rows, with gaps."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TYPES = {
    "scheduled": "datetime64[us]",
    "carrier": "str",
    "origin": "str",
    "dest": "str",
    "distance": "int64",
    "scheduled_minutes": "int64",
    "departures_hour": "int64",
    "departures_day": "int64",
    "plane_year": "float64",
    "manufacturer": "str",
    "temp": "float64",
    "dewp": "float64",
    "wind_dir": "float64",
    "wind_speed": "float64",
    "precip": "float64",
    "pressure": "float64",
    "visib": "float64",
}
MAY_MISS = [name for name, kind in TYPES.items() if kind == "float64" or name == "manufacturer"]


def _number(low: float, high: float) -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(low, high, allow_nan=False)


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "scheduled": st.datetimes(pd.Timestamp("2001-01-01"), pd.Timestamp("2049-12-31")),
            "carrier": st.sampled_from(["UA", "B6", "??"]),
            "origin": st.sampled_from(["EWR", "JFK", "LGA"]),
            "dest": st.sampled_from(["IAH", "SJU", "ZZZ"]),
            "distance": st.integers(10, 6000),
            "scheduled_minutes": st.integers(20, 900),
            "departures_hour": st.integers(1, 80),
            "departures_day": st.integers(1, 800),
            "plane_year": _number(1950, 2014),
            "manufacturer": st.sampled_from([None, "BOEING", "AIRBUS", "AIRBUS INDUSTRIE", "STEWART MACO"]),
            "temp": _number(-20, 115),
            "dewp": _number(-40, 90),
            "wind_dir": _number(0, 360),
            "wind_speed": _number(0, 120),
            "precip": _number(0, 6),
            "pressure": _number(950, 1070),
            "visib": _number(0, 10),
        }
    ),
    min_size=1,
    max_size=8,
)
A_FEW = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


@pytest.fixture(scope="module")
def flight() -> pd.DataFrame:
    """Return the first flight of 2013, as a frame of one row."""
    first = (pd.Timestamp("2013-01-01 05:15"), "UA", "EWR", "IAH", 1400, 244, 2, 305, 1999, "BOEING")
    weather = (39.02, 28.04, 270.0, 10.0, 0.0, 1011.9, 10.0)
    return _frame([dict(zip(TYPES, first + weather, strict=True))])


def test_inputs_are_what_is_declared_and_no_outcome_is_among_them(flight_features: ModuleType) -> None:
    assert list(TYPES) == flight_features.INPUT_COLUMNS
    assert not {"late", "arr_delay", "dep_delay", "dep_time", "air_time"} & set(flight_features.INPUT_COLUMNS)


def test_one_flight(flight_features: ModuleType, flight: pd.DataFrame) -> None:
    row = flight_features.flight_features(flight).iloc[0]

    assert row[flight_features.CATEGORIES].tolist() == ["UA", "EWR", "IAH", "Boeing"]
    assert row["departure_minute"] == 5 * 60 + 15
    assert row["weekday"] == 1
    assert row["holiday_distance"] == 0
    assert row["plane_age"] == 14
    assert row["wind_east"] == pytest.approx(-10)
    assert row["wind_north"] == pytest.approx(0, abs=1e-12)


@A_FEW
@given(rows=ROWS, data=st.data())
def test_any_choice_of_rows_in_any_order_gives_the_same_feature_rows(
    flight_features: ModuleType, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    flights = _frame(rows)
    chosen = data.draw(st.lists(st.sampled_from(range(len(rows))), min_size=1, unique=True))

    features = flight_features.flight_features(flights)

    pd.testing.assert_frame_equal(flight_features.flight_features(flights.iloc[chosen]), features.iloc[chosen])


@A_FEW
@given(rows=ROWS)
def test_types_hold_for_any_flights_and_the_input_stays_as_it_was(
    flight_features: ModuleType, rows: list[dict[str, Any]]
) -> None:
    flights = _frame(rows)
    before = flights.copy()

    features = flight_features.flight_features(flights)

    kinds = {name: "str" if name in flight_features.CATEGORIES else "float64" for name in features}
    assert features.dtypes.astype("str").to_dict() == kinds
    assert not np.isinf(features.select_dtypes("number")).any(axis=None)
    pd.testing.assert_frame_equal(flights, before)


@pytest.mark.parametrize("column", MAY_MISS)
def test_what_is_missing_stays_missing_and_takes_nothing_else_with_it(
    flight_features: ModuleType, flight: pd.DataFrame, column: str
) -> None:
    gap = flight.assign(**{column: pd.Series([None], dtype=TYPES[column])})
    complete, partial = (flight_features.flight_features(frame).iloc[0] for frame in (flight, gap))
    derived = {
        "plane_year": {"plane_age"},
        "manufacturer": {"make"},
        "wind_dir": {"wind_east", "wind_north"},
        "wind_speed": {"wind_speed", "wind_east", "wind_north"},
    }

    lost = set(partial.index[partial.isna()])

    assert lost == derived.get(column, {column})
    assert partial.drop(list(lost)).equals(complete.drop(list(lost)))


def test_no_rows_give_no_rows_of_the_same_columns(flight_features: ModuleType, flight: pd.DataFrame) -> None:
    nothing = flight_features.flight_features(flight.iloc[:0])

    pd.testing.assert_series_equal(nothing.dtypes, flight_features.flight_features(flight).dtypes)
    assert nothing.empty


@pytest.mark.parametrize(
    ("day", "distance"),
    [("2013-07-03 23:59", -1), ("2013-07-04 00:00", 0), ("2013-07-05", 1), ("2013-08-01", 7), ("2013-12-20", -5)],
)
def test_days_from_holiday(flight_features: ModuleType, day: str, distance: int) -> None:
    assert flight_features.days_from_holiday(pd.Series([pd.Timestamp(day)])).tolist() == [distance]


def test_makes_gather_spellings(flight_features: ModuleType) -> None:
    names = pd.Series(["AIRBUS", "AIRBUS INDUSTRIE", "PIPER", None], dtype="str")

    assert flight_features.make_of_plane(names).fillna("missing").tolist() == ["Airbus", "Airbus", "Other", "missing"]
