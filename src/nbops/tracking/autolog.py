"""How a recorded kernel logs: fits of scikit-learn are caught, all else goes through MLflow's store written behind.

scikit-learn needs no MLflow in the kernel (`journal.sklearn_fits`). When the notebook imports MLflow itself, its tracking
URI becomes the project's journal (`journal.plugin`), unless the user sets another; runs that a cell leaves open are seen to
(`journal.open_runs`). Other libraries that train (XGBoost, LightGBM, PyTorch…) get MLflow's own autologging when they are
imported, through the same store. A script has none of this: `Autologging.ensure` gives it MLflow's autologging as it is.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import wrapt

from nbops.project import Project
from nbops.tracking import own_work, trimmed_autolog
from nbops.tracking.recording.cell import Outcome
from nbops.tracking.recording.interrupts import uninterrupted
from nbops.tracking.trainers import FLAVORS, Trainers

if TYPE_CHECKING:
    from nbops.tracking.journal.moments import Snapshots
    from nbops.tracking.journal.open_runs import OpenRuns
    from nbops.tracking.journal.outbox import Outbox
    from nbops.tracking.journal.sklearn_fits import Fits
    from nbops.tracking.store import Store

_RETRY_AFTER = 60.0

_active: Autologging | None = None
_hooked = False


class Autologging:
    """Sees to it that what trains in a kernel is logged.

    Parameters
    ----------
    project
        Whose store gets the runs.
    stage_run
        The run of the pipeline stage that this kernel executes: what is logged lands there.
    """

    def __init__(self, project: Project, stage_run: str | None = None) -> None:
        self.project = project
        self.stage_run = stage_run
        self.ready = False
        self._outbox: Outbox | None = None
        self._fits: Fits | None = None
        self._open_runs: OpenRuns | None = None
        self._snapshots: Snapshots | None = None
        self._guard: Callable[[Callable[[], None]], None] = lambda job: job()
        self._attached: set[str] = set()
        self._lock = threading.RLock()
        self._trainers = Trainers()
        self._failed: dict[str, float] = {}

    @cached_property
    def store(self) -> Store:
        """The project's store, which a kernel that logs nothing doesn't load."""
        from nbops.tracking.store import Store

        return Store(self.project)

    def watch(self, guard: Callable[[Callable[[], None]], None]) -> None:
        """Log from now on; `guard` calls what it's given and never raises."""
        global _active
        from nbops.tracking.journal import sklearn_hooks, sklearn_scores
        from nbops.tracking.journal.outbox import Outbox
        from nbops.tracking.journal.sklearn_fits import Fits
        from nbops.tracking.recording import recorder

        self._guard = guard
        active = recorder.current()
        assert active is not None, "there is a recorder"
        if self._outbox is None or self._fits is None:
            inline = self.stage_run is not None
            self._outbox = Outbox(self.project, active.session, inline=inline, is_busy=lambda: active.is_busy)
            self._fits = Fits(self._outbox, active.run_tags, active.saw_run, self.stage_run)
            if not self.stage_run:  # a stage's run gets its snapshot from the pipeline
                from nbops.tracking.journal.moments import Snapshots
                from nbops.tracking.moment import prepare

                self._snapshots = Snapshots(self._outbox)
                guard(prepare)
        self._outbox.open()
        _active = self
        sklearn_hooks.listen(self._fits)
        sklearn_scores.listen(self._fits.scores)
        if _hooked:
            self._take_up()
        _hook()

    def unwatch(self) -> None:
        """Log no more."""
        forget()
        self._trainers.pause()

    def ensure(self) -> None:
        """Return when `mlflow` logs here: through the journal in a recorded kernel, with its own autologging in a script."""
        with self._lock, _quietly():
            if self._outbox is not None:
                with uninterrupted():
                    importlib.import_module("mlflow")
            elif not self.ready:
                self._switch_on_in_script()

    def before_cell(self) -> None:
        """Make sure that what a cell logs lands where it should; costs microseconds."""
        if _active is not self:  # the cell before wasn't to be watched
            self.watch(self._guard)
        if self._open_runs is not None:
            self._open_runs.before_cell()
            self._lead_to_stage_run()

    def after_cell(self, outcome: Outcome) -> None:
        """Leave nothing open that the cell began."""
        if self._fits is not None:
            self._fits.cell_ended()
        if self._open_runs is not None:
            self._open_runs.after_cell(outcome)
        own_work.reset()

    def attach(self, runs: Iterable[str], seq: int, later: Callable[[Callable[[], None]], None]) -> None:
        """Have snapshots attached to runs that the cell executed as number `seq` logged to, after what `later` has to do."""
        outbox, snapshots, open_runs = self._outbox, self._snapshots, self._open_runs
        aside = set(open_runs.aside) if open_runs is not None else set()
        wanted = [(run_id, run_id in aside) for run_id in runs]
        wanted += [(run_id, False) for run_id in self._attached - aside if run_id not in set(runs)]
        self._attached = aside
        if outbox is None or snapshots is None or not wanted:
            return
        from nbops.tracking.journal.sklearn_fits import foreign_uri

        uri = foreign_uri()
        snapshots.ask(wanted, seq)
        later(lambda: outbox.later(lambda: snapshots.journal(wanted, seq, uri)))

    def flush(self) -> None:
        """Return when all that was logged so far is journaled."""
        if self._outbox is not None:
            self._outbox.flush()

    def close(self, seq: int) -> None:
        """Journal what is left; the worker goes on without us."""
        if self._open_runs is not None:
            self._open_runs.close()
            self.attach((), seq, lambda job: job())
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = self._snapshots = None

    def give_way(self) -> None:
        """Let a run that is started now take the place of one that an earlier cell left."""
        if self._open_runs is not None:
            self._open_runs.give_way()

    def on_mlflow(self, mlflow: Any) -> None:
        """Lead MLflow to the journal, unless it has been led elsewhere."""
        from nbops.tracking.journal import default_experiment
        from nbops.tracking.journal.open_runs import OpenRuns
        from nbops.tracking.journal.plugin import SCHEME, WriteBehindStore, uri_of
        from nbops.tracking.recording import recorder

        active = recorder.current()
        if active is None or self._outbox is None:
            return
        from mlflow.tracking._tracking_service import utils

        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # MLflow's 7 let a cell wait for minutes
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        utils._tracking_store_registry.register(SCHEME, WriteBehindStore)
        if utils._tracking_uri is None:
            utils._tracking_uri = uri_of(self.project)  # not by its setter: child processes shall find the real store
            mlflow.set_registry_uri(self._outbox.uri)
        default_experiment.provide(lambda: _active.store if _active is not None else None)
        if self._open_runs is None:
            self._open_runs = OpenRuns(active.saw_run, self.stage_run)
            self._open_runs.watch(mlflow)
        self._lead_to_stage_run()

    def on_trainer(self, name: str) -> None:
        """Switch MLflow's own autologging on for a library that isn't scikit-learn."""
        with self._lock:
            if time.monotonic() - self._failed.get(name, float("-inf")) < _RETRY_AFTER:
                return
            try:
                with _quietly(), uninterrupted():
                    importlib.import_module("mlflow")
                    self._trainers.switch_on(name)
            except Exception:
                self._failed[name] = time.monotonic()
                raise

    def on_sklearn(self) -> None:
        """Leave a scikit-learn whose fits can't be caught to MLflow."""
        from nbops.tracking.journal import sklearn_hooks

        if not sklearn_hooks.is_possible():
            trimmed_autolog.trim()
            self.on_trainer("sklearn")

    def _take_up(self) -> None:
        """See to what was imported before."""
        if "mlflow" in sys.modules:
            self.on_mlflow(sys.modules["mlflow"])
        if "sklearn" in sys.modules:
            self.on_sklearn()
        for name in FLAVORS:
            if name in sys.modules:
                self.on_trainer(name)

    def guarded(self, job: Callable[[], None]) -> None:
        """Do a job that must not raise."""
        self._guard(job)

    def wake(self) -> None:
        """Have a worker ready, because something is likely to be fitted."""
        if self._outbox is not None:
            self._outbox.wake()

    def _switch_on_in_script(self) -> None:
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        with uninterrupted():
            import mlflow
        experiment = self.store.experiment_id()
        mlflow.set_tracking_uri(self.project.tracking_uri)
        mlflow.set_registry_uri(self.project.tracking_uri)
        os.environ.setdefault("MLFLOW_EXPERIMENT_ID", experiment)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        trimmed_autolog.trim()
        mlflow.autolog(
            log_input_examples=False,
            log_model_signatures=False,
            log_models=False,
            log_datasets=False,
            disable_for_unsupported_versions=False,
            silent=True,
        )
        self.ready = True

    def _lead_to_stage_run(self) -> None:
        if self.stage_run:
            import mlflow

            if mlflow.active_run() is None:
                os.environ["MLFLOW_RUN_ID"] = self.stage_run


def forget() -> None:
    """Log nothing any more: at the session's end, and in a forked child, whose work is its parent's."""
    global _active
    _active = None
    hooks = sys.modules.get("nbops.tracking.journal.sklearn_hooks")
    scores = sys.modules.get("nbops.tracking.journal.sklearn_scores")
    if hooks is not None and scores is not None:
        hooks.listen(None)
        scores.listen(None)


def _hook() -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        wrapt.register_post_import_hook(lambda module: _tell(lambda active: active.on_mlflow(module)), "mlflow")
        wrapt.register_post_import_hook(lambda _: _tell(lambda active: active.wake()), "sklearn.base")
        wrapt.register_post_import_hook(lambda _: _tell(lambda active: active.on_sklearn()), "sklearn")
        for name in FLAVORS:
            wrapt.register_post_import_hook(
                lambda _, name=name: _tell(lambda active: active.on_trainer(name)),  # type: ignore[misc]
                name,
            )


def _tell(job: Callable[[Autologging], None]) -> None:
    if _active is not None:
        active = _active
        with own_work.doing():
            active.guarded(lambda: job(active))


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep MLflow's own warnings from the user, who may even have made warnings errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
