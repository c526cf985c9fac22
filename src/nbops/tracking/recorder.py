"""The recorder: IPython's hooks turn executed cells into records, and the runs that they make into snapshots.

Before a cell runs its source is appended to the session's file; when it has run, how it ended is. Slow work
(fingerprints, snapshots) is done by a background thread. Whatever goes wrong in here ends in ``.nbops/nbops.log``, never
in the user's cell. Magics such as `%%capture` execute cells within a cell, and an empty cell ends without having begun: a
cell's end is the one that carries what its beginning carried. A forked child doesn't record.
"""

from __future__ import annotations

import atexit
import builtins
import os
import threading
import time
import uuid
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from nbops.errors import TrackingError
from nbops.notebook.names import Names, names_of
from nbops.project import Project
from nbops.tracking import autolog, failures
from nbops.tracking.attachments import Attachments
from nbops.tracking.autolog import Autologging
from nbops.tracking.background import Background
from nbops.tracking.callers import caller_of
from nbops.tracking.cell import UNTOLD, Outcome, RunningCell, depth_of_cells, outcome_of
from nbops.tracking.frontend import cell_id_of, notebook_of
from nbops.tracking.models import fitted_models
from nbops.tracking.reads import Read, watch_pandas
from nbops.tracking.records import Closed, End, Record, Session, Start, Writer
from nbops.tracking.redact import redact_source
from nbops.tracking.tables import Tables

_current: Recorder | None = None


def current() -> Recorder | None:
    """Return the recorder of this kernel while it records, else None."""
    return _current


