"""Snapshots of the runs that cells made, attached when the cell, or the run that outlived it, has ended.

A run that its cell left open is looked at again after each cell: what later cells logged to it belongs to its snapshot too.
The work is done by the background thread.
"""

from __future__ import annotations

from nbops.tracking.background import Background
from nbops.tracking.cell import RunningCell
from nbops.tracking.store import Store


class Attachments:
    """Attaches snapshots to a session's runs.

    Parameters
    ----------
    store
        Where the runs are.
    session
        The session's id.
    background
        Where the work is done.
    """

    def __init__(self, store: Store, session: str, background: Background) -> None:
        self._store = store
        self._session = session
        self._background = background
        self._open: dict[str, int] = {}

    @property
    def any_open(self) -> bool:
        """Whether a run was left open by its cell."""
        return bool(self._open)

    def find(self, cell: RunningCell) -> None:
        """Find the runs that a cell started, oldest first."""
        where = f"tags.`nbops.session` = '{self._session}' and tags.`nbops.seq` = '{cell.seq}'"
        found = self._store.runs(where=where)
        self._open |= {run.run_id: cell.seq for run in found if run.status == "RUNNING"}
        for run in reversed(found):
            cell.runs.setdefault(run.run_id, None)

    def attach(self, run_id: str, seq: int) -> None:
        """Attach the snapshot of a run that the cell executed as number `seq` started or logged to."""
        self._background.add(lambda: self._attach(run_id, seq))

    def attach_ended(self, seq: int) -> None:
        """Attach snapshots again to runs that were left open by their cell, now that they have ended."""
        if self._open:
            import mlflow

            if mlflow.active_run() is None:
                ended, self._open = self._open, {}
                for run_id, first in ended.items():
                    if first < seq:
                        self.attach(run_id, first)

    def close(self, seq: int) -> None:
        """Attach snapshots to what is still open at the session's end."""
        for run_id, first in self._open.items():
            self.attach(run_id, first)

    def _attach(self, run_id: str, seq: int) -> None:
        from nbops.tracking import snapshots

        snapshots.attach(self._store, run_id, session=self._session, seq=seq)
