"""Hard notebooks: nothing that the last cell needs is left out, and executing the recipe gives the same value."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nbops.tracking.recording.records import SessionLog

from .notebooks import Case, Failures, cases, executed, of_last, replayed
from .programs import plain

CASES = cases(Path(__file__).with_name("corpus.txt"))
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
kept_beyond: dict[str, int] = {}


def _kept_lines(log: SessionLog) -> list[set[int]]:
    """Return the lines of each cell that the last one leads back to."""
    target = log.cells[-1].start.seq
    cells = {cell.start.seq: cell for cell in log.cells}
    waiting = [(target, index) for index in range(len(cells[target].end.steps))]
    waiting += [
        (seq, i)
        for seq, cell in cells.items()
        for i, step in enumerate(cell.end.steps)
        if step.lasting and seq < target
    ]
    found: dict[int, set[int]] = {seq: set() for seq in cells}
    done = set()
    while waiting:
        at = waiting.pop()
        if at not in done:
            done.add(at)
            step = cells[at[0]].end.steps[at[1]]
            found[at[0]] |= set(range(step.first, step.last + 1))
            waiting += step.needs
    return list(found.values())


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_hard_notebook(case: Case, tmp_path: Path) -> None:
    failures = Failures()
    log, namespace = executed(case.cells, tmp_path / "history", failures)
    again = replayed(of_last(log), tmp_path / "recipe")
    assert not failures, failures[0]
    kept = _kept_lines(log)
    missed = {cell: needed - lines for cell, (needed, lines) in enumerate(zip(case.needed, kept, strict=True), 1)}
    assert not any(missed.values()), missed
    assert plain(again["result"]) == plain(namespace["result"])
    kept_beyond[case.name] = sum(len(lines - needed) for needed, lines in zip(case.needed, kept, strict=True))


def test_over_inclusion_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    too_many = {name: count for name, count in kept_beyond.items() if count}
    with capsys.disabled():
        sys.stdout.write(
            f"\nrecipes: {len(kept_beyond)} notebooks, 0 missed, {sum(too_many.values())} lines too many\n"
        )
    assert len(CASES) >= 40
    assert sum(too_many.values()) <= 5, too_many
