"""Fits of scikit-learn, caught in the kernel in microseconds for MLflow's autologging to be run on them elsewhere.

When a fit begins, X, y and the weights are held as they are; when it has ended, the fitted estimator is pickled. Both reach
the journal from the background. MLflow isn't imported: whether a run is active is only asked where the notebook imported
it. Only the outermost fit counts, as in MLflow's autologging, and none where the user switched that on or off by hand.
"""

from __future__ import annotations

import inspect
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nbops.project import Project
from nbops.tracking.failures import guarded
from nbops.tracking.journal.entries import Create, Fit, Held, Status, Update
from nbops.tracking.journal.outbox import Outbox
from nbops.tracking.journal.sklearn_hooks import refused
from nbops.tracking.journal.sklearn_scores import Recorded, Scores
from nbops.tracking.journal.spool import Holding, TooLarge, dump
from nbops.tracking.trainers import mute

Saw = Callable[[str], None]


@dataclass(slots=True)
class _Fitting:
    """A fit under way."""

    estimator: Any
    run_id: str
    uri: str | None
    managed: bool
    started: int
    held: dict[str, Holding] = field(default_factory=dict)
    unrecorded: list[str] = field(default_factory=list)
    fit_id: str = field(default_factory=lambda: uuid.uuid4().hex)


