"""From scheduled flights to what the model sees, one row at a time.

Training, evaluation and the service all call `flight_features`, so that a prediction in production is computed by
the very lines that the model was trained with. The function keeps no state and never looks at another row: no
means, no ranks, no encodings learned from the frame. Whatever must be learned from data (the encoding of carriers
and airports) is learned inside the fitted pipeline, in ``04_train.ipynb``. A missing value stays missing; the
model knows what to do with it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from pandas.tseries.holiday import USFederalHolidayCalendar

INPUT_COLUMNS = [
    "scheduled",  # departure by the timetable, New York's local time
    "carrier",
    "origin",
    "dest",
    "distance",  # miles
    "scheduled_minutes",  # gate to gate, by the timetable
    "departures_hour",  # flights that the timetable has leaving `origin` in the same hour
    "departures_day",  # and on the same day
    "plane_year",
    "manufacturer",
    "temp",  # °F, and so on down: the weather at `origin` in the scheduled hour
    "dewp",
    "wind_dir",
    "wind_speed",
    "precip",
    "pressure",
    "visib",
]
"""What is known about a flight before it leaves: the columns that `flight_features` needs, and nothing else."""

CATEGORIES = ["carrier", "origin", "dest", "make"]
"""The features that are names; all others are numbers."""

HOLIDAY_HORIZON = 7
"""Days after which a holiday no longer matters."""

_MAKES = {
    "AIRBUS": "Airbus",
    "AIRBUS INDUSTRIE": "Airbus",
    "BOEING": "Boeing",
    "BOMBARDIER INC": "Bombardier",
    "CANADAIR": "Bombardier",
    "EMBRAER": "Embraer",
    "MCDONNELL DOUGLAS": "McDonnell Douglas",
    "MCDONNELL DOUGLAS AIRCRAFT CO": "McDonnell Douglas",
    "MCDONNELL DOUGLAS CORPORATION": "McDonnell Douglas",
}
_HOLIDAYS = USFederalHolidayCalendar().holidays("2000-01-01", "2050-12-31").to_numpy("datetime64[D]")


def flight_features(flights: pd.DataFrame) -> pd.DataFrame:
    """Compute the model's features from scheduled flights.

    Parameters
    ----------
    flights
        One row per flight, with at least `INPUT_COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        One row per flight, on the same index: `CATEGORIES` as strings, everything else as float64.
    """
    scheduled = flights["scheduled"]
    wind = np.radians(flights["wind_dir"])
    features = pd.DataFrame(
        {
            "carrier": flights["carrier"],
            "origin": flights["origin"],
            "dest": flights["dest"],
            "make": make_of_plane(flights["manufacturer"]),
            "departure_minute": scheduled.dt.hour * 60 + scheduled.dt.minute,
            "weekday": scheduled.dt.day_of_week,
            "holiday_distance": days_from_holiday(scheduled),
            "distance": flights["distance"],
            "scheduled_minutes": flights["scheduled_minutes"],
            "departures_hour": flights["departures_hour"],
            "departures_day": flights["departures_day"],
            "plane_age": scheduled.dt.year - flights["plane_year"],
            "temp": flights["temp"],
            "dewp": flights["dewp"],
            "wind_speed": flights["wind_speed"],
            "wind_east": flights["wind_speed"] * np.sin(wind),
            "wind_north": flights["wind_speed"] * np.cos(wind),
            "precip": flights["precip"],
            "pressure": flights["pressure"],
            "visib": flights["visib"],
        }
    )
    return features.astype({name: "str" if name in CATEGORIES else "float64" for name in features})


def days_from_holiday(days: pd.Series) -> pd.Series:
    """Count the days from the nearest US federal holiday: negative before it, positive after it.

    The count stops at `HOLIDAY_HORIZON` on either side. A day half-way between two holidays belongs to the coming one.
    """
    day = days.to_numpy("datetime64[D]")
    position = np.searchsorted(_HOLIDAYS, day).clip(1, len(_HOLIDAYS) - 1)
    since = (day - _HOLIDAYS[position - 1]) / np.timedelta64(1, "D")
    until = (_HOLIDAYS[position] - day) / np.timedelta64(1, "D")
    nearest = np.where(since < until, since, -until)
    return pd.Series(nearest, index=days.index).clip(-HOLIDAY_HORIZON, HOLIDAY_HORIZON)


def make_of_plane(manufacturer: pd.Series) -> pd.Series:
    """Bring the registry's spellings of manufacturers together; the many small ones become ``Other``."""
    makes = manufacturer.map(_MAKES).astype("str")
    return makes.where(makes.notna() | manufacturer.isna(), "Other")
