"""A reference profile: what the columns of a training frame looked like, small enough to ship in a bundle.

A numeric column is cut at its deciles, which are values that occur (no interpolation, so ties and infinities are safe);
equal deciles collapse, and the share of rows in each bin is counted rather than assumed to be a tenth. A categorical
column keeps the shares of its most frequent values and what is left over. Dates are numeric: seconds since 1970.
The result is plain JSON with a format number; `nbops.data.drift` measures other frames against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
BINS = 10
MOST_CATEGORIES = 50


def profile(frame: pd.DataFrame) -> dict[str, Any]:
    """Return the reference profile of `frame`.

    Returns
    -------
    dict
        ``{"format": 1, "rows": n, "columns": {name: …}}``; each column has ``kind`` (``numeric`` or ``categorical``)
        and ``missing`` (a share of all rows). Numeric: ``edges`` (upper bounds, the last bin is open) and
        ``shares``. Categorical: ``values``, ``shares`` and ``other``. Shares are of the rows that aren't missing.
    """
    columns = {str(name): _column(frame[name]) for name in frame.columns}
    return {"format": FORMAT, "rows": len(frame), "columns": columns}


def numbers(column: pd.Series) -> npt.NDArray[np.float64] | None:
    """Return `column` as doubles with NaN for missing; None when it isn't numeric."""
    kind = getattr(column.dtype, "kind", "O")
    if kind == "M":
        naive = column.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(column.dt, "tz", None) else column
        moments = naive.to_numpy(dtype="datetime64[us]")
        return np.where(np.isnat(moments), np.nan, moments.astype(np.int64) / 1e6)
    if kind == "m":
        spans = column.to_numpy(dtype="timedelta64[us]")
        return np.where(np.isnat(spans), np.nan, spans.astype(np.int64) / 1e6)
    if kind not in "iuf":
        return None
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def bin_counts(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return how many of `values` (none missing) lie in each of the bins that `edges` bound from above."""
    return np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)


def category_counts(column: pd.Series) -> dict[str, int]:
    """Return how often each value of `column` occurs, most frequent first, equals by name; missing left out."""
    counts = column.value_counts(dropna=True)
    found = {str(value): int(count) for value, count in zip(counts.index, counts.to_numpy(), strict=True) if count}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _column(column: pd.Series) -> dict[str, Any]:
    values = numbers(column)
    if values is None:
        return _categorical_column(column)
    present = values[~np.isnan(values)]
    missing = _share(len(values) - len(present), len(values))
    if not len(present):
        return {"kind": "numeric", "missing": missing, "edges": [], "shares": []}
    deciles = np.quantile(present, np.arange(1, BINS) / BINS, method="inverted_cdf")
    edges = np.unique(deciles[np.isfinite(deciles)])
    shares = bin_counts(present, edges) / len(present)
    return {"kind": "numeric", "missing": missing, "edges": edges.tolist(), "shares": shares.tolist()}


def _categorical_column(column: pd.Series) -> dict[str, Any]:
    counts = category_counts(column)
    present = sum(counts.values())
    kept = list(counts.items())[:MOST_CATEGORIES]
    return {
        "kind": "categorical",
        "missing": _share(len(column) - present, len(column)),
        "values": [value for value, _ in kept],
        "shares": [_share(count, present) for _, count in kept],
        "other": _share(present - sum(count for _, count in kept), present),
    }


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0
