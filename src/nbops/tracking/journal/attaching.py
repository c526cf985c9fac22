"""Snapshots in the worker: attached to their runs, of what the kernel caught and what the session's file says."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from nbops.tracking.journal.entries import Snapshot
from nbops.tracking.journal.file import is_alive
from nbops.tracking.journal.real import Real

_PATIENCE = 10.0
_LOOK = 0.02


class SnapshotReplay:
    """Attaches snapshots to runs in the real store.

    Parameters
    ----------
    real
        The store.
    """

    def __init__(self, real: Real) -> None:
        self._real = real

    def attach(self, entry: Snapshot) -> None:
        """Attach a run's five versions."""
        from nbops.tracking import snapshots

        if entry.uri is not None:  # in a store of the user's own, nbops attaches nothing
            return
        self._wait_for(entry)
        snapshots.attach(
            self._real.store,
            self._real.run_id(entry.run_id),
            session=entry.session,
            known_as=entry.run_id,
            seq=entry.seq,
            caught=self._caught(entry.moment),
            with_params=not entry.open,
        )

    def _caught(self, name: str | None) -> dict[str, Any] | None:
        path = self._real.journal.spool / name if name else None
        if path is None or not path.exists():
            return None
        return dict(msgspec.json.decode(path.read_bytes()))

    def _wait_for(self, entry: Snapshot) -> None:
        """Return when the cell's end is on disk, or nobody is left to write it."""
        from nbops.tracking.recording.records import read

        path = self._real.project.sessions / f"{entry.session}.jsonl"
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            cell = next((cell for cell in read(path).cells if cell.start.seq == entry.seq), None)
            if cell is not None and cell.end is not None:
                return
            head = self._real.journal.head()
            if head is None or not is_alive(head):
                return
            time.sleep(_LOOK)
