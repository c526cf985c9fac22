"""Recipes: the executed statements that a result needs, in executed order.

Each executed statement was recorded with the statements whose effects it saw (`records.Step.needs`). A recipe is what can be
reached from the cells of a run along these edges; the run's own cells are kept whole. Where a cell's steps aren't known
(a killed cell, an older format) it's kept whole, with everything before it: more rather than less.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from nbops.notebook.normalise import digest
from nbops.tracking.flow.statements import spans
from nbops.tracking.recording.records import Cell, SessionLog, Step

_At = tuple[int, int]
_SHOWN = re.compile(r"(?<![\w.])(?:_\d+|_{1,3}|Out|_oh)(?!\w)")
_OURS = re.compile(r"\s*%(?:(?:re|un)?load_ext\s+nbops|nbops)\b")


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
    shown
        The number of what it showed, where a later statement asks for that by number (``Out[5]``, ``_5``).
    """

    seq: int
    cell_id: str | None
    source: str
    whole: bool
    target: bool = False
    failed: bool = False
    shown: int | None = None


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
    asked = _asked((cells[seq], kept[seq]) for seq in kept)
    pieces = (_piece(cells[seq], kept[seq], seq in targets, asked) for seq in sorted(kept))
    return Recipe(log.session.session, log.session.notebook, tuple(piece for piece in pieces if piece.source.strip()))


def history_of(log: SessionLog, targets: Collection[int]) -> Recipe:
    """Return all that was executed up to the last of `targets`."""
    last = max(targets, default=0)
    executed = [cell for cell in log.cells if cell.start.seq <= last]
    asked = _asked((cell, None) for cell in executed)
    pieces = tuple(
        Piece(
            cell.start.seq,
            cell.start.cell_id,
            cell.start.source,
            True,
            cell.start.seq in targets,
            _failed(cell),
            _number(cell, asked),
        )
        for cell in executed
    )
    return Recipe(log.session.session, log.session.notebook, pieces)


def cells_of_run(log: SessionLog, run_id: str) -> list[int]:
    """Return the numbers of the cells that started a run or logged to it."""
    return [cell.start.seq for cell in log.cells if cell.end and run_id in cell.end.runs]


def params_of(log: SessionLog, recipe: Recipe) -> dict[str, bool | int | float | str | None]:
    """Return the variables that a recipe reads and that one of its statements bound to a plain value.

    Of a variable bound more than once the value counts that was read last.
    """
    cells = {cell.start.seq: cell for cell in log.cells}
    kept = _reached(cells, [piece.seq for piece in recipe.pieces if piece.target])
    bound: dict[str, dict[_At, bool | int | float | str | None]] = {}
    found: dict[str, bool | int | float | str | None] = {}
    for (seq, index), step in _steps(cells):
        if seq not in kept or ((chosen := kept[seq]) is not None and index not in chosen):
            continue
        for name in step.names:
            for at in step.needs:
                if at in bound.get(name, {}):
                    found[name] = bound[name][at]
        for name, value in step.values.items():
            bound.setdefault(name, {})[seq, index] = value
    return found


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


def _piece(cell: Cell, kept: set[int] | None, target: bool, asked: Collection[str]) -> Piece:
    start, end = cell.start, cell.end
    steps = end.steps if end else []
    shown = _number(cell, asked)
    if kept is None or (steps and len(kept) == len(steps) and not _stopped(cell)):
        return Piece(start.seq, start.cell_id, _without_ours(start.source), True, target, _failed(cell), shown)
    lines = start.source.split("\n")
    known = spans(start.source, start.expanded)
    texts: list[str] = []
    until = 0
    for index in sorted(kept):
        step = steps[index]
        if step.last <= until and step.first == 1:  # statements whose lines aren't known are all of the cell
            continue
        until = step.last
        if index < len(known):
            texts.append(known[index].text(lines))
        else:
            texts.append("\n".join(lines[step.first - 1 : step.last]))
    source = _without_ours("\n".join(texts))
    if asked and max(kept) < len(steps) - 1 and not source.endswith(";"):
        source += ";"  # it wasn't the last, whose value is shown, and must not become what `_` is
    return Piece(start.seq, start.cell_id, source, False, target, any(steps[index].failed for index in kept), shown)


def _asked(kept: Iterable[tuple[Cell, set[int] | None]]) -> set[str]:
    """Return by which names the kept statements ask for what cells showed."""
    found: set[str] = set()
    for cell, chosen in kept:
        steps = cell.end.steps if cell.end else []
        for index, step in enumerate(steps):
            if chosen is None or index in chosen:
                found.update(name for name in step.names if _SHOWN.fullmatch(name))
        if not steps:
            found.update(_SHOWN.findall(cell.start.source))
    return found


def _number(cell: Cell, asked: Collection[str]) -> int | None:
    """Return the number of what a cell showed, where any is asked for by number."""
    numbered = any(name.strip("_") for name in asked)
    return cell.start.order if numbered and cell.end is not None and cell.end.result is not None else None


def _without_ours(source: str) -> str:
    """Leave out the lines that ask something of nbops: to a result they are nothing."""
    if "nbops" not in source or source.lstrip().startswith("%%"):
        return source
    return "\n".join(line for line in source.split("\n") if not _OURS.match(line))


def _stopped(cell: Cell) -> bool:
    """Whether a statement raised, so that those after it were never executed."""
    return bool(cell.end and cell.end.steps and cell.end.steps[-1].failed)


def _failed(cell: Cell) -> bool:
    return cell.end is None or cell.end.outcome == "error"
