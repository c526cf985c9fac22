"""Cells of two runs: which is which, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from nbops.tracking.comparison.code import code_changes


def snapshot(*cells: tuple[str | None, str]) -> dict[str, object]:
    return {"code": {"cells": [{"cell_id": cell_id, "source": source} for cell_id, source in cells]}}


def told(before: Sequence[tuple[str | None, str]], after: Sequence[tuple[str | None, str]]) -> list[tuple[object, ...]]:
    return [(c.kind, c.before, c.after) for c in code_changes(snapshot(*before), snapshot(*after))]


A, B, C = ("a", "x = 1"), ("b", "y = x + 1"), ("c", "print(y)")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([A, B, C], [A, B, C], [("same", 1, 1), ("same", 2, 2), ("same", 3, 3)]),
        ([A, B], [A, ("b", "y = x + 2")], [("same", 1, 1), ("edited", 2, 2)]),
        ([A, B], [A, ("b", "y = x+1  # more")], [("same", 1, 1), ("reformatted", 2, 2)]),
        ([A, B, C], [A, C], [("same", 1, 1), ("removed", 2, None), ("same", 3, 2)]),
        ([A, C], [A, B, C], [("same", 1, 1), ("added", None, 2), ("same", 2, 3)]),
        ([A, B, C], [C, A, B], [("moved", 3, 1), ("same", 1, 2), ("same", 2, 3)]),
        ([A, B, C], [("c", "print(y, y)"), A, B], [("moved and edited", 3, 1), ("same", 1, 2), ("same", 2, 3)]),
        # without ids: by equal code, then by likeness
        ([(None, "x = 1"), (None, "model.fit(X, y)")], [(None, "model.fit(X, y, w)"), (None, "x = 1")], None),
        # a notebook that was copied has new ids
        ([A, B], [("n", "x = 1"), ("m", "y = x + 1")], [("same", 1, 1), ("same", 2, 2)]),
        # executed twice: the last execution is the last one
        ([A, A, B], [A, B], [("removed", 1, None), ("same", 2, 1), ("same", 3, 2)]),
        ([], [A], [("added", None, 1)]),
        ([("a", "  \n")], [], []),
        ([("a", "%%bash\nls"), B], [("a", "%%bash\nls -l"), B], [("edited", 1, 1), ("same", 2, 2)]),
    ],
)
def test_what_became_of_each_cell(
    before: list[tuple[str | None, str]], after: list[tuple[str | None, str]], expected: list[tuple[object, ...]] | None
) -> None:
    found = told(before, after)
    if expected is None:
        assert sorted(kind for kind, *_ in found) == ["moved and edited", "same"]
    else:
        assert found == expected


def test_the_lines_that_differ() -> None:
    (change,) = code_changes(snapshot(("a", "x = 1\ny = 2")), snapshot(("a", "x = 1\ny = 3")))
    assert change.diff.split("\n")[1:] == [" x = 1", "-y = 2", "+y = 3"]
    assert change.cell_id == "a"


def test_a_snapshot_without_cells_or_of_another_kind_has_none() -> None:
    assert code_changes({}, {"code": None}) == []


def test_a_long_session_is_compared_in_seconds() -> None:
    before = [(f"c{i}", f"value_{i} = {i}") for i in range(5000)]
    after = [(None, f"other_{i} = {i} * 2") for i in range(5000)]
    began = time.monotonic()
    assert len(told(before, [*before[100:], *before[:100]])) == 5000
    assert len(told(before, after)) == 10_000
    assert time.monotonic() - began < 15
