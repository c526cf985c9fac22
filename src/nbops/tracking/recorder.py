"""The recorder: IPython's hooks turn executed cells into records, and the runs that they make into snapshots.

Before a cell runs its source is appended to the session's file; when it has run, how it ended is. All slow work
(fingerprints, MLflow) is done by a background thread. Whatever goes wrong in here ends in ``.nbops/nbops.log``, never
in the user's cell. `%%capture` and other magics execute cells within a cell, so the hooks count their depth.
"""

from __future__ import annotations

import atexit
import os
import time
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbops.notebook.names import names_of
from nbops.project import Project
from nbops.tracking.autolog import Autologging
from nbops.tracking.background import Background
from nbops.tracking.models import fitted_models
from nbops.tracking.reads import Read, watch_pandas
from nbops.tracking.records import Closed, Data, End, Session, Start, Writer
from nbops.tracking.redact import redact_source

_PLAIN = (bool, int, float, complex)
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
        self.notebook = os.environ.get("NBOPS_NOTEBOOK") or _notebook(shell, project)
        self.seq = 0
        self.cell_id: str | None = None
        self.autologging = Autologging(project, self.stage_run)
        self._background = Background(self._guarded, inline=self.stage is not None)
        self._writer: Writer | None = None
        self._depth = 0
        self._began = 0.0
        self._running: Start | None = None
        self._run_started = False

    def start(self) -> None:
        """Begin to record."""
        global _current
        self.shell.events.register("pre_run_cell", self._before)
        self.shell.events.register("post_run_cell", self._after)
        atexit.register(self.close)
        _current = self
        self._guarded(lambda: watch_pandas(self.project, self._on_read))
        if self.stage is None:
            self._guarded(self.autologging.warm)

    def close(self) -> None:
        """Finish what is under way and write the session's last line."""
        global _current
        if _current is not self:
            return
        self.flush()
        _current = None
        for event, hook in (("pre_run_cell", self._before), ("post_run_cell", self._after)):
            if hook in self.shell.events.callbacks[event]:
                self.shell.events.unregister(event, hook)
        atexit.unregister(self.close)
        if self._writer:
            self._writer.write(Closed("ok", time.time()), sync=True)
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
        self._depth += 1
        if self._depth == 1:
            self._guarded(lambda: self._begin(info))

    def _begin(self, info: Any) -> None:
        self._running = None
        source = info.raw_cell or ""
        if not source.strip():
            return
        self.seq += 1
        self.cell_id = getattr(info, "cell_id", None)
        self._run_started = False
        self._running = Start(self.seq, self.cell_id, redact_source(source), time.time())
        self._open().write(self._running)
        self.autologging.before_cell(source)
        self._began = time.perf_counter()

    def _after(self, result: Any) -> None:
        duration = time.perf_counter() - self._began
        self._depth = max(0, self._depth - 1)  # an empty cell ends without having begun
        if self._depth == 0 and self._running:
            started, self._running = self._running, None
            self._guarded(lambda: self._finish(started, result, duration))

    def _finish(self, started: Start, result: Any, duration: float) -> None:
        names = names_of(started.source)
        error = result.error_in_exec or result.error_before_exec
        runs = self._runs_made() if self._run_started else []
        models = fitted_models(started.seq, names.defined | names.changed, self.shell.user_ns)
        for model in models:
            self._open().write(model)
        self._open().write(
            End(
                seq=started.seq,
                outcome="error" if error else "ok",
                duration=duration,
                error=redact_source(f"{type(error).__name__}: {error}") if error else None,
                result=_kind(result.result),
                defined=sorted(names.defined),
                used=sorted(names.used),
                changed=sorted(names.changed),
                runs=runs,
            ),
            sync=True,
        )
        if runs and self.stage is None:
            self._background.add(lambda: self._attach(runs, started.seq))

    def _runs_made(self) -> list[str]:
        found = self.autologging.store.runs(
            where=f"tags.`nbops.session` = '{self.session}' and tags.`nbops.seq` = '{self.seq}'"
        )
        return [run.run_id for run in reversed(found)]

    def _attach(self, runs: list[str], seq: int) -> None:
        from nbops.tracking import snapshots

        for run_id in runs:
            snapshots.attach(self.autologging.store, run_id, session=self.session, seq=seq)

    def _on_read(self, read: Read) -> None:
        if _current is not self:
            return
        seq = self.seq
        if _copies_on_write():
            self._background.add(lambda: self._record_read(seq, read))
        else:
            self._guarded(lambda: self._record_read(seq, read))

    def _record_read(self, seq: int, read: Read) -> None:
        from nbops.snapshot.fingerprint import fingerprint_frame, schema_of

        digest, columns = fingerprint_frame(read.frame), schema_of(read.frame)
        self._open().write(Data(seq, read.source, read.reader, len(read.frame), columns, digest))

    def _open(self) -> Writer:
        if self._writer is None:
            import psutil

            self._writer = Writer(self.file)
            started = psutil.Process().create_time()
            self._writer.write(
                Session(
                    session=self.session,
                    pid=os.getpid(),
                    process_started=started,
                    time=time.time(),
                    notebook=self.notebook,
                    stage=self.stage,
                    run_id=self.stage_run,
                )
            )
        return self._writer


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


def _kind(value: Any) -> str | None:
    """Return what a cell showed: plain numbers as they are, of everything else only type and shape."""
    if value is None:
        return None
    if isinstance(value, _PLAIN):
        return repr(value)
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__} {shape}" if isinstance(shape, tuple) else type(value).__name__


def _notebook(shell: Any, project: Project) -> str | None:
    """Return the notebook's path where the front end tells: JupyterLab's server by a variable, VS Code by a name."""
    told = os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__")
    if not told or not str(told).endswith(".ipynb"):
        return None
    path = Path(told)
    return project.relative(path if path.is_absolute() else Path.cwd() / path.name)
