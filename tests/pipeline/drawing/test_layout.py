"""Layouts of any graph: boxes apart, every edge a wire from border to border, wires that cross but never coincide."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nbops.pipeline.drawing.layout import Box, Layout, layout

Graph = tuple[dict[str, tuple[str, ...]], list[tuple[str, str]]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 14))
    names = [f"s{i}" for i in range(count)]
    lines = st.lists(st.text("ab", max_size=12), min_size=1, max_size=3).map(tuple)
    possible = [(names[i], names[j]) for j in range(count) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(possible), unique=True, max_size=2 * count)) if possible else []
    return {name: draw(lines) for name in names}, edges


def cells(points: tuple[tuple[int, int], ...]) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return the cells that a wire passes horizontally, and vertically; corners are in both."""
    flat: set[tuple[int, int]] = set()
    upright: set[tuple[int, int]] = set()
    for (x1, y1), (x2, y2) in pairwise(points):
        assert x1 == x2 or y1 == y2, "wires go along the grid"
        for x in range(min(x1, x2), max(x1, x2) + 1):
            for y in range(min(y1, y2), max(y1, y2) + 1):
                (flat if y1 == y2 else upright).add((x, y))
    return flat, upright


def inside(box: Box) -> set[tuple[int, int]]:
    return {(box.left + x, box.top + y) for x in range(box.width) for y in range(box.height)}


def check(found: Layout, nodes: dict[str, tuple[str, ...]], edges: list[tuple[str, str]]) -> None:
    boxes = {box.name: box for box in found.boxes}
    assert set(boxes) == set(nodes)
    covered: dict[tuple[int, int], str] = {}
    for name, box in boxes.items():
        assert 0 <= box.left < box.left + box.width <= found.width
        assert 0 <= box.top < box.top + box.height <= found.height
        assert all(len(line) <= box.width - 4 for line in box.lines)
        for cell in inside(box):
            assert cell not in covered, f"{name} lies on {covered[cell]}"
            covered[cell] = name

    assert sorted((wire.source, wire.target) for wire in found.wires) == sorted(edges)
    flats: dict[tuple[int, int], str] = {}
    uprights: dict[tuple[int, int], str] = {}
    for wire in found.wires:
        source, target = boxes[wire.source], boxes[wire.target]
        (x1, y1), (x2, y2) = wire.points[0], wire.points[-1]
        assert y1 == source.top + source.height - 1
        assert source.left < x1 < source.left + source.width - 1
        assert y2 == target.top
        assert target.left < x2 < target.left + target.width - 1
        flat, upright = cells(wire.points)
        for cell in (flat | upright) - {wire.points[0], wire.points[-1]}:
            assert cell not in covered, f"{wire.source} → {wire.target} runs through {covered[cell]}"
            assert cell[0] >= 0
            assert cell[0] < found.width
        for cell in flat:
            assert flats.setdefault(cell, wire.source) == wire.source
        for cell in upright:
            assert uprights.setdefault(cell, wire.source) == wire.source


@given(graphs())
@settings(max_examples=300, deadline=None)
def test_boxes_are_apart_and_every_edge_is_drawn(graph: Graph) -> None:
    nodes, edges = graph
    check(layout(nodes, edges), nodes, edges)


def test_corners_touch_no_other_wire() -> None:
    nodes = {name: (name,) for name in "abcdef"}
    edges = [(one, other) for one in "abc" for other in "def"]
    check(layout(nodes, edges), nodes, edges)


def test_a_chain_is_straight() -> None:
    nodes = {f"s{i}": ("x" * i,) for i in range(50)}
    edges = list(pairwise(nodes))

    found = layout(nodes, edges)

    check(found, nodes, edges)
    assert all(len({x for x, _ in wire.points}) == 1 for wire in found.wires)
    assert found.width <= 49 + 10


@pytest.mark.parametrize("count", [3, 10, 48])
def test_fans_are_symmetrical(count: int) -> None:
    middle = [f"m{i}" for i in range(count)]
    nodes = {name: (name,) for name in ["first", *middle, "last"]}
    edges = [("first", name) for name in middle] + [(name, "last") for name in middle]

    found = layout(nodes, edges)

    check(found, nodes, edges)
    boxes = {box.name: box.left + box.width // 2 for box in found.boxes}
    assert abs(boxes["first"] - boxes["last"]) <= 2
    # names have one digit or two, so the middle one isn't quite in the middle
    assert abs(boxes["first"] - (boxes["m0"] + boxes[middle[-1]]) / 2) <= 10


def test_nothing_is_laid_out_as_nothing() -> None:
    assert layout({}, []) == Layout((), (), 0, 0)
