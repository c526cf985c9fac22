"""The recorder: IPython's hooks turn executed cells into records, and the runs that they make into snapshots.

Before a cell runs its source is appended to the session's file; when it has run, how it ended is, and when the kernel has
replied, what it was seen to do. Slow work (fingerprints, snapshots) is done by a background thread. Whatever goes wrong in
here ends in ``.nbops/nbops.log``, never in the user's cell. Magics such as `%%capture` execute cells within a cell, and an
empty cell ends without having begun: a cell's end is the one that carries what its beginning carried. A forked child doesn't
record.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking import autolog, failures
from nbops.tracking.autolog import Autologging
from nbops.tracking.models import fitted_models
from nbops.tracking.reads import Read, watch
from nbops.tracking.reads.tables import Tables
from nbops.tracking.recording.background import Background
from nbops.tracking.recording.callers import caller_of
from nbops.tracking.recording.cell import (
    SKIPPED,
    UNTOLD,
    Outcome,
    RunningCell,
    depth_of_cells,
    is_skipped,
    outcome_of,
    start_of,
)
from nbops.tracking.recording.ending import end_of, names_in, traced_of
from nbops.tracking.recording.frontend import CellIds, notebook_of
from nbops.tracking.recording.instruments import Instruments, Measured
from nbops.tracking.recording.interrupts import Held, interrupt_cell
from nbops.tracking.recording.pauses import Pause
from nbops.tracking.recording.records import Closed, Data, Record, Session
from nbops.tracking.recording.replied import Replied
from nbops.tracking.recording.writer import Writer
from nbops.tracking.redaction import masks
from nbops.tracking.redaction.redact import redact_source, redact_text

_REST = 0.5
_DELAY = 0.25

_current: Recorder | None = None
_of_kernel: Recorder | None = None


def current() -> Recorder | None:
    """Return the recorder of this kernel while it records, else None."""
    return _current


def of_kernel() -> Recorder | None:
    """Return the recorder of this kernel, whether it records or was switched off for a while."""
    return _of_kernel


class Recorder:
    """Records the cells of one kernel.

    Parameters
    ----------
    shell
        The kernel's IPython shell.
    project
        Where records and runs go.

    Attributes
    ----------
    session
        The session's id, also the name of its file.
    notebook
        Path relative to the project, or None where it can't be known.
    seq
        The number of the cell that runs, or ran last, counted from 1.
    """

    def __init__(self, shell: Any, project: Project) -> None:
        self.shell = shell
        self.project = project
        self.session = os.environ.get("NBOPS_SESSION") or f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:8]}"
        self.stage = os.environ.get("NBOPS_STAGE")
        self.stage_run = os.environ.get("NBOPS_RUN_ID")
        self.notebook = os.environ.get("NBOPS_NOTEBOOK") or notebook_of(shell, project)
        self.seq = 0
        self.cell_id: str | None = None
        self.autologging = Autologging(project, self.stage_run)
        masks.configure(project.redact)
        self._ids = CellIds(shell, project, self.notebook)
        self._secrets = masks.Secrets(shell.user_ns)
        self._background = Background(self._guarded, inline=self.stage is not None, delay=_DELAY)
        self._tables = Tables(project, self._background, self.write)
        self._instruments = Instruments(shell, project, self._guarded)
        self._replied = Replied()
        self._pause = Pause()
        self._writer: Writer | None = None
        self._thread = threading.get_ident()
        self._running: RunningCell | None = None
        self._ended = 0.0

    def start(self, *, from_next_cell: bool = False) -> None:
        """Begin to record, the cell that asks for it included, unless it's `from_next_cell`.

        Raises
        ------
        TrackingError
            If the session's file can't be written.
        """
        global _of_kernel
        try:
            self._writer = Writer(self.file)
            folder = self.project.relative(Path.cwd())
            self._writer.write(Session.here(self.session, self.notebook, self.stage, self.stage_run, folder))
        except OSError as error:
            raise TrackingError(
                f"nothing can be recorded: {error.strerror}", where=str(self.file), remedy="make the folder writable"
            ) from error
        _of_kernel = self
        atexit.register(self.close)
        self._hook(from_next_cell)

    def close(self) -> None:
        """Finish what is under way and write the session's last line."""
        global _of_kernel
        if _of_kernel is not self:
            return
        if _current is self:
            self._unhook()
        self.flush()
        self._guarded(lambda: self.autologging.close(self.seq))
        _of_kernel = None
        atexit.unregister(self.close)
        self._guarded(self._instruments.close)
        if self._writer:
            self._guarded(lambda: self.write(Closed("ok", time.time()), sync=True))
            self._writer.close()

    def pause(self) -> None:
        """Record nothing, and make no runs of fits, until `resume`; the record says that there was a gap."""
        if _current is self:
            self._unhook()
            self.autologging.unwatch()
            self.seq += 1
            self.write(self._pause.begin(self.seq), sync=True)

    def resume(self) -> None:
        """Record again, from the cell on that asks for it."""
        if _of_kernel is self and _current is None:
            self._guarded(lambda: self.write(self._pause.end(self.seq), sync=True))
            self._hook()

    def flush(self) -> None:
        """Return when everything recorded so far is in the store."""
        self._replied.now()
        self._background.flush()
        self.autologging.flush()

    @property
    def is_busy(self) -> bool:
        """Whether a cell runs, or ran so shortly ago that another is likely to follow."""
        return self._running is not None or time.monotonic() - self._ended < _REST

    def run_tags(self) -> dict[str, str]:
        """Return the tags of a run that is started now, by whomever (see `context`)."""
        tags = {"nbops.session": self.session, "nbops.seq": str(self.seq)}
        if self.notebook:
            tags |= {"nbops.notebook": self.notebook, "mlflow.source.name": self.notebook}
            tags["mlflow.source.type"] = "NOTEBOOK"
        if self.cell_id:
            tags["nbops.cell"] = self.cell_id
        if self.stage_run:
            tags["mlflow.parentRunId"] = self.stage_run
        return tags

    def saw_run(self, run_id: str) -> None:
        """Note that a run was started, or logged to, now; costs nothing from the second time on in a cell.

        It's to be called on the thread and below the frames of whoever did it, which tell the caller.
        """
        cell = self._running
        if cell is not None and run_id not in cell.runs:
            cell.runs[run_id] = caller_of(run_id, self.shell.user_ns)

    def write(self, record: Record, *, sync: bool = False) -> None:
        """Append a record to the session's file."""
        if isinstance(record, Data):  # a file's name, or a query, may hold a secret
            record = msgspec.structs.replace(record, source=redact_text(record.source))
        if self._writer:
            self._writer.write(record, sync=sync)

    @property
    def file(self) -> Path:
        """The session's file."""
        return self.project.sessions / f"{self.session}.jsonl"

    def _guarded(self, job: Callable[[], None]) -> None:
        failures.guarded(self.project, job)

    def _hook(self, from_next_cell: bool = False) -> None:
        global _current
        _current = self
        for event, hook in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            self.shell.events.register(event, hook)
        self._guarded(lambda: watch(self._on_read, self._guarded))
        self._guarded(lambda: self.autologging.watch(self._guarded))
        self._instruments.start()
        if not from_next_cell:
            self._guarded(self._begin_hooking_cell)

    def _unhook(self) -> None:
        if self._running:  # the cell that asks for the end, unless there is no cell any more
            self._end(self._running, Outcome("ok") if depth_of_cells() else UNTOLD)
        self._replied.now()
        self._instruments.stop()
        _forget()
        for event, hook in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            if hook in self.shell.events.callbacks[event]:
                self.shell.events.unregister(event, hook)

    def _before(self, info: Any) -> None:
        if _current is not self or threading.get_ident() != self._thread:
            return
        if self._running and depth_of_cells() > 1:
            return
        with Held() as interrupt:
            if self._running:
                self._end(self._running, UNTOLD)
            self._replied.now()
            self._strictly(lambda: self._begin(info.raw_cell or "", info))
        if interrupt.came:
            self._strictly(lambda: interrupt_cell(self.shell))

    def _begin_hooking_cell(self) -> None:
        """Begin the cell that loads the extension: its own beginning came before there was a hook."""
        history = getattr(getattr(self.shell, "history_manager", None), "input_hist_raw", [])
        if len(history) > 1:
            self._begin(history[-1], None)

    def _begin(self, source: str, info: Any) -> None:
        self.seq += 1
        self.cell_id = self._ids.of(source, info)
        self._guarded(self._secrets.look)
        hidden = is_skipped(source)
        with masks.noting() as told:
            redacted = redact_source(source)
        self._guarded(lambda: self._secrets.take(told))
        cell = RunningCell(self.seq, source, SKIPPED if hidden else redacted, info, hidden=hidden)
        self._running = cell
        self._guarded(lambda: self.write(start_of(self.shell, cell, self.cell_id)))
        self._guarded(self.autologging.unwatch if hidden else self.autologging.before_cell)
        self._instruments.begin(self.seq, source, hidden=hidden)

    def _after(self, result: Any) -> None:
        cell = self._running
        if _current is not self or cell is None or threading.get_ident() != self._thread:
            return
        if not cell.ends_with(result):
            self._guarded(lambda: cell.note(result))
            return
        with Held():  # the cell has ended already: nothing is left to be interrupted
            self._end(cell, result)

    def _end(self, cell: RunningCell, how: Any) -> None:
        """Finish a cell; `how` is IPython's result of it, or the outcome where there is none."""
        self._running = None
        self._ended = time.monotonic()
        measured = self._instruments.end()
        self._strictly(lambda: self._finish(cell, how, measured))

    def _finish(self, cell: RunningCell, how: Any, measured: Measured) -> None:
        self._guarded(lambda: self._secrets.look(everywhere=cell.redacted != cell.source))
        outcome = how if isinstance(how, Outcome) else outcome_of(cell, how, self.shell.user_ns)
        self._guarded(lambda: self._tables.end(cell.seq, hidden=cell.hidden))
        try:
            self._guarded(lambda: self.autologging.after_cell(outcome))
        finally:
            self._guarded(lambda: self.write(end_of(cell, outcome, measured), sync=True))
            self._replied.then(lambda: self._strictly(lambda: self._trace(cell)))
        if cell.hidden and _current is self:
            self._guarded(lambda: self.autologging.watch(self._guarded))

    def _trace(self, cell: RunningCell) -> None:
        """Write down what a cell was seen to do and to show, and have its runs get their snapshots."""
        observed = self._instruments.observed()
        names = names_in(cell, observed)
        if (cell.runs or self.stage) and not cell.hidden:
            self._guarded(lambda: self._record_models(cell.seq, names.defined | names.changed))
        self._pause.note(cell.seq, len(observed.steps))
        self._guarded(lambda: self.write(traced_of(cell, observed, names, self.shell.user_ns), sync=True))
        self._guarded(lambda: self.autologging.attach(cell.runs, cell.seq, self._background.add))

    def _record_models(self, seq: int, names: frozenset[str]) -> None:
        for model in fitted_models(seq, names, self.shell.user_ns):
            self.write(model)

    def _on_read(self, read: Read) -> None:
        if _current is self and not (self._running and self._running.hidden):
            self._guarded(lambda: self._tables.take(self.seq, read))

    def _strictly(self, job: Callable[[], None]) -> None:
        """Do a job of a hook: there even an exit or an interrupt can only come from the methods of the user's objects."""
        try:
            job()
        except BaseException:  # noqa: BLE001  # the law: tracking never raises into a user's cell
            failures.log_failure(self.project)


def _forget() -> None:
    """Record no more: at the session's end, and in a forked child, whose cells are its parent's."""
    global _current
    _current = None
    watch(None)
    autolog.forget()


def _forget_in_child() -> None:
    global _of_kernel
    _forget()
    _of_kernel = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
