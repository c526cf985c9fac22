"""What IPython tells of a cell: when it is over and how it ended."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal

from nbops.tracking.records import Caller
from nbops.tracking.redact import redact_text

_PLAIN = (bool, int, float, complex)
_MAX_ERROR = 2000


@dataclass(slots=True)
class RunningCell:
    """The cell that runs.

    `info` is what IPython gave at its beginning, None for the cell that loads nbops; `runs` are those that it started or
    logged to.
    """

    seq: int
    source: str
    redacted: str
    info: Any
    began: float = 0.0
    inner_error: BaseException | None = None
    runs: dict[str, Caller | None] = field(default_factory=dict)

    def ends_with(self, result: Any) -> bool:
        """Whether `result` is this cell's; None stands for a cell that was cancelled while it awaited something."""
        if result is None:
            return True
        return result.info is self.info or (self.info is None and result.info.raw_cell == self.source)

    def note(self, result: Any) -> None:
        """Take note of a cell within this one: when a magic such as `%%capture` runs it, its failure is the cell's."""
        error = result.error_in_exec or result.error_before_exec
        if error and self.source.lstrip().startswith("%%"):
            self.inner_error = error


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended: `error` is the exception's type and message, `result` the kind of what it showed."""

    outcome: Literal["ok", "error"]
    error: str | None = None
    result: str | None = None


UNTOLD = Outcome("error", "cancelled, or its error could not be shown")


def depth_of_cells() -> int:
    """Return how many cells are being executed on this thread, one within the other.

    IPython doesn't tell the end of a cell whose exception can't be shown, because its own ``__str__`` raises: when a cell
    begins and is alone on the stack, the one before it is over.
    """
    frame: FrameType | None = sys._getframe()
    depth = 0
    while frame:
        depth += frame.f_code.co_name == "run_cell_async"
        frame = frame.f_back
    return depth


def outcome_of(cell: RunningCell, result: Any) -> Outcome:
    """Return how a cell ended; the methods of the user's own exceptions and values may raise anything."""
    if result is None:
        return UNTOLD
    error = result.error_in_exec or result.error_before_exec or cell.inner_error
    try:
        if error is None:
            return Outcome("ok", result=_kind(result.result))
        told = redact_text(str(error)[:_MAX_ERROR])
        return Outcome("error", f"{type(error).__name__}: {told}" if told else type(error).__name__)
    except Exception:  # noqa: BLE001  # then its type is all that can be told
        return Outcome("error" if error else "ok", type(error).__name__ if error else None)


def _kind(value: Any) -> str | None:
    """Return what a cell showed: plain numbers as they are, of everything else only type and shape."""
    if value is None:
        return None
    if isinstance(value, _PLAIN):
        return repr(value)
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} {shape}" if isinstance(shape, tuple) else type(value).__name__
