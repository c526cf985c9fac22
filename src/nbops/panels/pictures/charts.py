"""The pictures: changes of metrics as bars, histories of metrics as curves, and many runs as parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbops.panels.pictures import svg
from nbops.panels.pictures.style import SERIES
from nbops.tracking.comparison.samples import is_of_fold
from nbops.tracking.schema import Point, RunSummary, Verdict

_ROW = 24.0
_MOST_AXES = 12
_MOST_RUNS = 300


@dataclass(frozen=True, slots=True)
class Bar:
    """A metric of a run beside the same of the baseline."""

    metric: str
    before: float
    after: float
    verdict: Verdict
    run: str = ""


def change_bars(bars: Sequence[Bar], title: str) -> str:
    """Return bars of relative change: to the right is more, to the left less, green is better."""
    shares = [_share(bar) for bar in bars]
    finite = [abs(share) for share in shares if math.isfinite(share)]
    reach = max([*finite, 1e-9])
    named = 190.0
    half, room = 140.0, 58.0
    middle = named + room + half
    values = middle + half + room + 8
    parts = [svg.line(middle, 8, middle, _ROW * len(bars) + 8, "axis")]
    for number, (bar, share) in enumerate(zip(bars, shares, strict=True)):
        y = 8 + number * _ROW
        label = f"{bar.metric} · {bar.run}" if bar.run else bar.metric
        size = half * share / reach if math.isfinite(share) else math.copysign(half, share if share == share else 1)
        tip = f"{label}: {svg.short(bar.before)} → {svg.short(bar.after)} ({bar.verdict})"
        parts.append(svg.text(named - 12, y + 16, label, anchor="end", most=27))
        parts.append(svg.bar(middle, y + 4, size, _ROW - 9, bar.verdict, tip))
        side = ("start", 6.0) if size >= 0 else ("end", -6.0)
        if math.isfinite(share):
            parts.append(svg.text(middle + size + side[1], y + 16, f"{share:+.1%}", anchor=side[0], kind=bar.verdict))
        parts.append(svg.text(values, y + 16, f"{svg.short(bar.before)} → {svg.short(bar.after)}", kind="soft"))
    return svg.picture(values + 150, _ROW * len(bars) + 16, parts, title)


def _share(bar: Bar) -> float:
    if bar.before == bar.after:
        return 0.0
    return (bar.after - bar.before) / abs(bar.before) if bar.before else math.copysign(math.inf, bar.after)


def curves(metric: str, series: Mapping[str, Sequence[Point]]) -> str:
    """Return one metric's histories of several runs over their steps; a run without a value of it keeps its colour."""
    width, height, left, right, top, bottom = 340.0, 210.0, 54.0, 12.0, 26.0, 28.0
    points = [point for history in series.values() for point in history if math.isfinite(point.value)]
    parts = [svg.text(left, 15, metric, kind="head", most=42)]
    if not points:
        return svg.picture(width, height, parts, metric)
    x_low, x_high = min(point.step for point in points), max(point.step for point in points)
    y_low, y_high = min(point.value for point in points), max(point.value for point in points)
    if y_high - y_low < 1e-12 * max(abs(y_high), 1e-300):
        y_low, y_high = y_low - (abs(y_low) or 1) * 0.1, y_high + (abs(y_high) or 1) * 0.1
    margin = (y_high - y_low) * 0.06
    y_low, y_high = y_low - margin, y_high + margin

    def at(step: float, value: float) -> tuple[float, float]:
        along = (step - x_low) / (x_high - x_low) if x_high > x_low else 0.5
        up = (value - y_low) / (y_high - y_low)
        return left + along * (width - left - right), height - bottom - up * (height - top - bottom)

    for tick in svg.ticks(y_low, y_high):
        _, y = at(x_low, tick)
        parts += [
            svg.line(left, y, width - right, y),
            svg.text(left - 6, y + 4, svg.short(tick), anchor="end", kind="soft"),
        ]
    whole = [tick for tick in svg.ticks(x_low, x_high) if tick == int(tick)]
    for tick in whole:
        x, _ = at(tick, y_low)
        parts.append(svg.text(x, height - bottom + 16, f"{tick:g}", anchor="middle", kind="soft"))
    for number, (label, history) in enumerate(series.items()):
        shown = _thinned([at(point.step, point.value) for point in history if math.isfinite(point.value)])
        if shown:
            parts.append(svg.path(shown, f"nb-s{number % SERIES}", f"{label}: {metric}, {len(history)} values"))
    return svg.picture(width, height, parts, metric)


def _thinned(points: list[tuple[float, float]], most: int = 600) -> list[tuple[float, float]]:
    """Leave out points that no screen could show apart, but keep each stretch's highest and lowest."""
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / (most // 2))
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        kept += sorted({min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])})
    return kept