class Fits:
    """Listens to scikit-learn and journals what is fitted.

    Parameters
    ----------
    outbox
        Where entries go.
    tags
        Asked for a new run's tags.
    saw
        Told of each run that is made or logged to.
    stage_run
        The run that all fits belong to, where there is one.
    """

    def __init__(
        self, outbox: Outbox, tags: Callable[[], dict[str, str]], saw: Saw, stage_run: str | None = None
    ) -> None:
        self.outbox = outbox
        self.project: Project = outbox.project
        self._tags = tags
        self._saw = saw
        self._stage_run = stage_run
        self._fitting: _Fitting | None = None
        self._paused = 0
        self.scores = Scores(outbox, tags, saw, lambda: self._fitting is not None or self._paused > 0)

    def begins(self, estimator: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Take a fit's beginning; say whether it's one to record."""
        self._end_refused()
        if self._fitting is not None or self._paused or os.getpid() != self.outbox.pid or _by_hand():
            return False
        guarded(self.project, lambda: self._begin(estimator, method, args, kwargs))
        self._mute()
        return self._fitting is not None

    def ends(self, estimator: Any, error: BaseException | None) -> None:
        """Take a fit's end."""
        fitting = self._fitting
        if fitting is not None and fitting.estimator is estimator:
            self._fitting = None
            self._mute()
            guarded(self.project, lambda: self._end(fitting, error))

    def cell_ended(self) -> None:
        """End what the cell began and scikit-learn refused."""
        self._end_refused()

    def pause(self, by: int) -> None:
        """Count the scopes within which nothing is recorded."""
        self._paused = max(0, self._paused + by)
        self._mute()

    def _mute(self) -> None:
        """Have what is trained within a fit, or a cross-validation, make no run of its own."""
        mute(quiet=self._fitting is not None or self._paused > 0)

    def _end_refused(self) -> None:
        """End a fit that began and never ran, because its parameters weren't valid."""
        fitting, estimator = self._fitting, refused()
        if fitting is not None and estimator is fitting.estimator:
            self._fitting = None
            self._mute()
            guarded(self.project, lambda: self._end(fitting, ValueError("parameters that aren't valid")))

    def _begin(self, estimator: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        active = active_run()
        started = int(time.time() * 1000)
        fitting = _Fitting(estimator, "", None, False, started)
        for name, value in given_to(method, args, kwargs).items():
            self._hold(fitting, name, value)
        if active is not None:
            fitting.run_id, fitting.uri = active
        elif self._stage_run:
            fitting.run_id = self._stage_run
        else:
            fitting.managed, fitting.run_id, fitting.uri = True, uuid.uuid4().hex, foreign_uri()
            tags = {"mlflow.autologging": "sklearn", **default_tags(), **self._tags()}
            create = Create(
                run_id=fitting.run_id,
                started=started,
                user=tags["mlflow.user"],
                tags=tags,
                experiment=experiment(),
                uri=fitting.uri,
            )
            self.outbox.write(create)
        self._fitting = fitting
        self._saw(fitting.run_id)

    def _hold(self, fitting: _Fitting, name: str, value: Any) -> None:
        try:
            fitting.held[name] = self.outbox.spool.hold(value)
        except TooLarge as error:
            fitting.unrecorded.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001  # any object's own code runs when it's pickled
            fitting.unrecorded.append(f"{name}: {type(error).__name__}")

    def _end(self, fitting: _Fitting, error: BaseException | None) -> None:
        ended = int(time.time() * 1000)
        status: Status = "FINISHED"
        if error is not None:
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        else:
            self.scores.remember(fitting.estimator, Recorded(fitting.run_id, fitting.fit_id, fitting.uri))
        try:
            content = dump(fitting.estimator)
        except Exception as problem:  # noqa: BLE001  # any estimator's own code runs here
            self._without_model(fitting, status, ended, problem)
            return
        holding = self.outbox.spool.hold_bytes(content, name=f"model-{fitting.fit_id}")
        fitting.estimator = None
        self.outbox.place()
        tags = {**default_tags(), **self._tags()}
        self.outbox.later(lambda: self._journal(fitting, holding, status, ended, tags))

    def _journal(self, fitting: _Fitting, model: Holding, status: Status, ended: int, tags: dict[str, str]) -> None:
        written: dict[str, Held] = {}
        for name, holding in fitting.held.items():
            try:
                written[name] = holding.write()
            except Exception as error:  # noqa: BLE001  # a full disk, or a value's own code: the run says so
                fitting.unrecorded.append(f"{name}: {type(error).__name__}")
        self.outbox.write(
            Fit(
                fit_id=fitting.fit_id,
                run_id=fitting.run_id,
                estimator=model.write(),
                started=fitting.started,
                ended=ended,
                status=status,
                managed=fitting.managed,
                X=written.get("X"),
                y=written.get("y"),
                sample_weight=written.get("sample_weight"),
                unrecorded="; ".join(fitting.unrecorded),
                tags=tags,
                uri=fitting.uri,
            )
        )

    def _without_model(self, fitting: _Fitting, status: Status, ended: int, problem: Exception) -> None:
        """Leave a run that says what couldn't be recorded."""
        from nbops.tracking.journal.entries import Log

        for holding in fitting.held.values():
            holding.drop()
        text = f"the fitted {type(fitting.estimator).__name__} can't be pickled: {type(problem).__name__}: {problem}"
        self.outbox.write(Log(fitting.run_id, tags={"nbops.unrecorded": text[:500]}, uri=fitting.uri))
        if fitting.managed:
            self.outbox.write(Update(fitting.run_id, status=status, ended=ended, uri=fitting.uri))


def given_to(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return X, y and the weights of a call of ``fit``, by MLflow's rule: its first two parameters, whatever their names."""
    found: dict[str, Any] = dict(zip(("X", "y"), args, strict=False))
    if len(args) < 2 or len(args) > 2:
        names = [name for name in inspect.signature(method).parameters if name != "self"]
        for name, spelled in zip(("X", "y"), names, strict=False):
            if name not in found and spelled in kwargs:
                found[name] = kwargs[spelled]
        if "sample_weight" in names and len(args) > (at := names.index("sample_weight")):
            found["sample_weight"] = args[at]
    if "sample_weight" in kwargs:
        found["sample_weight"] = kwargs["sample_weight"]
    return {name: value for name, value in found.items() if value is not None}


def _by_hand() -> bool:
    """Whether the user switched MLflow's autologging on, so that MLflow records this, or off."""
    utils = sys.modules.get("mlflow.utils.autologging_utils")
    return utils is not None and "sklearn" in utils.AUTOLOGGING_INTEGRATIONS and _configured(utils)


def _configured(utils: Any) -> bool:
    """Whether there is a configuration at all: switched on, MLflow logs it; switched off, nobody shall."""
    return bool(utils.AUTOLOGGING_INTEGRATIONS["sklearn"])


def active_run() -> tuple[str, str | None] | None:
    """Return the id of the run that is active in MLflow on this thread, and the store that isn't ours, if it's there."""
    fluent = sys.modules.get("mlflow.tracking.fluent")
    if fluent is None:
        return None
    stack = fluent._active_run_stack.get()
    return (str(stack[-1].info.run_id), foreign_uri()) if stack else None


def foreign_uri() -> str | None:
    """Return the tracking URI that the user set, None where it's ours."""
    utils = sys.modules.get("mlflow.tracking._tracking_service.utils")
    if utils is None:
        return None
    uri = str(utils.get_tracking_uri())
    return None if uri.startswith("nbops:") else uri


def experiment() -> str | None:
    """Return the id of the experiment that the user chose, None for the project's."""
    fluent = sys.modules.get("mlflow.tracking.fluent")
    chosen = getattr(fluent, "_active_experiment_id", None)
    return str(chosen) if chosen else None


def default_tags() -> dict[str, str]:
    """Return what MLflow tags every run with; where the notebook isn't known, that is said."""
    import getpass

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "unknown notebook", "mlflow.source.type": "NOTEBOOK"}
