"""Drift: how far the columns of a frame have moved from a reference profile.

The population stability index over bins *i* with reference share *r* and current share *c* is
``PSI = Σ (cᵢ − rᵢ) · ln(cᵢ / rᵢ)`` (N. Siddiqi, *Credit Risk Scorecards*, Wiley 2006), the symmetric Kullback–Leibler
divergence of the binned columns. Missing values are a bin of their own, so are values the profile doesn't list.
Shares are floored at 1e-4, since one empty bin would make the sum infinite. Below 0.1 a column counts as stable, from
0.25 on the move is large. Chance alone moves a small sample: PSI / (1/n + 1/m) is about chi-squared with one degree less
than there are bins (B. Yurdakul, *Statistical properties of population stability index*, 2018), and ``chance``
is what one sample in twenty exceeds with no drift at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from nbops.data.profile import FORMAT, bin_counts, category_counts, numbers
from nbops.errors import NbopsError

if TYPE_CHECKING:
    import pandas as pd

MODERATE = 0.1
LARGE = 0.25
_FLOOR = 1e-4
_Z95 = 1.6448536269514722  # the 95 % quantile of the normal distribution

Level = Literal["stable", "moderate", "large"]


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far one column has moved.

    Attributes
    ----------
    column
        Its name.
    psi
        The population stability index, missing values included as a bin.
    level
        ``stable``, ``moderate`` or ``large``.
    chance
        The PSI that chance exceeds once in twenty samples of this size.
    missing_change
        Share of missing values now, less the reference's.
    new_share
        Share of present values that the reference never held; None where that can't be told (a numeric column, or
        one with more categories than a profile lists).
    """

    column: str
    psi: float
    level: Level
    chance: float
    missing_change: float
    new_share: float | None = None


def drift(frame: pd.DataFrame, reference: dict[str, Any]) -> list[ColumnDrift]:
    """Return the drift of every column that `frame` and `reference` share, the largest first.

    Parameters
    ----------
    frame
        The rows to look at.
    reference
        What `nbops.data.profile.profile` returned for the training frame.
    """
    if reference.get("format") != FORMAT:
        raise NbopsError(
            f"a reference profile of format {reference.get('format')!r}, but this nbops reads format {FORMAT}",
            remedy="use the nbops version that wrote the profile, or package the model again",
        )
    if not len(frame):
        return []
    shared = [name for name in reference["columns"] if name in frame.columns]
    found = [_drift(name, frame[name], reference["columns"][name], reference["rows"]) for name in shared]
    return sorted(found, key=lambda one: (-one.psi, one.column))


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Return the population stability index of two lists of shares, bin by bin."""
    expected = np.maximum(np.asarray(reference, dtype=np.float64), _FLOOR)
    actual = np.maximum(np.asarray(current, dtype=np.float64), _FLOOR)
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def level(value: float) -> Level:
    """Return the word for a PSI of `value`."""
    return "stable" if value < MODERATE else "moderate" if value < LARGE else "large"


def _drift(name: str, column: pd.Series, was: dict[str, Any], rows: int) -> ColumnDrift:
    total = len(column)
    new_share: float | None = None
    if was["kind"] == "numeric":
        values = numbers(column)
        if values is None:  # a column that was numeric holds something else: none of it is known
            present = total - int(column.isna().sum())
            counts, expected = np.array([0] * len(was["shares"]) + [present]), [*was["shares"], 0.0]
        else:
            known = values[~np.isnan(values)]
            present = len(known)
            counts, expected = bin_counts(known, np.asarray(was["edges"])), was["shares"] or [0.0]
    else:
        found = category_counts(column)
        present = sum(found.values())
        listed = np.array([found.get(value, 0) for value in was["values"]], dtype=np.int64)
        counts, expected = np.append(listed, present - listed.sum()), [*was["shares"], was["other"]]
        if was["other"] == 0:
            new_share = float(counts[-1] / present) if present else 0.0
    missing = (total - present) / total
    current = np.append(counts / total, missing)
    before = np.append(np.asarray(expected) * (1 - was["missing"]), was["missing"])
    used = (current > 0) | (before > 0)
    value = psi(before[used], current[used])
    return ColumnDrift(
        name, value, level(value), _chance(int(used.sum()), rows, total), missing - was["missing"], new_share
    )


def _chance(bins: int, rows: int, total: int) -> float:
    """Return the 95 % point of PSI without drift; chi-squared by Wilson and Hilferty's approximation."""
    freedom = bins - 1
    if freedom < 1 or not rows:
        return 0.0
    spread = 2 / (9 * freedom)
    quantile: float = freedom * (1 - spread + _Z95 * spread**0.5) ** 3
    return quantile * (1 / rows + 1 / total)
