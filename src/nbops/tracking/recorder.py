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
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbops.errors import TrackingError
from nbops.notebook.names import NOTHING, names_of
from nbops.project import Project
from nbops.snapshot.fingerprint import fingerprint_file, fingerprint_frame, schema_of
from nbops.tracking import autolog
from nbops.tracking.autolog import Autologging
from nbops.tracking.background import Background
from nbops.tracking.cell import UNTOLD, Outcome, RunningCell, cell_id_of, depth_of_cells, notebook_of, outcome_of
from nbops.tracking.models import fitted_models
from nbops.tracking.reads import Read, watch_pandas
from nbops.tracking.records import Closed, Data, End, Record, Session, Start, Writer
from nbops.tracking.redact import redact_source

_current: Recorder | None = None


def current() -> Recorder | None:
    """Return the recorder of this kernel while it records, else None."""
    return _current


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
        self._writer: Writer | None = None
        self._thread = threading.get_ident()
        self._running: RunningCell | None = None
        self._run_started = False
        self._open_runs: dict[str, int] = {}

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
        self._guarded(self._begin_loading_cell)

    def close(self) -> None:
        """Finish what is under way and write the session's last line."""
        global _current
        if _current is not self:
            return
        if self._running:  # the cell that asks for the end, unless there is no cell any more
            self._end(self._running, Outcome("ok") if depth_of_cells() else UNTOLD)
        for run_id, first in self._open_runs.items():
            self._attach_later(run_id, first, self.seq)
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

    @property
    def file(self) -> Path:
        """The session's file."""
        return self.project.sessions / f"{self.session}.jsonl"

    def _guarded(self, job: Callable[[], None]) -> None:
        """Do a job; its failure is written to ``.nbops/nbops.log``."""
        try:
            job()
        except Exception:  # noqa: BLE001  # the law: tracking never raises into a user's cell
            log_failure(self.project)

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
        runs: list[str] = []
        names = NOTHING
        try:
            names = names_of(cell.redacted)
            if self._run_started:
                self._guarded(lambda: runs.extend(self._runs_made()))
            if self._run_started or self._open_runs or self.stage:
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
                    runs=runs,
                ),
                sync=True,
            )
        if self.stage is None:
            for run_id in runs:
                self._attach_later(run_id, cell.seq, cell.seq)
            self._guarded(self._attach_ended)

    def _record_models(self, seq: int, names: frozenset[str]) -> None:
        for model in fitted_models(seq, names, self.shell.user_ns):
            self._write(model)

    def _runs_made(self) -> list[str]:
        found = self.autologging.store.runs(
            where=f"tags.`nbops.session` = '{self.session}' and tags.`nbops.seq` = '{self.seq}'"
        )
        self._open_runs |= {run.run_id: self.seq for run in found if run.status == "RUNNING"}
        return [run.run_id for run in reversed(found)]

    def _attach_ended(self) -> None:
        """Attach snapshots again to runs that were left open by their cell, now that they have ended."""
        if self._open_runs:
            import mlflow

            if mlflow.active_run() is None:
                ended, self._open_runs = self._open_runs, {}
                for run_id, first in ended.items():
                    if first < self.seq:
                        self._attach_later(run_id, first, self.seq)

    def _attach_later(self, run_id: str, first: int, last: int) -> None:
        self._background.add(lambda: self._attach(run_id, first, last))

    def _attach(self, run_id: str, first: int, last: int) -> None:
        from nbops.tracking import snapshots

        snapshots.attach(self.autologging.store, run_id, session=self.session, first=first, last=last)

    def _on_read(self, read: Read) -> None:
        if _current is self:
            self._guarded(lambda: self._take_read(self.seq, read))

    def _take_read(self, seq: int, read: Read) -> None:
        source = read.source(self.project)
        if read.frame is None:
            if path := read.path:
                self._background.add(lambda: self._write(Data(seq, source, read.reader, fingerprint_file(path))))
            return
        frame = read.frame.copy(deep=False)
        if _copies_on_write():
            self._background.add(lambda: self._record_frame(seq, source, read.reader, frame))
        else:
            self._record_frame(seq, source, read.reader, frame)

    def _record_frame(self, seq: int, source: str, reader: str, frame: Any) -> None:
        digest, columns = fingerprint_frame(frame), schema_of(frame)
        self._write(Data(seq, source, reader, digest, len(frame), columns))

    def _write(self, record: Record, *, sync: bool = False) -> None:
        if self._writer:
            self._writer.write(record, sync=sync)


def log_failure(project: Project) -> None:
    """Append the exception being handled to ``.nbops/nbops.log``; a full disk can't stop a cell."""
    try:
        project.state.mkdir(parents=True, exist_ok=True)
        with (project.state / "nbops.log").open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {traceback.format_exc()}\n")
    except OSError:  # nothing can be written: there is no place left to tell of it
        return


def _copies_on_write() -> bool:
    import pandas as pd

    return int(pd.__version__.partition(".")[0]) >= 3


def _forget() -> None:
    """Record no more: at the session's end, and in a forked child, whose cells are its parent's."""
    global _current
    _current = None
    watch_pandas(None)
    autolog.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
