"""What a model card says of the columns."""

from __future__ import annotations

import pandas as pd

from nbops.data.profile import profile
from nbops.promotion.card import seen_in_training


def test_columns_are_told_in_their_own_terms() -> None:
    frame = pd.DataFrame(
        {
            "day": pd.date_range("2013-01-01", periods=11),
            "time": pd.date_range("2013-01-01", periods=11, freq="6h30min"),
            "size": [*range(10), None],
            "carrier": ["UA"] * 9 + ["AA|b", None],
        }
    )
    columns = profile(frame)["columns"]
    assert seen_in_training("datetime", columns["day"]) == "2013-01-02 … 2013-01-10"
    assert seen_in_training("datetime", columns["time"]) == "2013-01-01 06:30 … 2013-01-03 10:30"
    assert seen_in_training("double", columns["size"]) == "0 … 8; 9.1% missing"
    assert seen_in_training("string", columns["carrier"]) == "UA (90%), AA|b (10%); 9.1% missing"
