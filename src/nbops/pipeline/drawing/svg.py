"""A pipeline as SVG: one file without scripts, fonts or links, readable on light and dark pages.

Text stands on the boxes' own ground, and wires have a grey that shows on black and on white; where the page tells that
it is dark, the boxes are dark as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from nbops.pipeline.drawing.layout import Box, Point, Wire, layout
from nbops.pipeline.drawing.scene import MARKS, Figure, Scene

_COLUMN = 7.25  # of the text in _STYLE
_ROW = 17.0
_MARGIN = 12.0
_ROUND = 5.0
_STYLE = """
.nbops-graph text { font: 12px ui-monospace, "DejaVu Sans Mono", Consolas, monospace; fill: #1f2328; white-space: pre; }
.nbops-graph .t { font-weight: 600; } .nbops-graph .f { fill: #59636e; } .nbops-graph .l { fill: #808a94; }
.nbops-graph rect { fill: #ffffff; stroke-width: 1.5; }
.nbops-graph path { fill: none; stroke: #808a94; stroke-width: 1.4; } .nbops-graph .tip { fill: #808a94; stroke: none; }
.nbops-graph .current { stroke: #2da44e; } .nbops-graph .restore { stroke: #218bff; }
.nbops-graph .execute { stroke: #d4a72c; } .nbops-graph .failed { stroke: #e5534b; }
.nbops-graph .depends { stroke: #d4a72c; stroke-dasharray: 5 3; }
.nbops-graph .skip { stroke: #8c959f; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
  .nbops-graph rect { fill: #161b22; } .nbops-graph text { fill: #e6edf3; }
  .nbops-graph .f { fill: #9198a1; } .nbops-graph .l { fill: #808a94; }
}
"""


def svg(scene: Scene) -> str:
    """Return a pipeline as the text of an SVG file."""
    found = layout({figure.name: figure.lines for figure in scene.figures}, scene.edges)
    figures = {figure.name: figure for figure in scene.figures}
    legend = "   ".join(f"{MARKS[condition]} {meaning}" for condition, meaning in scene.legend)
    width = max(_x(found.width), _x(len(legend))) + _MARGIN
    height = _y(found.height) + 2 * _ROW
    parts = [
        *(_wire(wire) for wire in found.wires),
        *(_tip(wire) for wire in found.wires),
        *(part for box in found.boxes for part in _box(box, figures[box.name])),
        f'<text class="l" x="{_MARGIN:g}" y="{_y(found.height) + _ROW:g}">{escape(legend)}</text>',
    ]
    title = escape(f"pipeline {scene.name}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="nbops-graph" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" aria-label="{title}"><title>{title}</title><style>{_STYLE}</style>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _x(column: float) -> float:
    return _MARGIN + column * _COLUMN


def _y(row: float) -> float:
    return _MARGIN + row * _ROW


def _box(box: Box, figure: Figure) -> Iterable[str]:
    """Draw a box: in the grid its borders take a cell, here they run through the middle of it."""
    told = escape(" · ".join(filter(None, [figure.name, figure.condition, figure.reason])))
    yield (
        f'<g><title>{told}</title><rect class="{figure.condition}" x="{_x(box.left + 0.5):.1f}" '
        f'y="{_y(box.top + 0.5):.1f}" width="{(box.width - 1) * _COLUMN:.1f}" '
        f'height="{(box.height - 1) * _ROW:.1f}" rx="{_ROUND:g}"/>'
    )
    for row, line in enumerate(box.lines):
        kind = "f" if row else "t"
        yield (
            f'<text class="{kind}" x="{_x(box.left + 2):.1f}" y="{_y(box.top + row + 1.75):.1f}">{escape(line)}</text>'
        )
    yield "</g>"


def _wire(wire: Wire) -> str:
    """Draw a wire with round corners."""
    places = [_place(point) for point in wire.points]
    commands = [f"M{places[0][0]:.1f} {places[0][1]:.1f}"]
    for before, corner, after in zip(places, places[1:], places[2:], strict=False):
        one, other = _towards(corner, before), _towards(corner, after)
        commands.append(f"L{one[0]:.1f} {one[1]:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {other[0]:.1f} {other[1]:.1f}")
    commands.append(f"L{places[-1][0]:.1f} {places[-1][1]:.1f}")
    tip = f"{escape(wire.source)} → {escape(wire.target)}"
    return f'<path d="{"".join(commands)}"><title>{tip}</title></path>'


def _tip(wire: Wire) -> str:
    x, y = _place(wire.points[-1])
    return f'<path class="tip" d="M{x:.1f} {y - 1:.1f}l-4 -7h8z"/>'


def _place(point: Point) -> tuple[float, float]:
    return _x(point[0] + 0.5), _y(point[1] + 0.5)


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Return the place a radius (or half the way) before a corner."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    length = abs(dx) + abs(dy)
    if not length:
        return corner
    share = min(_ROUND, length / 2) / length
    return corner[0] + dx * share, corner[1] + dy * share
