"""Which layer, which order, which column: the places of boxes, and of wires that pass layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

_SWEEPS = 8
_BETWEEN = 3  # from the border of one to the border of the next
_PADDING = 2  # border and blank on either side


@dataclass(slots=True, eq=False)
class Item:
    """A box, or (without lines) the place where the wires of `name` pass a layer.

    Attributes
    ----------
    name, level
        Whose, and in which layer.
    lines
        What stands in the box.
    half
        How many columns it takes on either side of its center.
    center
        Its column, always even.
    parents, children
        What it is wired to in the layers above and below.
    """

    name: str
    level: int
    lines: tuple[str, ...] = ()
    half: int = 0
    center: int = 0
    parents: list[Item] = field(default_factory=list)
    children: list[Item] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, bool]:
        """What tells it from the others of its layer."""
        return self.name, bool(self.lines)


def arrange(nodes: Mapping[str, Sequence[str]], edges: Sequence[tuple[str, str]]) -> list[list[Item]]:
    """Return the layers, each in its order, with a column for every item."""
    layers = _connect(nodes, edges, _levels(list(nodes), edges))
    _order(layers)
    for layer in layers:
        for item in layer:
            text = max((len(line) for line in item.lines), default=0)
            # every wire that arrives gets a column of its own
            item.half = max((text + 1) // 2 + _PADDING, 2 * len(item.parents)) if item.lines else 0
    _place(layers)
    return layers


def _levels(nodes: list[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    level = dict.fromkeys(nodes, 0)
    for name in nodes:
        level[name] = max((level[source] + 1 for source, target in edges if target == name), default=0)
    fed = {target for _, target in edges}
    for name in nodes:
        below = [level[target] for source, target in edges if source == name]
        if name not in fed and below:  # nothing holds it at the top: shorter wires
            level[name] = min(below) - 1
    return level


def _connect(
    nodes: Mapping[str, Sequence[str]], edges: Sequence[tuple[str, str]], level: Mapping[str, int]
) -> list[list[Item]]:
    """Make the layers; the wires of one box share their way until they part."""
    layers: list[list[Item]] = [[] for _ in range(max(level.values(), default=-1) + 1)]
    boxes = {}
    for name, lines in nodes.items():
        boxes[name] = Item(name, level[name], tuple(lines))
        layers[level[name]].append(boxes[name])
    passing: dict[tuple[str, int], Item] = {}
    for source, target in edges:
        above = boxes[source]
        for between in range(level[source] + 1, level[target]):
            place = passing.get((source, between))
            if place is None:
                place = passing[source, between] = Item(source, between)
                layers[between].append(place)
                _join(above, place)
            above = place
        _join(above, boxes[target])
    return layers


def _join(above: Item, below: Item) -> None:
    above.children.append(below)
    below.parents.append(above)


def _order(layers: list[list[Item]]) -> None:
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _sort(layer, layers, down)
        crossings = _crossings(layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _sort(layer: list[Item], layers: list[list[Item]], down: bool) -> None:
    """Sort a layer by the mean place of what its items are wired to on one side; those without stay where they are."""
    if not layer:
        return
    other = layer[0].level + (-1 if down else 1)
    if not 0 <= other < len(layers):
        return
    at = {id(item): place for place, item in enumerate(layers[other])}
    scale = len(layers[other]) / len(layer)
    wish = {}
    for place, item in enumerate(layer):
        near = [at[id(one)] for one in (item.parents if down else item.children)]
        wish[id(item)] = sum(near) / len(near) if near else place * scale
    layer.sort(key=lambda item: wish[id(item)])


def _crossings(layers: Iterable[Sequence[Item]]) -> int:
    total = 0
    at = {id(item): place for layer in layers for place, item in enumerate(layer)}
    for layer in layers:
        wires = [(at[id(item)], at[id(child)]) for item in layer for child in item.children]
        total += sum(
            (one[0] - other[0]) * (one[1] - other[1]) < 0 for i, one in enumerate(wires) for other in wires[:i]
        )
    return total


def _place(layers: list[list[Item]]) -> None:
    for layer in layers:
        _fit(layer, [0.0] * len(layer))
    for sweep in range(_SWEEPS + 1):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wishes = []
            for item in layer:
                near = item.parents if down else item.children
                wishes.append(median(one.center for one in near) if near else float(item.center))
            _fit(layer, wishes)
    left = min((item.center - item.half for layer in layers for item in layer), default=0)
    shift = left - left % 2 - 2  # a wire may pass one column left of the leftmost
    for layer in layers:
        for item in layer:
            item.center -= shift


def _fit(layer: Sequence[Item], wishes: Sequence[float]) -> None:
    """Give each item the column nearest to its wish, in their order and with room between: least squares."""
    offsets = [0]
    for one, other in pairwise(layer):
        room = one.half + other.half + _BETWEEN
        offsets.append(offsets[-1] + room + room % 2)
    blocks: list[tuple[float, int]] = []  # mean wish, and of how many that had to be put side by side
    for wish, offset in zip(wishes, offsets, strict=True):
        mean, count = wish - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, number = blocks.pop()
            mean, count = (before * number + mean * count) / (number + count), number + count
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    for item, start, offset in zip(layer, starts, offsets, strict=True):
        item.center = 2 * round(start / 2) + offset
