"""Whether two runs differ by more than chance, from figures that belong together pair by pair.

*Folds* of one cross-validation share most of their training rows, so their differences aren't independent: their variance is
corrected by the share of tested to trained rows (Nadeau and Bengio, Inference for the Generalization Error, 2003). *Seeds*
are independent: six pairs or more go through Wilcoxon's signed ranks with the Hodges-Lehmann estimate, fewer through the
paired t-test, because five signed ranks can't reach 5 %. Where the differences have no spread, only their signs can be
counted. Over several metrics p is adjusted by Holm's method.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["folds", "seeds"]

LEVEL = 0.05
_FEW = 6
_EXACT = 30


@dataclass(frozen=True, slots=True)
class PairedTest:
    """A paired test of one metric, `after` against `before`; without a result `reason` says why there is none.

    Attributes
    ----------
    kind, method, pairs
        What was paired, by which test, and how many pairs there are.
    before, after
        The means.
    difference, low, high
        The estimated difference and its 95 % interval.
    effect
        The mean difference in standard deviations of the differences.
    p, adjusted
        The two-sided p-value, and the same adjusted for the number of metrics tested.
    """

    metric: str
    kind: Kind | None = None
    method: str = ""
    pairs: int = 0
    before: float | None = None
    after: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    effect: float | None = None
    p: float | None = None
    adjusted: float | None = None
    reason: str = ""

    @property
    def significant(self) -> bool:
        """Whether chance alone would hardly (less than one time in twenty) make such a difference."""
        p = self.p if self.adjusted is None else self.adjusted
        return p is not None and p < LEVEL


def paired(
    metric: str, kind: Kind, before: Sequence[float], after: Sequence[float], *, folds: int | None = None
) -> PairedTest:
    """PairedTest whether two series of a metric differ, pair by pair.

    Parameters
    ----------
    metric, kind
        The metric's name, and what a pair is.
    before, after
        Its values; those at the same place belong together.
    folds
        How many folds a repeat of the cross-validation has (default: all values are of one).
    """
    both = [(x, y) for x, y in zip(before, after, strict=True) if math.isfinite(x) and math.isfinite(y)]
    count = len(both)
    if count < 2:
        told = "no pair" if not count else "one pair"
        return PairedTest(metric, kind, pairs=count, reason=f"{told} of finite values; two at least are needed")
    differences = [y - x for x, y in both]
    mean = math.fsum(differences) / count
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in differences) / (count - 1))
    found = PairedTest(
        metric,
        kind,
        pairs=count,
        before=math.fsum(x for x, _ in both) / count,
        after=math.fsum(y for _, y in both) / count,
        difference=mean,
    )
    if not any(differences):
        return replace(found, method="none needed: all pairs are equal", low=0.0, high=0.0, effect=0.0, p=1.0)
    if spread <= 1e-12 * max(abs(mean), 1e-300):
        return replace(found, method="sign test", p=_signs(differences), low=mean, high=mean)
    found = replace(found, effect=mean / spread)
    if kind == "folds":
        share = 1 / ((folds or count) - 1)
        return _student(found, spread * math.sqrt(1 / count + share), "corrected resampled t-test")
    if count < _FEW:
        return _student(found, spread / math.sqrt(count), "paired t-test")
    return _ranks(found, differences)


def holm(tests: Sequence[PairedTest]) -> list[PairedTest]:
    """Return tests with p adjusted for how many they are."""
    order = sorted((test.p, position) for position, test in enumerate(tests) if test.p is not None)
    adjusted: dict[int, float] = {}
    highest = 0.0
    for rank, (p, position) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[position] = highest
    return [replace(test, adjusted=adjusted.get(position)) for position, test in enumerate(tests)]


def sentence(test: PairedTest) -> str:
    """Return a test's result in words."""
    if test.reason:
        return f"not tested: {test.reason}"
    assert test.difference is not None
    told = "differs by more than chance" if test.significant else "may be chance"
    parts = [f"{test.pairs} {test.kind}", f"{test.difference:+.4g}"]
    if test.low is not None and test.high is not None and test.method != "sign test":
        parts.append(f"95 % interval {test.low:+.4g} to {test.high:+.4g}")
    if test.effect is not None:
        parts.append(f"effect {test.effect:+.2f} sd")
    p = test.p if test.adjusted is None else test.adjusted
    parts.append(f"p {'< 0.0001' if p is not None and p < 1e-4 else f'= {p:.2g}'}")
    return f"{told} ({', '.join(parts)}; {test.method})"


def _student(found: PairedTest, error: float, method: str) -> PairedTest:
    from scipy import stats

    assert found.difference is not None
    freedom = found.pairs - 1
    margin = float(stats.t.ppf(1 - LEVEL / 2, freedom)) * error
    return replace(
        found,
        method=method,
        low=found.difference - margin,
        high=found.difference + margin,
        p=float(2 * stats.t.sf(abs(found.difference / error), freedom)),
    )


def _ranks(found: PairedTest, differences: Sequence[float]) -> PairedTest:
    from scipy import stats

    nonzero = [value for value in differences if value]
    if len(nonzero) < _FEW:
        return replace(found, method="sign test", p=_signs(differences), low=None, high=None)
    tied = len({abs(value) for value in nonzero}) < len(nonzero) or len(nonzero) < len(differences)
    exact = not tied and len(nonzero) <= _EXACT
    answer = stats.wilcoxon(differences, zero_method="wilcox", method="exact" if exact else "approx")
    count = len(differences)
    averages = sorted((differences[i] + differences[j]) / 2 for i in range(count) for j in range(i, count))
    cut = _critical(count)
    middle = len(averages) // 2
    estimate = averages[middle] if len(averages) % 2 else (averages[middle - 1] + averages[middle]) / 2
    return replace(
        found,
        method="Wilcoxon's signed-rank test",
        difference=estimate,
        low=averages[cut],
        high=averages[-1 - cut],
        p=float(answer.pvalue),
    )


def _critical(count: int) -> int:
    """Return how many of the sorted pairwise averages to leave out at each end for a 95 % interval."""
    if count > _EXACT:
        mean, variance = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1) / 24
        return max(0, math.floor(mean - 1.959964 * math.sqrt(variance)) - 1)
    ways = [1]
    for rank in range(1, count + 1):  # how many subsets of the ranks have each sum
        ways = [
            (ways[total] if total < len(ways) else 0) + (ways[total - rank] if total >= rank else 0)
            for total in range(len(ways) + rank)
        ]
    cumulated, cut = 0, 0
    while (cumulated + ways[cut]) / 2**count <= LEVEL / 2:
        cumulated += ways[cut]
        cut += 1
    return max(0, cut - 1)


def _signs(differences: Sequence[float]) -> float:
    from scipy import stats

    up = sum(value > 0 for value in differences)
    down = sum(value < 0 for value in differences)
    return float(stats.binomtest(up, up + down).pvalue)
