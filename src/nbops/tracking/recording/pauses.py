"""What stands in the record for the time that recording was off (`%nbops off`): that it was, nothing more.

Nobody saw what the code in the gap needed or changed. So in the dataflow the gap needs everything before it, and
everything after it needs the gap: a recipe that rests on it keeps the history, and says by a comment where something is
missing.
"""

from __future__ import annotations

import time

from nbops.tracking.recording.cell import UNRECORDED
from nbops.tracking.recording.records import End, Start, Step


class Pause:
    """The gaps of a session."""

    def __init__(self) -> None:
        self._steps: dict[int, int] = {}
        self._began = 0.0

    def note(self, seq: int, steps: int) -> None:
        """Note how many steps a cell had."""
        self._steps[seq] = steps

    def begin(self, seq: int) -> Start:
        """Return the line that says that recording was switched off."""
        self._began = time.perf_counter()
        return Start(seq, None, UNRECORDED, time.time(), hidden="off")

    def end(self, seq: int) -> End:
        """Return the line that says that recording was switched on again."""
        needs = [(before, index) for before, count in self._steps.items() for index in range(count)]
        self._steps[seq] = 1
        gap = Step(1, 1, needs=needs, lasting=True)
        return End(seq, "ok", time.perf_counter() - self._began, steps=[gap])
