"""Snapshots of the runs that cells made, attached when the cell, or the run that outlived it, has ended.

A run that its cell left open is looked at again after each cell: what later cells logged to it belongs to its snapshot too.
The work is done by the background thread.
"""

from __future__ import annotations

from nbops.tracking.background import Background
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

    def made(self, seq: int) -> list[str]:
        """Return the runs that the cell executed as number `seq` started, oldest first."""
        found = self._store.runs(where=f"tags.`nbops.session` = '{self._session}' and tags.`nbops.seq` = '{seq}'")
        self._open |= {run.run_id: seq for run in found if run.status == "RUNNING"}
        return [run.run_id for run in reversed(found)]

    def attach(self, run_id: str, first: int, last: int) -> None:
        """Attach the snapshot of a run that was made by cells `first` to `last`."""
        self._background.add(lambda: self._attach(run_id, first, last))

    def attach_ended(self, seq: int) -> None:
        """Attach snapshots again to runs that were left open by their cell, now that they have ended."""
        if self._open:
            import mlflow

            if mlflow.active_run() is None:
                ended, self._open = self._open, {}
                for run_id, first in ended.items():
                    if first < seq:
                        self.attach(run_id, first, seq)

    def close(self, seq: int) -> None:
        """Attach snapshots to what is still open at the session's end."""
        for run_id, first in self._open.items():
            self.attach(run_id, first, seq)

    def _attach(self, run_id: str, first: int, last: int) -> None:
        from nbops.tracking import snapshots

        snapshots.attach(self._store, run_id, session=self._session, first=first, last=last)
