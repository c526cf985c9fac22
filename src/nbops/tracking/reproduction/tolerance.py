"""When two results count as the same: numbers within stated bounds, texts apart from what no two executions share.

Two numbers are *the same* within `Tolerance.exact` (relative; threads may add in another order), *close* within
`Tolerance.close`, else they differ; zero and what rounds to it are compared absolutely. Texts are normalised first:
memory addresses, durations, dates and times, temporary and project paths, generated ids, progress bars. Then the
words between their numbers have to be equal, and the numbers are compared as numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Literal

Level = Literal["same", "close", "differs"]
_ORDER: dict[Level, int] = {"same": 0, "close": 1, "differs": 2}
_TINY = 1e-12

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_MARKUP = re.compile(r"(?is)<(style|script)\b.*?</\1\s*>|<!--.*?-->|<[a-z/!][^<>]*>")
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w])")
_DURATION = r"(?:\d+(?:\.\d+)?\s?(?:ns|[µμu]s|ms|s|sec|secs|seconds?|min|mins|minutes?|h|hours?)\b[\s,]*)+"
_RUBBED_OUT = (
    (re.compile(r"\b0x[0-9a-fA-F]{4,}\b"), "<address>"),
    (re.compile(r"(?<=\.\.\.)(?:0?x)?[0-9a-fA-F]{4,}(?=>|&gt;)"), "<address>"),  # of a repr that was cut in its middle
    (re.compile(r"(?<=at )0x[0-9a-fA-F]*(?=\.\.\.)"), "<address>"),
    (re.compile(r"(?m)^(?:CPU times|Wall time|Compiler\s*:).*$"), "<time>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"), "<moment>"),
    (re.compile(r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? [\w ]{5,9}\d\d:\d\d:\d\d \d{4}"), "<moment>"),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d(?:\.\d+)?\b"), "<time>"),
    (re.compile(rf"(?i)\b{_DURATION}(?:±\s?{_DURATION})?(?:per loop.*)?"), "<duration>"),
    (re.compile(r"(?:/tmp|/var/folders|/var/tmp)/[^\s'\"<>:,)]+"), "<temporary>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "<id>"),
    (re.compile(r"\bsk-container-id-\d+|\bsk-estimator-id-\d+|\bT_[0-9a-f]{5}\w*"), "<id>"),
    (re.compile(r"(?i)\bIn ?\[\d+\]|Cell In\[\d+\]|<ipython-input-[^>]*>|ipykernel_\d+/\d+\.py"), "<cell>"),
    (re.compile(r"(?i)\bpid[ =:]*\d+|\bport[ =:]*\d+"), "<number>"),
)
# what measures the machine and not the model
_MEASURES_MACHINE = re.compile(
    r"(?i)(?:^|[_./\s-])(?:time|duration|seconds|secs|elapsed|latency|throughput|runtime|memory|timestamp)$|^system/|_m?s$"
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What counts as the same and as close.

    Attributes
    ----------
    exact
        Relative difference up to which two numbers are the same: what another order of adding makes.
    close
        Relative difference up to which they are close.
    """

    exact: float = 1e-9
    close: float = 1e-2

    def said(self) -> str:
        """Return it in words, for reports."""
        return f"same within {self.exact:g}, close within {self.close:g} (relative)"

    def as_dict(self) -> dict[str, float]:
        """Return it as plain values."""
        return asdict(self)

    def numbers(self, before: float, after: float) -> Level:
        """Compare two numbers."""
        if math.isnan(before) or math.isnan(after):
            return "same" if math.isnan(before) and math.isnan(after) else "differs"
        if before == after:
            return "same"
        if math.isinf(before) or math.isinf(after):
            return "differs"
        apart, size = abs(before - after), max(abs(before), abs(after))
        if apart <= max(self.exact * size, _TINY):
            return "same"
        return "close" if apart <= self.close * size else "differs"

    def texts(self, before: str, after: str) -> Level:
        """Compare two texts that were normalised."""
        if before == after:
            return "same"
        if _words(before) != _words(after):  # blanks don't count: they follow the numbers' widths
            return "differs"
        old, new = _NUMBER.findall(before), _NUMBER.findall(after)
        return worst(self.numbers(_value(one), _value(other)) for one, other in zip(old, new, strict=True))


def worst(levels: Iterable[Level]) -> Level:
    """Return the worst of some levels; ``same`` where there are none."""
    return max(levels, key=_ORDER.__getitem__, default="same")


def normalised(text: str, places: Mapping[str, str] | None = None) -> str:
    """Return a text without what no two executions share.

    Parameters
    ----------
    text
        What a cell showed.
    places
        What stands for some paths, the longest first.
    """
    text = _ANSI.sub("", text)
    for place, name in sorted((places or {}).items(), key=lambda pair: -len(pair[0])):
        text = text.replace(place, name)
    text = "\n".join(line.rsplit("\r", 1)[-1] for line in text.replace("\r\n", "\n").split("\n"))
    for pattern, name in _RUBBED_OUT:
        text = pattern.sub(name, text)
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def without_markup(text: str) -> str:
    """Return the words of HTML or SVG."""
    return re.sub(r"[ \t]+", " ", _MARKUP.sub(" ", text))


def measures_machine(name: str) -> bool:
    """Whether a metric of this name measures the machine, not the model."""
    return bool(_MEASURES_MACHINE.search(name))


def first_difference(before: str, after: str) -> tuple[str, str]:
    """Return the first lines in which two texts differ."""
    old, new = before.split("\n"), after.split("\n")
    for position in range(max(len(old), len(new))):
        one = old[position] if position < len(old) else ""
        other = new[position] if position < len(new) else ""
        if one != other:
            return one, other
    return "", ""


def _words(text: str) -> list[str]:
    return _NUMBER.sub("#", text).split()


def _value(text: str) -> float:
    return float(text.replace(",", "").rstrip(".") or 0)
