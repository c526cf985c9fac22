"""Which run a replay made again, and that it ends as it should.

A recipe may make several runs, and one cell of it too: the run again is the one that the same cell made at the same
place in its order.
"""

from __future__ import annotations

from collections.abc import Mapping

from nbops.tracking.recording.records import Cell
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.reproduction.origin import Origin
from nbops.tracking.reproduction.replay import Replayed, probed
from nbops.tracking.snapshots import attach
from nbops.tracking.store import Store


def kept_trace(store: Store, replayed: Replayed, stage_run: str | None, origin: Origin) -> None:
    """Bring what a replay logged to its end: a stage's run gets its metrics and versions, and no run stays RUNNING."""
    if stage_run:
        metrics = {
            name: value for name, value in probed(replayed.executed).items() if name in origin.run.summary.metrics
        }
        store.log(stage_run, metrics=metrics)
        if replayed.log:
            attach(store, stage_run, session=replayed.session)
        store.end_run(stage_run, "FINISHED" if replayed.finished else "FAILED")
    close_dead(store)


def made_run(store: Store, origin: Origin, cells: Mapping[int, Cell], session: str) -> str | None:
    """Return the id of the run that a replay made in the place of the original one; None if it made none there."""
    targets = [at for at, piece in enumerate(origin.recipe.pieces, 1) if piece.target] or [len(origin.recipe.pieces)]
    for at in targets:
        cell = cells.get(at)
        if cell is None:
            continue
        found = store.runs(where=f"tags.`nbops.session` = '{session}' and tags.`nbops.seq` = '{cell.start.seq}'")
        made = sorted(found, key=lambda run: run.started)
        alike = [run for run in made if (run.parent is None) == (origin.run.summary.parent is None)] or made
        if not alike:
            continue
        ids = [run.run_id for run in alike]
        ranked = [run for run in (cell.end.runs if cell.end else []) if run in ids] or ids
        if origin.rank < len(ranked) and len(ranked) > 1:
            return ranked[origin.rank]
        return next((run.run_id for run in alike if run.name == origin.run.summary.name), ranked[0])
    return None
