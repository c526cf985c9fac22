"""MLflow's tracking store for the scheme ``nbops``: writes are journaled in microseconds, reads see them.

MLflow finds it by its entry point (`mlflow.tracking_store`). What is logged in loops (runs, metrics, params, tags, inputs,
artifacts of runs) goes to the kernel's outbox, after MLflow's own checks, so that what can't be logged raises where it's
logged. Every other method waits until the journal is in the real store and asks that. In a process without an outbox, such
as a script that a cell started, all of it goes to the real store directly.
"""

from __future__ import annotations

import functools
import os
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from mlflow.entities import Param, Run, RunData, RunInfo, RunInputs, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.utils.name_utils import _generate_random_name
from mlflow.utils.uri import append_to_uri_path
from mlflow.utils.validation import _validate_metric, _validate_param, _validate_tag

from nbops.project import Project
from nbops.tracking.failures import log_failure
from nbops.tracking.journal.entries import Create, Inputs, Log, Update, entry_of
from nbops.tracking.journal.outbox import Outbox, current
from nbops.tracking.journal.refusals import is_for_now
from nbops.tracking.journal.settling import settle
from nbops.tracking.redaction.redact import redact_value

SCHEME = "nbops"
_NAME = "mlflow.runName"
_AWAY_FOR = 60.0
_OURS = frozenset(name for name in dir(AbstractStore) if "async" in name or name.startswith("__"))
_WITHOUT_RUNS = ("experiment", "trace", "span", "scorer", "assessment", "supports_")


def uri_of(project: Project) -> str:
    """Return the tracking URI by which MLflow logs into a project through its journal."""
    return f"{SCHEME}://{project.root.as_posix()}"


def _delegate(name: str) -> Callable[..., Any]:
    settled = not any(word in name for word in _WITHOUT_RUNS)

    @functools.wraps(getattr(AbstractStore, name))
    def method(self: WriteBehindStore, *args: Any, **kwargs: Any) -> Any:
        return self._ask(name, args, kwargs, settled=settled)

    return method


_Delegating = type(
    "_Delegating",
    (AbstractStore,),
    {
        name: _delegate(name)
        for name in dir(AbstractStore)
        if name not in _OURS and callable(getattr(AbstractStore, name))
    },
)


