"""What IPython tells of a cell: what it will execute, when it is over and how it ended.

A traceback is told from the notebook's first frame on, in plain text. Whatever the methods of the user's own exceptions
do, at least the error's type is told.
"""

from __future__ import annotations

import re
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any, Literal

from nbops.tracking.recording.records import Caller, Start
from nbops.tracking.redaction.redact import redact_source, redact_text

_PLAIN = (bool, int, float, complex)
_MAX_ERROR = 2000
_MAX_TRACEBACK = 10_000
_MAX_READ = 200_000
_MAYBE_MAGIC = re.compile(r"[%!?]|^\s*[,;/]", re.MULTILINE)
_SKIPPED = re.compile(r"\s*%%nbops\s+skip\b")
SKIPPED = "# nbops: a cell was skipped here (%%nbops skip)"
UNRECORDED = "# nbops: recording was off here (%nbops off)"


@dataclass(slots=True)
class RunningCell:
    """The cell that runs.

    `info` is what IPython gave at its beginning, None for the cell that loads nbops; `runs` are those that it started or
    logged to. Of a `hidden` one nothing is recorded but that it was there.
    """

    seq: int
    source: str
    redacted: str
    info: Any
    began: float = 0.0
    inner_error: BaseException | None = None
    runs: dict[str, Caller | None] = field(default_factory=dict)
    hidden: bool = False

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
    traceback: str | None = None


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


def is_skipped(source: str) -> bool:
    """Whether a cell asks not to be recorded."""
    return bool(_SKIPPED.match(source))


def start_of(shell: Any, cell: RunningCell, cell_id: str | None) -> Start:
    """Return a cell's first line."""
    expanded = None if cell.hidden else _expanded(shell, cell.source, cell.info)
    counted = cell.info is None or bool(getattr(cell.info, "store_history", False))
    return Start(
        seq=cell.seq,
        cell_id=cell_id,
        source=cell.redacted,
        time=time.time(),
        expanded=redact_source(expanded) if expanded else None,
        order=shell.execution_count - 1 if counted else None,
        hidden="skip" if cell.hidden else None,
    )


def _expanded(shell: Any, source: str, info: Any) -> str | None:
    """Return what IPython executes instead of a cell's source, None where it's the source."""
    told = getattr(info, "transformed_cell", None)
    if told is None:
        if not _MAYBE_MAGIC.search(source):
            return None
        told = shell.transform_cell(source)
    return None if told.strip() == source.strip() else str(told)


def outcome_of(cell: RunningCell, result: Any, namespace: Mapping[str, Any]) -> Outcome:
    """Return how a cell ended; the methods of the user's own exceptions and values may raise anything."""
    if result is None:
        return UNTOLD
    error = result.error_in_exec or result.error_before_exec or cell.inner_error
    if cell.hidden:
        return Outcome("error" if error else "ok")
    try:
        if error is None:
            return Outcome("ok", result=_kind(result.result))
        told = redact_text(str(error)[:_MAX_READ])[:_MAX_ERROR]
        told = f"{type(error).__name__}: {told}" if told else type(error).__name__
        return Outcome("error", told, traceback=_traceback_of(error, namespace))
    except Exception:  # noqa: BLE001  # then its type is all that can be told
        return Outcome("error" if error else "ok", type(error).__name__ if error else None)


def _traceback_of(error: BaseException, namespace: Mapping[str, Any]) -> str:
    first: TracebackType | None = error.__traceback__
    while first and first.tb_frame.f_globals is not namespace:
        first = first.tb_next
    lines = traceback.format_exception(type(error), error, first)
    text = redact_text("".join(lines)[-_MAX_READ:])
    if len(text) <= _MAX_TRACEBACK:
        return text
    return f"{text[: _MAX_TRACEBACK // 4]}\n[…]\n{text[-_MAX_TRACEBACK * 3 // 4 :]}"


def _kind(value: Any) -> str | None:
    """Return what a cell showed: plain numbers as they are, of everything else only type and shape."""
    if value is None:
        return None
    if isinstance(value, _PLAIN):
        return repr(value)
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} {shape}" if isinstance(shape, tuple) else type(value).__name__
