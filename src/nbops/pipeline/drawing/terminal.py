"""A pipeline in box characters: with files where there is room, else names alone, else as a list.

Where wires of two stages cross, the one that goes down is drawn, and the other is interrupted: a junction is always one
of the same stage's wires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from nbops.pipeline.drawing.layout import Box, Layout, Point, layout
from nbops.pipeline.drawing.scene import MARKS, Condition, Figure, Scene

Paint = Callable[[str, Condition], str]
_NORTH, _EAST, _SOUTH, _WEST = 1, 2, 4, 8
_LINES = {
    _NORTH: "│",
    _SOUTH: "│",
    _NORTH | _SOUTH: "│",
    _EAST: "─",
    _WEST: "─",
    _EAST | _WEST: "─",
    _NORTH | _EAST: "└",
    _NORTH | _WEST: "┘",
    _SOUTH | _EAST: "┌",
    _SOUTH | _WEST: "┐",
    _NORTH | _SOUTH | _EAST: "├",
    _NORTH | _SOUTH | _WEST: "┤",
    _EAST | _WEST | _SOUTH: "┬",
    _EAST | _WEST | _NORTH: "┴",
    _NORTH | _EAST | _SOUTH | _WEST: "┼",
}


def drawing(scene: Scene, width: int, paint: Paint = lambda text, condition: text) -> str:
    """Return a pipeline as text.

    Parameters
    ----------
    scene
        The pipeline.
    width
        How many columns there are.
    paint
        Colours a text by the condition of its stage.
    """
    for whole in (True, False):
        nodes = {figure.name: figure.lines if whole else (figure.title,) for figure in scene.figures}
        found = layout(nodes, scene.edges)
        if found.width <= width:
            return _drawn(found, scene, paint)
    return "\n".join(_listed(scene, paint))


def legend(scene: Scene, paint: Paint = lambda text, condition: text) -> str:
    """Return what the marks mean that occur."""
    return "   ".join(paint(f"{MARKS[condition]} {meaning}", condition) for condition, meaning in scene.legend)


def _drawn(found: Layout, scene: Scene, paint: Paint) -> str:
    rows = [[" "] * found.width for _ in range(found.height)]
    _draw_wires(rows, found)
    for box in found.boxes:
        _draw_box(rows, box)
    for wire in found.wires:
        (x, y), (tip, top) = wire.points[0], wire.points[-1]
        rows[y][x] = "┬"
        rows[top - 1][tip] = "▼"
    _paint_titles(rows, found.boxes, {figure.name: figure for figure in scene.figures}, paint)
    return "\n".join("".join(row).rstrip() for row in rows)


def _draw_wires(rows: list[list[str]], found: Layout) -> None:
    arms: dict[str, dict[Point, int]] = {}
    for wire in found.wires:
        own = arms.setdefault(wire.source, {})
        for one, other in pairwise(wire.points):
            for cell, arm in _arms(one, other):
                own[cell] = own.get(cell, 0) | arm
    # horizontal runs first: what goes down is drawn over them
    everything = [(cell, mask) for own in arms.values() for cell, mask in own.items()]
    for (x, y), mask in sorted(everything, key=lambda one: one[1] != _EAST | _WEST):
        rows[y][x] = _LINES[mask]


def _arms(one: Point, other: Point) -> Iterable[tuple[Point, int]]:
    """Yield the cells of a straight piece with the sides on which it leaves each."""
    (x1, y1), (x2, y2) = one, other
    for x in range(min(x1, x2), max(x1, x2)):
        yield (x, y1), _EAST
        yield (x + 1, y1), _WEST
    for y in range(min(y1, y2), max(y1, y2)):
        yield (x1, y), _SOUTH
        yield (x1, y + 1), _NORTH


def _draw_box(rows: list[list[str]], box: Box) -> None:
    inner = box.width - 2
    texts = [f"┌{'─' * inner}┐", *(f"│ {line:<{inner - 1}}│" for line in box.lines), f"└{'─' * inner}┘"]
    for y, text in enumerate(texts, box.top):
        rows[y][box.left : box.left + box.width] = text


def _paint_titles(rows: list[list[str]], boxes: Iterable[Box], figures: dict[str, Figure], paint: Paint) -> None:
    for box in boxes:
        # a painted title takes one cell, and the cells that it covered are emptied: they are joined afterwards
        start, title = box.left + 2, box.lines[0]
        row = rows[box.top + 1]
        row[start : start + len(title)] = [paint(title, figures[box.name].condition), *[""] * (len(title) - 1)]


def _listed(scene: Scene, paint: Paint) -> Iterable[str]:
    wide = max(len(figure.title) for figure in scene.figures)
    for figure in scene.figures:
        sources = [*figure.needs, *figure.reads]
        told = [f"← {', '.join(sources)}"] * bool(sources) + [f"→ {', '.join(figure.makes)}"] * bool(figure.makes)
        gap = " " * (wide - len(figure.title))
        yield f"{paint(figure.title, figure.condition)}{gap}  {'  '.join(told)}".rstrip()
