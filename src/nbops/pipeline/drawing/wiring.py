"""The wires between two layers: in which column each arrives, and on which row each turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nbops.pipeline.drawing.arranging import Item

Key = tuple[str, bool]


@dataclass(frozen=True, slots=True)
class Gap:
    """The room between two layers.

    Attributes
    ----------
    columns
        Where the wire from one item to another arrives.
    tracks
        On which row an item's wires turn, from 0; items whose wires go straight have none.
    rows
        How many rows there are: the tracks, and one for the tips.
    """

    columns: Mapping[tuple[Key, Key], int]
    tracks: Mapping[Key, int]
    rows: int

    @classmethod
    def empty(cls) -> Gap:
        """Return the room below the last layer: none."""
        return cls({}, {}, 0)


def wire_gap(upper: Sequence[Item], lower: Sequence[Item]) -> Gap:
    """Wire two layers."""
    taken = {item.center for item in upper if item.children}
    columns: dict[tuple[Key, Key], int] = {}
    for item in lower:
        above = sorted(item.parents, key=lambda parent: parent.center)
        for parent, column in zip(above, _arrivals(item, [one.center for one in above], taken), strict=True):
            columns[parent.key, item.key] = column
    tracks = _tracks(upper, columns)
    return Gap(columns, tracks, max(tracks.values(), default=-1) + 2)


def _arrivals(item: Item, above: list[int], taken: set[int]) -> list[int]:
    """Return in which columns wires from some columns above arrive at an item, from left to right.

    Its center is for the one that comes straight down, or for the middle one if nobody else's wire is above it. All
    others arrive in odd columns, where no wire ever leaves a box.
    """
    center, count = item.center, len(above)
    if center in above:
        middle = above.index(center)
    elif center in taken or count % 2 == 0:
        left = sum(column < center for column in above) if count == 1 else count // 2
        return [center - 1 - 2 * (left - 1 - i) if i < left else center + 1 + 2 * (i - left) for i in range(count)]
    else:
        middle = count // 2
    return [
        center
        if i == middle
        else center - 1 - 2 * (middle - 1 - i)
        if i < middle
        else center + 1 + 2 * (i - middle - 1)
        for i in range(count)
    ]


def _tracks(upper: Sequence[Item], columns: Mapping[tuple[Key, Key], int]) -> dict[Key, int]:
    """Give every item whose wires turn a row, such that no two lie on each other."""
    spans = []
    for item in upper:
        reached = [column for (source, _), column in columns.items() if source == item.key]
        if any(column != item.center for column in reached):
            spans.append((min([item.center, *reached]), max([item.center, *reached]), item.key))
    rows: list[int] = []  # the last column that is taken of each
    tracks = {}
    for left, right, key in sorted(spans):
        row = next((row for row, end in enumerate(rows) if end + 1 < left), len(rows))
        rows[row : row + 1] = [right]
        tracks[key] = row
    return tracks
