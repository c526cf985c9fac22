"""The last run of a kernel or a notebook, and the one to hold it against.

In a recorded kernel it's the kernel's own newest run; its predecessor is the newest one before it of the same
notebook, or of the same session where the notebook isn't known. Runs that belong to another run (trials, stages) and
reproductions are passed over.
"""

from __future__ import annotations

from nbops.errors import TrackingError
from nbops.tracking.recording import recorder
from nbops.tracking.reproduction.replay import is_reproduction
from nbops.tracking.schema import RunSummary
from nbops.tracking.store import Store

_LOOKED_AT = 200


def latest(store: Store, notebook: str | None = None) -> tuple[RunSummary, RunSummary | None]:
    """Return the last run and the one before it.

    Parameters
    ----------
    store
        Where runs are.
    notebook
        Path relative to the project's root; by default this kernel's, or any.

    Raises
    ------
    TrackingError
        If there is no run yet.
    """
    active = recorder.current()
    where = ""
    if notebook is not None:
        where = f"tags.`nbops.notebook` = '{notebook}'"
    elif active is not None and active.project.root == store.project.root:
        notebook = active.notebook
        where = f"tags.`nbops.session` = '{active.session}'"
    found = [run for run in store.runs(limit=_LOOKED_AT, where=where) if _counts(run)]
    if not found:
        raise TrackingError(
            "no run yet", where=notebook or "", remedy="train something, or `%%nbops run NAME` at a cell's top"
        )
    run = found[0]
    same = found[1:]
    name = run.notebook
    if name is not None and "'" not in name:
        same = [one for one in store.runs(limit=_LOOKED_AT, where=f"tags.`nbops.notebook` = '{name}'") if _counts(one)]
    before = [one for one in same if one.run_id != run.run_id and one.started <= run.started]
    alike = [one for one in before if one.stage == run.stage]
    return run, next(iter(alike or before), None)


def _counts(run: RunSummary) -> bool:
    return (run.parent is None or run.stage is not None) and not is_reproduction(run.notebook)
