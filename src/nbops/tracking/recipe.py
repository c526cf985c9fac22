"""Recipes: the executed statements that a result needs, in executed order.

Each executed statement was recorded with the statements whose effects it saw (`records.Step.needs`). A recipe is what can be
reached from the cells of a run along these edges; the run's own cells are kept whole. Where a cell's steps aren't known
(a killed cell, an older format) it's kept whole, with everything before it: more rather than less.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from nbops.notebook.normalise import digest
from nbops.tracking.records import Cell, SessionLog, Step

_At = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """What a recipe keeps of one execution of a cell.

    Attributes
    ----------
    seq
        The execution's number in its session.
    cell_id
        The notebook's cell, None where the front end didn't tell.
    source
        The kept statements with their magics and comments, ready to be executed.
    whole
        Whether nothing of the cell was left out.
    target
        Whether the run was made here.
    failed
        Whether a kept statement raised an exception, and has to do so again.
    """

    seq: int
    cell_id: str | None
    source: str
    whole: bool
    target: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Recipe:
    """Pieces of a session's cells, in executed order."""

    session: str
    notebook: str | None
    pieces: tuple[Piece, ...]

    @property
    def digest(self) -> str:
        """Hex SHA-256 over the pieces' normalised code."""
        return digest(piece.source for piece in self.pieces)


def recipe_of(log: SessionLog, targets: Collection[int]) -> Recipe:
    """Return the recipe of the cells executed as numbers `targets`."""
    cells = {cell.start.seq: cell for cell in log.cells}
    kept = _reached(cells, targets)
    pieces = (_piece(cells[seq], kept[seq], seq in targets) for seq in sorted(kept))
    return Recipe(log.session.session, log.session.notebook, tuple(piece for piece in pieces if piece.source.strip()))


def history_of(log: SessionLog, targets: Collection[int]) -> Recipe:
    """Return all that was executed up to the last of `targets`."""
    last = max(targets, default=0)
    pieces = tuple(
        Piece(cell.start.seq, cell.start.cell_id, cell.start.source, True, cell.start.seq in targets, _failed(cell))
        for cell in log.cells
        if cell.start.seq <= last
    )
    return Recipe(log.session.session, log.session.notebook, pieces)


def cells_of_run(log: SessionLog, run_id: str) -> list[int]:
    """Return the numbers of the cells that started a run or logged to it."""
    return [cell.start.seq for cell in log.cells if cell.end and run_id in cell.end.runs]


def _reached(cells: dict[int, Cell], targets: Collection[int]) -> dict[int, set[int] | None]:
    """Return the indices of the kept steps by cell; None stands for a whole cell."""
    kept: dict[int, set[int] | None] = {seq: None for seq in targets if seq in cells}
    waiting = [need for seq in kept for need in _needs_of_whole(cells, seq)]
    waiting += [at for at, step in _steps(cells) if step.lasting and at[0] < max(kept, default=0)]
    while waiting:
        seq, index = waiting.pop()
        if seq not in cells or (seq in kept and ((chosen := kept[seq]) is None or index in chosen)):
            continue
        end = cells[seq].end
        if end is None or not end.steps:
            kept[seq] = None
            waiting += _needs_of_whole(cells, seq)
            continue
        chosen = kept.setdefault(seq, set())
        assert chosen is not None, "a whole cell has all its steps"
        chosen.add(index)
        waiting += end.steps[index].needs
    return kept


def _needs_of_whole(cells: dict[int, Cell], seq: int) -> list[_At]:
    end = cells[seq].end
    if end is not None and end.steps:
        return [need for step in end.steps for need in step.needs]
    if end is not None and not cells[seq].start.source.strip():
        return []
    return [(before, 0) for before in cells if before < seq] + [at for at, _ in _steps(cells) if at[0] < seq]


def _steps(cells: dict[int, Cell]) -> Iterator[tuple[_At, Step]]:
    for seq, cell in cells.items():
        for index, step in enumerate(cell.end.steps if cell.end else ()):
            yield (seq, index), step


def _piece(cell: Cell, kept: set[int] | None, target: bool) -> Piece:
    start, end = cell.start, cell.end
    steps = end.steps if end else []
    if kept is None or len(kept) == len(steps):
        return Piece(start.seq, start.cell_id, start.source, True, target, _failed(cell))
    lines = start.source.split("\n")
    spans = sorted((steps[index].first, steps[index].last) for index in kept)
    text = "\n".join("\n".join(lines[first - 1 : last]) for first, last in spans)
    return Piece(start.seq, start.cell_id, text, False, target, any(steps[index].failed for index in kept))


def _failed(cell: Cell) -> bool:
    return cell.end is None or cell.end.outcome == "error"
