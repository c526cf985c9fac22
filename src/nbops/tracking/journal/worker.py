"""The worker: ``python -m nbops.tracking.journal.worker PROJECT SESSION`` replays one journal until its kernel is gone.

It reads on as the journal grows, replays in batches, and marks how far it got. While the store can't be reached it tries
again, ever more slowly, for as long as the kernel lives and a while beyond; whoever settles the project later goes on from
there. When the kernel is gone and everything is in the store, the journal is removed.
"""

from __future__ import annotations

import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from nbops.project import Project
from nbops.tracking.failures import guarded, log_failure
from nbops.tracking.journal import settling
from nbops.tracking.journal.file import Journal, is_alive
from nbops.tracking.mirrors import mirroring
from nbops.tracking.priority import give_way

if TYPE_CHECKING:
    from nbops.tracking.journal.replay import Replay

_QUICK = 0.01
_SLOW = 0.2
_LOOK_AT_KERNEL = 0.5
_BATCH = 5000
_LONGEST_PAUSE = 30.0
_AFTER_THE_KERNEL = 60.0
_WARM_AFTER = 0.3
_TIDY_EVERY = 120.0
_MIRROR_EVERY = 30.0


def main(root: str, session: str) -> None:
    """Replay a session's journal."""
    settling.never_here()
    give_way()
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    project = Project.find(Path(root))
    journal = Journal(project, session)
    descriptor = journal.hold()
    if descriptor is None:
        return
    _Worker(project, journal).run()
    os.close(descriptor)


class _Worker:
    def __init__(self, project: Project, journal: Journal) -> None:
        self.project = project
        self.journal = journal
        self.offset = journal.replayed()
        self._replay: Replay | None = None
        self._looked = 0.0
        self._tidied = time.monotonic()
        self._mirrored = time.monotonic()
        self._alive = True
        self._parent = os.getppid()
        self._gone_since: float | None = None

    def run(self) -> None:
        pause, began = _QUICK, time.monotonic()
        while True:
            moved = self._step()
            if moved:
                pause = _QUICK
                continue
            if moved is not None and not self._kernel_lives() and self.offset >= self.journal.size():
                self.journal.remove()
                guarded(self.project, lambda: mirroring.start(self.project))
                return
            if self._replay and time.monotonic() - self._mirrored > _MIRROR_EVERY:
                self._mirrored = time.monotonic()
                guarded(self.project, lambda: mirroring.start(self.project))
            if moved is None and self._gave_up():
                return
            if self._replay is None and time.monotonic() - began > _WARM_AFTER:
                guarded(self.project, self._replay_now().warm_up)
                continue
            self._tidy()
            pause = min(pause * 1.2, _SLOW)
            time.sleep(pause)

    def _step(self) -> bool | None:
        """Replay what there is; return whether there was anything, None when the store doesn't take it now."""
        entries = list(islice(self.journal.read(self.offset), _BATCH))
        if not entries:
            return False
        if self.offset and self._replay is None:
            self._replay_now().resume(self.journal.read(0), self.offset)
        pause = 0.5
        while True:
            try:
                for offset in self._replay_now()(entries):
                    self.offset = offset
                    self.journal.mark(offset)
                return True
            except Exception:  # noqa: BLE001  # the store is away, or full: whatever it says, nothing is given up
                log_failure(self.project)
                if self._gave_up():
                    return None
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
                entries = [pair for pair in entries if pair[0] > self.offset]

    def _tidy(self) -> None:
        now = time.monotonic()
        if now - self._tidied > _TIDY_EVERY and self.offset >= self.journal.size():
            self._tidied = now
            self.journal.tidy(_TIDY_EVERY)

    def _replay_now(self) -> Replay:
        if self._replay is None:
            import logging

            from nbops.tracking.journal.real import Real
            from nbops.tracking.journal.replay import Replay

            logging.getLogger("mlflow").setLevel(logging.ERROR)
            self._replay = Replay(Real(self.project, self.journal))
        return self._replay

    def _kernel_lives(self) -> bool:
        if self._replay is not None and self._replay.closed:
            return False
        now = time.monotonic()
        if self._alive and now - self._looked > _LOOK_AT_KERNEL:
            self._looked = now
            head = self.journal.head()
            # without a first line the journal is about to be begun, by a kernel that is waited for
            self._alive = is_alive(head) if head else os.getppid() == self._parent
        return self._alive

    def _gave_up(self) -> bool:
        """Whether the kernel is gone for so long that the next command may go on instead."""
        if self._kernel_lives():
            return False
        self._gone_since = self._gone_since or time.monotonic()
        return time.monotonic() - self._gone_since > _AFTER_THE_KERNEL


if __name__ == "__main__":
    main(*sys.argv[1:])
