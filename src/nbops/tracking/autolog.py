"""MLflow's autologging, switched on just before something can be trained.

Importing MLflow takes seconds, so it waits for a reason: the first scikit-learn estimator that is made (nothing is fitted
that was not made before), the import of another library that trains, or MLflow's own import by the user. In an interactive
kernel the first import of scikit-learn also has it done when the kernel is next idle. All of it happens on the thread that
gives the reason: two threads that import at once can see each other's half-made modules. Models and datasets are
left to nbops, which records them in a thousandth of the time.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import wrapt

from nbops.project import Project
from nbops.tracking import sklearn_autolog
from nbops.tracking.store import Store

# scikit-learn isn't here: much of it is used without training, so its estimators are waited for.
_TRAINERS = (
    "catboost",
    "fastai",
    "keras",
    "lightgbm",
    "lightning",
    "mlflow",
    "paddle",
    "pyspark.ml",
    "pytorch_lightning",
    "statsmodels",
    "tensorflow",
    "torch",
    "transformers",
    "xgboost",
)
_RETRY_AFTER = 60.0
_IDLE_AFTER = 1.0

_watching: Callable[[], None] | None = None
_idle: Callable[[], None] | None = None
_hooked = False


class Autologging:
    """Switches MLflow's autologging on, once, in time.

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
        self.store = Store(project)
        self.ready = False
        self._lock = threading.RLock()
        self._switching = False
        self._failed = float("-inf")
        self._overdue = False
        self._cells = 0

    def watch(self, guard: Callable[[Callable[[], None]], None]) -> None:
        """Switch on when there is a reason; `guard` calls what it's given and never raises."""
        global _watching, _idle
        _watching = lambda: guard(self._on_reason)  # noqa: E731
        _idle = None if self.stage_run else (lambda: guard(self._when_idle))
        self._overdue = "sklearn.base" in sys.modules  # its estimators may have been made before
        _hook()

    def unwatch(self) -> None:
        """Switch off again."""
        forget()
        if self.ready:
            import mlflow

            mlflow.autolog(disable=True, silent=True)
            self.ready = False

    def ensure(self) -> None:
        """Return when autologging is on."""
        with self._lock:
            if self.ready or self._switching:
                return
            self._switching = True
            try:
                with warnings.catch_warnings():  # MLflow's own are nothing to the user, who may even make them errors
                    warnings.simplefilter("ignore")
                    self._switch_on()
                self.ready = True
            finally:
                self._switching = False

    def before_cell(self) -> None:
        """Make sure that what a cell logs lands where it should; costs microseconds."""
        self._cells += 1
        if self._overdue:
            self._overdue = False
            self._on_reason()
        if self.ready:
            self._lead_to_stage_run()

    def after_cell(self) -> None:
        """Set the stage's run, which MLflow ends after each fit, to RUNNING again."""
        if self.ready and self.stage_run and "MLFLOW_RUN_ID" not in os.environ:
            import mlflow

            if mlflow.active_run() is None:
                self.store.client.update_run(self.stage_run, status="RUNNING")

    def _on_reason(self) -> None:
        if self.ready or time.monotonic() - self._failed < _RETRY_AFTER:
            return
        try:
            self.ensure()
        except Exception:
            self._failed = time.monotonic()  # a store that can't be reached shall not delay every cell
            raise

    def _when_idle(self) -> None:
        """Switch on when no cell has begun for a second: a user who runs cells one after another shall not wait."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # not a kernel: the first estimator will do
            return
        seen = self._cells

        def look() -> None:
            if self._cells == seen and _watching:
                _watching()
            elif _idle and not self.ready:
                _idle()

        loop.call_later(_IDLE_AFTER, look)

    def _switch_on(self) -> None:
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # MLflow's 7 let a cell wait for minutes
        with _uninterrupted():
            import mlflow
        experiment = self.store.experiment_id()
        mlflow.set_tracking_uri(self.project.tracking_uri)
        mlflow.set_registry_uri(self.project.tracking_uri)
        os.environ.setdefault("MLFLOW_EXPERIMENT_ID", experiment)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        sklearn_autolog.trim()
        mlflow.autolog(
            log_input_examples=False,
            log_model_signatures=False,
            log_models=False,
            log_datasets=False,
            disable_for_unsupported_versions=False,
            silent=True,
        )
        self._lead_to_stage_run()

    def _lead_to_stage_run(self) -> None:
        if self.stage_run:
            import mlflow

            if mlflow.active_run() is None:
                os.environ["MLFLOW_RUN_ID"] = self.stage_run


def forget() -> None:
    """Tell nobody any more."""
    global _watching, _idle
    _watching = _idle = None


def _hook() -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        for trainer in _TRAINERS:
            wrapt.register_post_import_hook(lambda _: _watching and _watching(), trainer)
        wrapt.register_post_import_hook(_watch_estimators, "sklearn.base")


def _watch_estimators(module: Any) -> None:
    """Have scikit-learn's base class tell when an estimator is made: in code, from a pickle, or as a clone."""
    base = module.BaseEstimator

    def __new__(cls: type, *args: Any, **kwargs: Any) -> Any:
        if _watching:
            _watching()
        following = super(base, cls).__new__
        return following(cls) if following is object.__new__ else following(cls, *args, **kwargs)

    base.__new__ = __new__
    if _idle:
        _idle()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back an interrupt until the block has ended: an import that is broken off can't be repeated."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: interrupted.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if interrupted:
            signal.raise_signal(signal.SIGINT)