def log_failure(project: Project) -> None:
    """Append the exception being handled to ``.nbops/nbops.log`` (see `failures`)."""
    failures.log_failure(project)


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
        self._background = Background(self._guarded, inline=self.stage is not None)
        self._tables = Tables(project, self._background, self._write)
        self._attachments = Attachments(self.autologging.store, self.session, self._background)
        self._flow: Any = None
        self._writer: Writer | None = None
        self._thread = threading.get_ident()
        self._running: RunningCell | None = None
        self._run_started = False

    def start(self) -> None:
        """Begin to record, the cell that asks for it included.

        Raises
        ------
        TrackingError
            If the session's file can't be written.
        """
        global _current
        try:
            self._writer = Writer(self.file)
            self._writer.write(Session.here(self.session, self.notebook, self.stage, self.stage_run))
        except OSError as error:
            raise TrackingError(
                f"nothing can be recorded: {error.strerror}", where=str(self.file), remedy="make the folder writable"
            ) from error
        _current = self
        for event, hook in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            self.shell.events.register(event, hook)
        atexit.register(self.close)
        self._guarded(lambda: watch_pandas(self._on_read))
        self._guarded(lambda: self.autologging.watch(self._guarded))
        self._guarded(self._start_flow)
        self._guarded(self._begin_loading_cell)

    def close(self) -> None:
        """Finish what is under way and write the session's last line."""
        global _current
        if _current is not self:
            return
        if self._running:  # the cell that asks for the end, unless there is no cell any more
            self._end(self._running, Outcome("ok") if depth_of_cells() else UNTOLD)
        if self._flow:
            self._guarded(self._flow.stop)
        self._attachments.close(self.seq)
        self.flush()
        _forget()
        for event, hook in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            if hook in self.shell.events.callbacks[event]:
                self.shell.events.unregister(event, hook)
        atexit.unregister(self.close)
        if self._writer:
            self._guarded(lambda: self._write(Closed("ok", time.time()), sync=True))
            self._writer.close()

    def flush(self) -> None:
        """Return when everything recorded so far is in the store."""
        self._background.flush()

    def run_tags(self) -> dict[str, str]:
        """Return the tags of a run that is started now, by whomever (see `context`)."""
        self._run_started = True
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

    @property
    def file(self) -> Path:
        """The session's file."""
        return self.project.sessions / f"{self.session}.jsonl"

    def _guarded(self, job: Callable[[], None]) -> None:
        failures.guarded(self.project, job)

    def _start_flow(self) -> None:
        try:
            flow = import_module("nbops.tracking.flow")
        except ImportError:
            return
        self._flow = flow.Flow(self.shell, self.project)
        self._flow.start()

    def _before(self, info: Any) -> None:
        if _current is not self or threading.get_ident() != self._thread:
            return
        if self._running and depth_of_cells() > 1:
            return
        if self._running:
            self._end(self._running, UNTOLD)
        self._guarded(lambda: self._begin(info.raw_cell or "", getattr(info, "cell_id", None), info))

    def _begin_loading_cell(self) -> None:
        """Begin the cell that loads the extension: its own beginning came before there was a hook."""
        history = getattr(getattr(self.shell, "history_manager", None), "input_hist_raw", [])
        if len(history) > 1:
            self._begin(history[-1], cell_id_of(self.shell), None)

    def _begin(self, source: str, cell_id: str | None, info: Any) -> None:
        self.seq += 1
        self.cell_id = cell_id
        self._run_started = False
        redacted = redact_source(source)
        self._running = RunningCell(self.seq, source, redacted, info)
        self._guarded(lambda: self._write(Start(self.seq, cell_id, redacted, time.time())))
        self._guarded(self.autologging.before_cell)
        if self._flow:
            self._guarded(lambda: self._flow.begin(self.seq, source))
        self._running.began = time.perf_counter()

    def _after(self, result: Any) -> None:
        cell = self._running
        if _current is not self or cell is None or threading.get_ident() != self._thread:
            return
        if not cell.ends_with(result):
            self._guarded(lambda: cell.note(result))
            return
        self._end(cell, outcome_of(cell, result))

    def _end(self, cell: RunningCell, outcome: Outcome) -> None:
        self._running = None
        duration = time.perf_counter() - cell.began
        try:
            self._guarded(lambda: self._finish(cell, outcome, duration))
        except KeyboardInterrupt:  # the cell has ended already: nothing is left to be interrupted
            return

    def _finish(self, cell: RunningCell, outcome: Outcome, duration: float) -> None:
        steps = self._flow.end() if self._flow else []
        names = self._names(cell)
        try:
            if self._run_started:
                self._guarded(lambda: self._find_runs(cell))
            if self._run_started or self._attachments.any_open or self.stage:
                self._guarded(lambda: self._record_models(cell.seq, names.defined | names.changed))
            self._guarded(self.autologging.after_cell)
        finally:
            self._write(
                End(
                    seq=cell.seq,
                    outcome=outcome.outcome,
                    duration=duration,
                    error=outcome.error,
                    result=outcome.result,
                    defined=sorted(names.defined),
                    used=sorted(
                        name for name in names.used if name in self.shell.user_ns or not hasattr(builtins, name)
                    ),
                    changed=sorted(names.changed),
                    runs=list(cell.runs),
                    steps=steps,
                    callers=[caller for caller in cell.runs.values() if caller],
                ),
                sync=True,
            )
        if self.stage is None:
            for run_id in cell.runs:
                self._attachments.attach(run_id, cell.seq, cell.seq)
            self._guarded(lambda: self._attachments.attach_ended(self.seq))

    def _names(self, cell: RunningCell) -> Names:
        names = names_of(cell.redacted)
        if self._flow:
            seen = self._flow.seen()
            names = Names(seen.defined | names.defined, names.used | seen.used, seen.changed | names.changed)
        return names

    def _find_runs(self, cell: RunningCell) -> None:
        for run_id in self._attachments.made(cell.seq):
            cell.runs.setdefault(run_id, None)

    def _record_models(self, seq: int, names: frozenset[str]) -> None:
        for model in fitted_models(seq, names, self.shell.user_ns):
            self._write(model)

    def _on_read(self, read: Read) -> None:
        if _current is self:
            self._guarded(lambda: self._tables.take(self.seq, read))

    def _write(self, record: Record, *, sync: bool = False) -> None:
        if self._writer:
            self._writer.write(record, sync=sync)


def _forget() -> None:
    """Record no more: at the session's end, and in a forked child, whose cells are its parent's."""
    global _current
    _current = None
    watch_pandas(None)
    autolog.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
