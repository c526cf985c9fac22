"""What a run was made from: the cells of its recipe, of its history, and what is known around them.

The run's own artifacts come first, because they are there in every clone and on every machine: ``nbops/recipe.json``
holds the recipe, ``nbops/snapshot.json`` the executed cells, ``nbops/executed.ipynb`` a pipeline stage's whole
notebook. The session's file, where it lies in this project, adds what only it knows: outcomes, outputs, and files
read and written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbops.errors import TrackingError
from nbops.notebook import document
from nbops.tracking.recipe import Piece, Recipe, cells_of_run, history_of, recipe_of
from nbops.tracking.recording.records import Cell, SessionLog, read, read_session
from nbops.tracking.schema import RunDetail
from nbops.tracking.store import Store

RECIPE_ARTIFACT = "nbops/recipe.json"
EXECUTED_ARTIFACT = "nbops/executed.ipynb"
RECIPE_FORMAT = 1
_PIPELINE_TAG = "nbops.stages"


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a run.

    Attributes
    ----------
    run
        The run.
    recipe, history
        What its result needs, and all that was executed up to it.
    targets
        Numbers of the executed cells that made it.
    log
        Its session, None where the file isn't in this project.
    rank
        How many runs its first cell had made before it.
    """

    run: RunDetail
    recipe: Recipe
    history: Recipe
    targets: tuple[int, ...] = ()
    log: SessionLog | None = None
    rank: int = 0
    cells: Mapping[int, Cell] = field(default_factory=dict)

    @property
    def notebook(self) -> str | None:
        """The notebook's path relative to the project, None where it isn't known."""
        return self.run.summary.notebook or self.recipe.notebook

    @property
    def folder(self) -> str | None:
        """The folder that its kernel worked in, relative to the project; None where that isn't known, or outside of it."""
        recorded = self.log.session.folder if self.log else None
        if recorded is not None and not self.stage and not Path(recorded).is_absolute():
            return recorded
        if self.notebook and not Path(self.notebook).is_absolute():
            return Path(self.notebook).parent.as_posix()
        return None

    @property
    def stage(self) -> bool:
        """Whether the run is a pipeline stage's, so that the whole notebook made it."""
        return self.run.summary.stage is not None


def origin_of(store: Store, ref: str) -> Origin:
    """Return what made a run.

    Raises
    ------
    TrackingError
        If there is no such run, or nothing is known of how it was made.
    """
    run = store.run(ref)
    if _PIPELINE_TAG in run.tags:
        raise TrackingError(
            "a pipeline's run is made of its stages' runs",
            where=f"run {run.summary.run_id[:8]}",
            remedy="give the run of a stage: `nbops runs` lists them below it",
        )
    log = _session_log(store, run)
    targets = _targets(log, run) if log else []
    if log and targets:
        whole = run.summary.stage is not None
        history = history_of(log, targets)
        recipe = history if whole else _kept_recipe(store, run) or recipe_of(log, targets)
        cells = {cell.start.seq: cell for cell in log.cells}
        return Origin(run, recipe, history, tuple(targets), log, _rank(cells, targets, _ids(run)), cells)
    history = _kept_history(store, run)
    recipe = _kept_recipe(store, run) or history
    if not recipe.pieces:
        raise TrackingError(
            "nothing is known of how it was made",
            where=f"run {run.summary.run_id[:8]}",
            remedy="only runs that a recorded notebook made (`%load_ext nbops`) can be lived again",
        )
    marked = tuple(piece.seq for piece in recipe.pieces if piece.target) or (recipe.pieces[-1].seq,)
    return Origin(run, recipe, history, marked)


def decode_recipe(content: Mapping[str, Any], where: str = RECIPE_ARTIFACT) -> Recipe:
    """Return the recipe that a run's ``nbops/recipe.json`` holds.

    Raises
    ------
    TrackingError
        If a newer nbops wrote it, or it isn't a recipe.
    """
    number = content.get("format", RECIPE_FORMAT)
    if not isinstance(number, int) or number > RECIPE_FORMAT:
        raise TrackingError(
            f"written by a newer nbops (format {number}, this one reads {RECIPE_FORMAT})",
            where=where,
            remedy="upgrade nbops",
        )
    try:
        pieces = tuple(
            Piece(
                int(piece["seq"]),
                piece.get("cell_id"),
                str(piece["source"]),
                bool(piece.get("whole", True)),
                bool(piece.get("target")),
                bool(piece.get("failed")),
                piece.get("shown"),
            )
            for piece in content["pieces"]
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrackingError(f"not a recipe: {error!r}", where=where) from error
    return Recipe(str(content.get("session") or ""), content.get("notebook"), pieces)


def _session_log(store: Store, run: RunDetail) -> SessionLog | None:
    sessions = store.project.sessions
    named = run.tags.get("nbops.session")
    if named:
        path = sessions / f"{named}.jsonl"
        return read(path) if path.is_file() else None
    ids = _ids(run)
    for path in sorted(sessions.glob("*.jsonl"), reverse=True):  # a stage's run: its kernel's session names it
        session = read_session(path)
        if session and session.run_id in ids:
            return read(path)
    return None


def _ids(run: RunDetail) -> set[str]:
    return {run.summary.run_id, run.tags.get("nbops.id", run.summary.run_id)}


def _targets(log: SessionLog, run: RunDetail) -> list[int]:
    if run.summary.stage is not None and "nbops.session" not in run.tags:
        return [cell.start.seq for cell in log.cells]
    found = {seq for one in _ids(run) for seq in cells_of_run(log, one)}
    seq = run.tags.get("nbops.seq", "")
    known = {cell.start.seq for cell in log.cells}
    if seq.isdigit() and int(seq) in known:  # the cell that started it, also when it never came to its end
        found.add(int(seq))
    return sorted(found)


def _rank(cells: Mapping[int, Cell], targets: Sequence[int], ids: set[str]) -> int:
    end = cells[targets[0]].end if targets else None
    runs = end.runs if end else []
    return next((position for position, one in enumerate(runs) if one in ids), 0)


def _kept_recipe(store: Store, run: RunDetail) -> Recipe | None:
    if RECIPE_ARTIFACT not in run.artifacts:
        return None
    recipe = decode_recipe(store.read_json(run.summary.run_id, RECIPE_ARTIFACT))
    return recipe if recipe.pieces else None


def _kept_history(store: Store, run: RunDetail) -> Recipe:
    """Return what was executed as the run's artifacts tell it; how cells ended isn't in them."""
    session = run.tags.get("nbops.session", "")
    if EXECUTED_ARTIFACT in run.artifacts and "nbops.session" not in run.tags:
        with TemporaryDirectory(prefix="nbops-") as folder:
            executed = document.read(store.download(run.summary.run_id, EXECUTED_ARTIFACT, Path(folder)))
        cells = [(cell.id, cell.source) for cell in executed.code_cells if cell.source.strip()]
        pieces = [Piece(seq, cell_id, source, True, True) for seq, (cell_id, source) in enumerate(cells, 1)]
        return Recipe(session, run.summary.notebook, tuple(pieces))
    kept = run.snapshot.get("code", {}).get("cells", [])
    pieces = [
        Piece(seq, cell.get("cell_id"), cell["source"], True, seq == len(kept)) for seq, cell in enumerate(kept, 1)
    ]
    return Recipe(session, run.summary.notebook, tuple(piece for piece in pieces if piece.source.strip()))
