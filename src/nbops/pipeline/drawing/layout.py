"""Where boxes and wires go: layers from top to bottom, on a grid of character cells.

A stage stands one layer below the lowest that it needs. Wires that pass layers get a place of their own in each. The
order within a layer is that with the fewest crossings found by sweeping; places are the nearest to the neighbours' that
keep the order. Wires leave boxes in even columns and arrive in odd ones or straight from above, so that two wires of
different stages may cross, but never lie on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nbops.pipeline.drawing.arranging import Item, arrange
from nbops.pipeline.drawing.wiring import Gap, wire_gap

_BORDERS = 2

Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Box:
    """A stage's box: left, top, width and height in cells with its border, and the lines in it."""

    name: str
    left: int
    top: int
    width: int
    height: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wire:
    """A line from the lower border of a box to the upper border of another, with its corners."""

    source: str
    target: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Boxes and wires, and how much room they take."""

    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    width: int
    height: int


def layout(nodes: Mapping[str, Sequence[str]], edges: Iterable[tuple[str, str]]) -> Layout:
    """Return where everything goes.

    Parameters
    ----------
    nodes
        The lines in each box, by name, every node after those that it needs.
    edges
        From which to which; without circles.
    """
    if not nodes:
        return Layout((), (), 0, 0)
    wanted = sorted(set(edges), key=lambda edge: [list(nodes).index(name) for name in edge])
    layers = arrange(nodes, wanted)
    gaps = [wire_gap(upper, lower) for upper, lower in pairwise(layers)]
    tops: list[int] = []
    row = 0
    heights = [_height(layer) for layer in layers]
    for height, gap in zip(heights, [*gaps, Gap.empty()], strict=True):
        tops.append(row)
        row += height + gap.rows
    boxes = tuple(
        Box(item.name, item.center - item.half, top, 2 * item.half + 1, len(item.lines) + _BORDERS, item.lines)
        for layer, top in zip(layers, tops, strict=True)
        for item in layer
        if item.lines
    )
    wires = tuple(_wire(source, target, layers, gaps, tops, heights) for source, target in wanted)
    width = max((box.left + box.width for box in boxes), default=0)
    width = max([width, *(x + 1 for wire in wires for x, _ in wire.points)])
    return Layout(boxes, wires, width, tops[-1] + heights[-1])


def _height(layer: Sequence[Item]) -> int:
    return max(len(item.lines) + _BORDERS if item.lines else 1 for item in layer)


def _wire(
    source: str,
    target: str,
    layers: Sequence[Sequence[Item]],
    gaps: Sequence[Gap],
    tops: Sequence[int],
    heights: Sequence[int],
) -> Wire:
    """Follow the wire down: out of its box, through each gap, past the layers between, into the other box."""
    level = next(i for i, layer in enumerate(layers) for item in layer if item.name == source and item.lines)
    item = next(item for item in layers[level] if item.name == source and item.lines)
    points: list[Point] = [(item.center, tops[level] + len(item.lines) + 1)]
    while True:
        child = _next(layers[level + 1], source, target)
        gap = gaps[level]
        column = gap.columns[item.key, child.key]
        track = gap.tracks.get(item.key)
        if track is not None and column != item.center:
            y = tops[level] + heights[level] + track
            points += [(item.center, y), (column, y)]
        level, item = level + 1, child
        if item.lines:
            points.append((column, tops[level]))
            return Wire(source, target, tuple(points))
        if column != item.center:
            middle = tops[level] + heights[level] // 2
            points += [(column, middle), (item.center, middle)]


def _next(layer: Sequence[Item], source: str, target: str) -> Item:
    """Return the target where it's in a layer, else the place by which the source's wires pass it."""
    found = next((item for item in layer if item.lines and item.name == target), None)
    return found or next(item for item in layer if not item.lines and item.name == source)