def parallel(runs: Sequence[RunSummary], *, baseline: str | None = None) -> str:
    """Return runs as lines across one axis for each param that differs and each metric; empty if there is nothing to see."""
    shown = list(runs)[:_MOST_RUNS]
    axes = _axes(shown)
    if len(shown) < 2 or len(axes) < 2:
        return ""
    gap, left, top, height = 130.0, 70.0, 34.0, 260.0
    width = left * 2 + gap * (len(axes) - 1)
    parts, marks = [], []
    places: list[dict[str, float]] = []
    names = list(dict.fromkeys(run.name for run in shown))  # where runs are many, those of a name share a colour
    for number, (name, values) in enumerate(axes):
        x = left + gap * number
        drawn, where = _axis(x, top, height, values)
        parts += [
            svg.text(x, 16, name, anchor="middle", kind="head", most=18),
            svg.line(x, top, x, top + height, "axis"),
        ]
        marks += drawn
        places.append(where)
    for number, run in enumerate(shown):
        line = [(left + gap * axis, place[run.run_id]) for axis, place in enumerate(places) if run.run_id in place]
        tip = f"{run.name} ({run.run_id[:8]}): " + ", ".join(
            f"{name} {values.get(run.run_id, '–')}" for name, values in axes
        )
        colour = (number if len(shown) <= SERIES else names.index(run.name)) % SERIES
        kind = f"nb-run nb-s{colour}{' nb-base' if run.run_id == baseline else ''}"
        parts += [svg.path(part, kind, tip) for part in _unbroken(line, gap)]
    return svg.picture(
        width, top + height + 14, [*parts, *marks], f"{len(shown)} runs across {len(axes)} params and metrics"
    )


def _unbroken(points: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """Return the stretches of a line over neighbouring axes: one that a run has no value on isn't crossed."""
    parts: list[list[tuple[float, float]]] = []
    for point in points:
        if parts and point[0] - parts[-1][-1][0] < 1.5 * gap:
            parts[-1].append(point)
        else:
            parts.append([point])
    return parts


Values = dict[str, str | float]


def _axes(runs: Sequence[RunSummary]) -> list[tuple[str, Values]]:
    """Return the params that differ, those that most runs have first, then the metrics."""
    found: list[tuple[str, Values]] = []
    for kind in ("params", "metrics"):
        names = {name for run in runs for name in getattr(run, kind)}
        axes: list[tuple[str, Values]] = []
        for name in names:
            values: Values = {run.run_id: getattr(run, kind)[name] for run in runs if name in getattr(run, kind)}
            if kind == "params":
                values = _numbers(values)
            differing = set(values.values())
            if (
                len(differing) > 1
                and not (kind == "metrics" and is_of_fold(name))
                and not any(_odd(value) for value in differing)
            ):
                axes.append((name, values))
        axes.sort(key=lambda axis: (-len(axis[1]), axis[0].startswith("training_"), "__" in axis[0], axis[0]))
        found += axes[: _MOST_AXES // 2]
    return found


def _odd(value: str | float) -> bool:
    return (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, str) and len(value) > 60)


def _numbers(values: Values) -> Values:
    """Return texts as numbers where all of them are; None, True and words stay words."""
    try:
        return {key: float(value) for key, value in values.items()}
    except ValueError:
        return values


def _axis(x: float, top: float, height: float, values: Values) -> tuple[list[str], dict[str, float]]:
    """Return an axis' marks, and the height of each run on it."""
    if any(isinstance(value, str) for value in values.values()):
        words = sorted({str(value) for value in values.values()})
        step = height / max(len(words) - 1, 1)
        heights = {
            word: top + height / 2 if len(words) == 1 else top + height - step * i for i, word in enumerate(words)
        }
        some = words if len(words) <= 12 else [words[0], words[-1]]
        marks = [svg.text(x + 6, heights[word] + 4, word, kind="soft nb-on", most=15) for word in some]
        return marks, {run: heights[str(value)] for run, value in values.items()}
    numbers = {run: float(value) for run, value in values.items()}
    low, high = min(numbers.values()), max(numbers.values())
    logarithmic = low > 0 and high / low >= 100
    span = (math.log(low), math.log(high)) if logarithmic else (low, high)

    def at(value: float) -> float:
        place = math.log(value) if logarithmic else value
        return top + height / 2 if high == low else top + height * (1 - (place - span[0]) / (span[1] - span[0]))

    if logarithmic:
        tens = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
        marked = [10.0**ten for ten in tens]
    else:
        marked = svg.ticks(low, high)
    return [svg.text(x + 6, at(tick) + 4, svg.short(tick), kind="soft nb-on") for tick in marked], {
        run: at(value) for run, value in numbers.items()
    }
