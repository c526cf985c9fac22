"""Snapshots in the kernel: what must be caught at the moment is caught here, all else is put together by the worker.

The commit, what differs from it, and the environment with its threads and seeds are of the moment; cells, data and models
are in the session's file, which the worker reads once the cell's last line is in it (`journal.attaching`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from nbops.snapshot import settings
from nbops.tracking.journal.entries import Snapshot
from nbops.tracking.moment import moment

if TYPE_CHECKING:
    from nbops.tracking.journal.outbox import Outbox

_LONGEST_WAIT = 0.5


class Snapshots:
    """Journals snapshots of a kernel's runs: of those that cells ask for shortly one after the other only the last.

    Parameters
    ----------
    outbox
        Takes them.
    """

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._last: dict[str, int] = {}
        self._since: dict[str, float] = {}
        self._seeds: dict[int, dict[str, str]] = {}

    def ask(self, runs: Iterable[tuple[str, bool]], seq: int) -> None:
        """Tell that the cell executed as number `seq` logged to these runs; `journal` follows later.

        The seeds in force are caught now: the cells that run until then may draw random numbers.
        """
        self._seeds[seq] = settings.seeds()
        for run_id, _ in runs:
            self._last[run_id] = seq
            self._since.setdefault(run_id, time.monotonic())

    def journal(self, runs: Iterable[tuple[str, bool]], seq: int, uri: str | None) -> None:
        """Journal the moment of those runs (each with whether it's open) that no later cell has asked for."""
        now = time.monotonic()
        seeds = self._seeds.pop(seq, None)
        due = [
            run for run in runs if self._last.get(run[0]) == seq or now - self._since.get(run[0], now) > _LONGEST_WAIT
        ]
        if not due:
            return
        caught = self._outbox.spool.put(msgspec.json.encode(moment(self._outbox.project, seeds=seeds)))
        for run_id, is_open in due:
            self._since.pop(run_id, None)
            self._outbox.write(Snapshot(run_id, self._outbox.journal.session, seq, caught, is_open, uri))
