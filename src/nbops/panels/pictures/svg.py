"""The few parts that pictures are drawn with: texts, lines, bars, round numbers for axes.

Colours are CSS variables (see `style`), so that one picture fits a light and a dark page. Texts are cut by their number of
characters, with the whole as a tooltip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape


def picture(width: float, height: float, parts: Iterable[str], title: str) -> str:
    """Return a whole SVG element that scales with its page."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nbops-picture" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def text(x: float, y: float, content: str, *, anchor: str = "start", kind: str = "label", most: int = 0) -> str:
    """Return a text; one longer than `most` characters is cut, with the whole as its tooltip."""
    shown = f"{content[: most - 1]}…" if most and len(content) > most else content
    tip = f"<title>{escape(content)}</title>" if shown != content else ""
    return f'<text class="nb-{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{tip}{escape(shown)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "grid") -> str:
    """Return a straight line."""
    return f'<line class="nb-{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def bar(x: float, y: float, width: float, height: float, kind: str, tip: str) -> str:
    """Return a bar with a tooltip; a negative width grows to the left."""
    left, size = (x + width, -width) if width < 0 else (x, width)
    return (
        f'<rect class="nb-{kind}" x="{left:.1f}" y="{y:.1f}" width="{max(size, 1.5):.1f}" height="{height:.1f}" rx="2">'
        f"<title>{escape(tip)}</title></rect>"
    )


def path(points: Sequence[tuple[float, float]], kind: str, tip: str) -> str:
    """Return a line through points, with a dot where there is only one."""
    if len(points) == 1:
        x, y = points[0]
        return f'<circle class="nb-dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"><title>{escape(tip)}</title></circle>'
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="nb-curve {kind}" d="M{steps}"><title>{escape(tip)}</title></path>'


def short(value: float) -> str:
    """Return a number in at most about seven characters."""
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e")


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round numbers between two, ends included where they are round."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low:
        return [low]
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