class WriteBehindStore(_Delegating):  # type: ignore[misc, valid-type]  # MLflow isn't typed
    """A project's store, written behind.

    Parameters
    ----------
    store_uri
        ``nbops://`` and the project's root.
    artifact_uri
        Not used: the experiments say where artifacts go.
    """

    def __init__(self, store_uri: str, artifact_uri: str | None = None) -> None:
        super().__init__()
        self.project = Project.find(unquote(store_uri.removeprefix(f"{SCHEME}://")))
        self._made: dict[str, RunInfo] = {}
        self._params: dict[str, dict[str, str]] = {}
        self._locations: dict[str, str] = {}
        self._away_since = float("-inf")

    @property
    def real(self) -> Any:
        """MLflow's own store, which has what was replayed."""
        from mlflow.tracking._tracking_service import utils

        from nbops.tracking.store.migration import ensure_migrated

        uri = real_uri(self.project)
        ensure_migrated(uri)
        return utils._get_store(uri)

    def create_run(
        self, experiment_id: str, user_id: str, start_time: int, tags: list[RunTag] | None, run_name: str | None
    ) -> Run:
        """Make a run: at the server itself, if there is one and it answers, so that the run has its real id at once."""
        outbox = self._outbox()
        tags = _shown_tags(tags or [])
        run_name = str(redact_value(_NAME, run_name)) if run_name else run_name
        if outbox is None:
            settle(self.project)
            return self.real.create_run(experiment_id, user_id, start_time, tags, run_name)
        given = {tag.key: str(tag.value) for tag in tags}
        if run_name and given.get(_NAME, run_name) != run_name:
            raise MlflowException(
                f"run_name='{run_name}' and the tag {_NAME}='{given[_NAME]}' differ", INVALID_PARAMETER_VALUE
            )
        name = run_name or given.get(_NAME) or _generate_random_name()
        given.setdefault(_NAME, name)
        run = self._create_at_server(experiment_id, user_id, start_time, tags, name)
        if run is None:
            run_id = uuid.uuid4().hex
            location = self._location(experiment_id, run_id)  # raises where there is no such experiment
            experiment = str(experiment_id) if experiment_id not in (None, "") else None
            outbox.write(Create(run_id, int(start_time), str(name), str(user_id or ""), given, experiment))
            info = RunInfo(
                run_id=run_id,
                experiment_id=experiment_id,
                user_id=user_id,
                status=RunStatus.to_string(RunStatus.RUNNING),
                start_time=start_time,
                end_time=None,
                lifecycle_stage="active",
                artifact_uri=location,
                run_name=name,
            )
            data = RunData(tags=[RunTag(key, value) for key, value in given.items()])
            run = Run(info, data, RunInputs(dataset_inputs=[]))
        self._made[run.info.run_id] = run.info
        self._params[run.info.run_id] = {}
        self._spool_artifacts_of(run)
        self._saw(run.info.run_id)
        return run

    def log_metric(self, run_id: str, metric: Any) -> None:
        """Journal a metric."""
        outbox = self._outbox()
        if outbox is None:
            settle(self.project)
            self.real.log_metric(run_id, metric)
            return
        _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        outbox.write(Log(run_id, metrics=[entry_of(metric)]))
        self._saw(run_id)

    def log_param(self, run_id: str, param: Any) -> None:
        """Journal a param."""
        self.log_batch(run_id, [], [param], [])

    def set_tag(self, run_id: str, tag: Any) -> None:
        """Journal a tag."""
        self.log_batch(run_id, [], [], [tag])

    def log_batch(self, run_id: str, metrics: list[Any], params: list[Any], tags: list[Any]) -> None:
        """Journal metrics, params and tags."""
        outbox = self._outbox()
        if outbox is None:
            settle(self.project)
            shown = [Param(param.key, str(redact_value(param.key, param.value))) for param in params]
            self.real.log_batch(run_id, metrics, shown, _shown_tags(tags))
            return
        for metric in metrics:
            _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        checked = [_validate_param(param.key, param.value) for param in params]
        self._check_unchanged(run_id, checked)
        named = {tag.key: tag.value for tag in (_validate_tag(tag.key, tag.value) for tag in tags)}
        masked = {param.key: str(redact_value(param.key, param.value)) for param in checked}
        told = {key: str(redact_value(key, value)) for key, value in named.items()}
        outbox.write(Log(run_id, [entry_of(metric) for metric in metrics], masked, told))
        self._saw(run_id)

    def log_inputs(self, run_id: str, datasets: list[Any] | None = None, models: list[Any] | None = None) -> None:
        """Journal datasets and models that went into a run."""
        outbox = self._outbox()
        if outbox is None:
            settle(self.project)
            self.real.log_inputs(run_id, datasets, models)
            return
        outbox.write(
            Inputs(
                run_id,
                [
                    {
                        **{k: redact_value(k, value) for k, value in dict(given.dataset).items() if value is not None},
                        "tags": {tag.key: tag.value for tag in given.tags},
                    }
                    for given in datasets or []
                ],
                [model.model_id for model in models or []],
            )
        )
        self._saw(run_id)

    def update_run_info(self, run_id: str, run_status: Any, end_time: int | None, run_name: str | None) -> RunInfo:
        """Journal a run's status; a stage's run is ended by the pipeline, not by its notebook."""
        outbox = self._outbox()
        run_name = str(redact_value(_NAME, run_name)) if run_name else run_name
        if outbox is None:
            settle(self.project)
            return self.real.update_run_info(run_id, run_status, end_time, run_name)
        status = RunStatus.to_string(run_status) if run_status is not None else None
        if run_id != os.environ.get("NBOPS_RUN_ID"):
            outbox.write(Update(run_id, status, int(end_time) if end_time else None, run_name or None))
        known = self._made.get(run_id)
        return RunInfo(
            run_id=run_id,
            experiment_id=known.experiment_id if known else "",
            user_id=known.user_id if known else "",
            status=status or (known.status if known else RunStatus.to_string(RunStatus.RUNNING)),
            start_time=known.start_time if known else 0,
            end_time=end_time,
            lifecycle_stage="active",
            artifact_uri=known.artifact_uri if known else None,
            run_name=run_name or (known.run_name if known else None),
        )

    def __getattr__(self, name: str) -> Any:
        """Return what MLflow's own store has and its interface hasn't."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.real, name)

    def _ask(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, settled: bool) -> Any:
        if settled:
            settle(self.project)
        answer = getattr(self.real, name)(*args, **kwargs)
        if name == "get_run":
            self._spool_artifacts_of(answer)
        return _reachable(answer, self.project)

    def _outbox(self) -> Outbox | None:
        outbox = current()
        return outbox if outbox is not None and outbox.project.root == self.project.root else None

    def _saw(self, run_id: str) -> None:
        from nbops.tracking.recording import recorder

        if active := recorder.current():
            active.saw_run(run_id)

    def _check_unchanged(self, run_id: str, params: list[Param]) -> None:
        """Refuse another value for a param, as MLflow's stores do."""
        known = self._params.get(run_id)
        if known is None:
            return
        fresh: dict[str, str] = {}
        for param in params:
            before = known.get(param.key, fresh.get(param.key, param.value))
            if before != param.value:
                raise MlflowException(
                    f"Changing param values is not allowed. Param with key='{param.key}' was already logged with "
                    f"value='{before}' for run ID='{run_id}'. Attempted logging new value '{param.value}'.",
                    INVALID_PARAMETER_VALUE,
                )
            fresh[param.key] = param.value
        known |= fresh

    def _create_at_server(
        self, experiment_id: str, user_id: str, start_time: int, tags: list[RunTag] | None, name: str
    ) -> Run | None:
        if not real_uri(self.project).startswith("http") or time.monotonic() - self._away_since < _AWAY_FOR:
            return None
        try:
            made: Run = self.real.create_run(experiment_id, user_id, start_time, tags, name)
        except Exception as error:
            if not is_for_now(error):
                raise
            self._away_since = time.monotonic()
            log_failure(self.project)
            return None
        reachable: Run = _reachable(made, self.project)
        return reachable

    def _location(self, experiment_id: str, run_id: str) -> str:
        if experiment_id not in self._locations:
            if time.monotonic() - self._away_since < _AWAY_FOR:
                return ""
            try:
                self._locations[experiment_id] = str(self.real.get_experiment(experiment_id).artifact_location)
            except Exception as error:
                if not is_for_now(error):
                    raise
                log_failure(self.project)
                return ""
        return str(append_to_uri_path(self._locations[experiment_id], run_id, "artifacts"))

    def _spool_artifacts_of(self, run: Run) -> None:
        """Have artifacts of this run spooled, before MLflow asks where they go."""
        from mlflow.tracking._tracking_service import utils

        from nbops.tracking.journal.artifacts import SpooledArtifacts

        if self._outbox() is not None and not isinstance(
            utils._artifact_repos_cache.get(run.info.run_id), SpooledArtifacts
        ):
            utils._artifact_repos_cache[run.info.run_id] = SpooledArtifacts(self.project, run.info.run_id)


def real_uri(project: Project) -> str:
    """Return the URI of a project's real store."""
    outbox = current()
    return outbox.uri if outbox is not None and outbox.project.root == project.root else project.tracking_uri


def _shown_tags(tags: list[RunTag]) -> list[RunTag]:
    return [RunTag(tag.key, str(redact_value(tag.key, tag.value))) for tag in tags]


def _reachable(answer: Any, project: Project) -> Any:
    """Return an answer whose artifacts can be reached though the tracking URI isn't the server's own."""
    uri = real_uri(project)
    if uri.startswith("http"):
        from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository

        for holder, name in ((getattr(answer, "info", None), "_artifact_uri"), (answer, "_artifact_location")):
            found = getattr(holder, name, None)
            if isinstance(found, str) and found.startswith("mlflow-artifacts:"):
                setattr(holder, name, MlflowArtifactsRepository.resolve_uri(found, uri))
    return answer
