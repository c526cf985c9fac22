"""The one place that talks to MLflow.

Runs, models and lineage live in MLflow's own schema: what nbops adds are tags and artifacts whose names start with
``nbops``. The store may be SQLite, PostgreSQL or an MLflow server. `Store` is opened lazily, because importing MLflow takes
seconds; the database is migrated before the first use, and a server that doesn't answer is told at once rather than after
MLflow's minutes of retries. A read first waits until what kernels journaled is there (see `nbops.tracking.journal`).
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from nbops.errors import MissingExtra, TrackingError
from nbops.project import Project
from nbops.tracking import journal
from nbops.tracking.journal import refused
from nbops.tracking.journal.refusals import is_a_race
from nbops.tracking.redaction.redact import redact_value
from nbops.tracking.schema import DatasetVersion, Point, RunDetail, RunSummary
from nbops.tracking.store import search
from nbops.tracking.store.baseline import judged
from nbops.tracking.store.entities import (
    MAX_PARAM,
    MAX_TAG,
    batches,
    dataset_input,
    dataset_of,
    key_of,
    summary_of,
    text_of,
)
from nbops.tracking.store.migration import ensure_migrated, is_database
from nbops.tracking.store.reach import ensure_reachable
from nbops.tracking.store.registry import Registry

if TYPE_CHECKING:
    from mlflow import MlflowClient

EndStatus = Literal["FINISHED", "FAILED", "KILLED"]
SNAPSHOT_ARTIFACT = "nbops/snapshot.json"
_MAX_BATCH = 100
_MAX_METRICS = 800


class Store:
    """A project's runs and models in its MLflow store.

    Parameters
    ----------
    project
        Whose store it is.
    say
        Told about slow work, such as the first migration.
    """

    def __init__(self, project: Project, *, say: Callable[[str], None] | None = None) -> None:
        self.project = project
        self._say = say
        self._experiments: dict[str, str] = {}

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's client on this store."""
        uri = self.project.tracking_uri
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        for chatty in ("alembic", "mlflow.store.db.utils"):
            logging.getLogger(chatty).setLevel(logging.WARNING)
        ensure_reachable(uri)
        ensure_migrated(uri, self._say)
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        try:
            return MlflowClient(tracking_uri=uri, registry_uri=uri)
        except MlflowException as error:
            if not is_a_race(error):
                raise
            return MlflowClient(tracking_uri=uri, registry_uri=uri)  # another process made the default experiment

    @cached_property
    def registry(self) -> Registry:
        """The store's registry of models."""
        return Registry(self.client)

    @property
    def exists(self) -> bool:
        """Whether there is anything to ask: a SQLite store that nothing has written yet holds nothing."""
        uri = self.project.tracking_uri
        return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()

    def settle(self) -> None:
        """Wait until what kernels journaled in this project is in the store; each read does so first."""
        ensure_reachable(self.project.tracking_uri)
        journal.settle(self.project)
        if self._say and (told := refused.told(self.project)):
            self._say(told)
            self._say = None

    def experiment_id(self, name: str | None = None) -> str:
        """Return the id of an experiment (default: the project's), made when missing."""
        name = name or self.project.experiment
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            self._experiments[name] = found.experiment_id if found else self._create_experiment(name)
        return self._experiments[name]

    def _create_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        root = self.project.artifact_root
        if root is None and is_database(self.project.tracking_uri):
            root = (self.project.state / "artifacts").as_uri()  # MLflow's own default is ./mlruns, wherever that is
        place = f"{root.rstrip('/')}/{quote(name, safe=' ')}" if root else None
        try:
            return str(self.client.create_experiment(name, artifact_location=place))
        except MlflowException as error:  # another process may have made it meanwhile
            found = self.client.get_experiment_by_name(name)
            if found is None:
                raise TrackingError(f"can't make the experiment '{name}': {error}") from error
            return str(found.experiment_id)

    def start_run(
        self,
        name: str,
        *,
        experiment: str | None = None,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Make a run and return its id; it is RUNNING until `end_run`."""
        tags = dict(tags or {})
        if parent:
            tags["mlflow.parentRunId"] = parent
        if "nbops.notebook" in tags:
            tags.setdefault("mlflow.source.name", tags["nbops.notebook"])
            tags.setdefault("mlflow.source.type", "NOTEBOOK")
        run = self.client.create_run(self.experiment_id(experiment), run_name=name, tags=tags)
        return str(run.info.run_id)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log params, metrics and tags in batches; values of params named like secrets are masked."""
        from mlflow.entities import Metric, Param, RunTag

        now = int(time.time() * 1000)
        all_params = [
            Param(key_of(key), text_of(redact_value(key, value), MAX_PARAM)) for key, value in (params or {}).items()
        ]
        all_metrics = [Metric(key_of(key), float(value), now, 0) for key, value in (metrics or {}).items()]
        all_tags = [RunTag(key_of(key), text_of(value, MAX_TAG)) for key, value in (tags or {}).items()]
        for some_metrics, some_params, some_tags in zip_longest(
            batches(all_metrics, count=_MAX_METRICS),
            batches(all_params, count=_MAX_BATCH),
            batches(all_tags, count=_MAX_BATCH),
            fillvalue=(),
        ):
            self.client.log_batch(run_id, metrics=some_metrics, params=some_params, tags=some_tags)

    def log_datasets(self, run_id: str, datasets: Iterable[DatasetVersion]) -> None:
        """Log datasets as MLflow's own, with nbops' fingerprint as their digest."""
        inputs = [dataset_input(dataset) for dataset in datasets]
        if inputs:
            self.client.log_inputs(run_id, datasets=inputs)

    def log_text(self, run_id: str, text: str, artifact_path: str) -> None:
        """Write text as an artifact."""
        self.client.log_text(run_id, text, artifact_path)

    def log_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Copy a file into a run's artifacts, below `folder`."""
        self.client.log_artifact(run_id, str(path), folder or None)

    def log_folder(self, run_id: str, path: Path, folder: str) -> None:
        """Copy a folder's content into a run's artifacts, below `folder`."""
        self.client.log_artifacts(run_id, str(path), folder)

    def download(self, run_id: str, artifact_path: str, into: Path) -> Path:
        """Fetch an artifact (a file or a folder) and return where it is now.

        Raises
        ------
        TrackingError
            If the run has no such artifact.
        """
        into.mkdir(parents=True, exist_ok=True)
        try:
            return Path(self._repository(run_id).download_artifacts(artifact_path, str(into)))
        except ModuleNotFoundError as error:
            raise MissingExtra("s3", f"the artifact store ({error})") from error
        except Exception as error:  # whatever the client of an artifact store raises
            raise TrackingError(f"no artifact '{artifact_path}': {error}", where=f"run {run_id[:8]}") from error

    def end_run(self, run_id: str, status: EndStatus = "FINISHED") -> None:
        """Set a run's final status."""
        self.client.set_terminated(run_id, status)

    def runs(
        self, *, limit: int = 100, where: str = "", experiment: str | None = None, made_again: bool = True
    ) -> list[RunSummary]:
        """Return runs, newest first, each with what it is against its experiment's baseline.

        Parameters
        ----------
        limit
            At most so many.
        where
            A filter in MLflow's search syntax, such as ``metrics.auc > 0.7``.
        experiment
            Only of this experiment (default: of all).
        made_again
            Whether runs that ``nbops reproduce`` made are among them.

        Raises
        ------
        TrackingError
            If the filter can't be read.
        """
        self.settle()
        if not self.exists:
            return []
        known = search.experiments(self.client)
        among = [key for key, value in known.items() if experiment in (None, value.name)]
        found = search.runs(self.client, among, where, limit, made_again=made_again) if among else iter(())
        return judged(self, (summary_of(run, known[run.info.experiment_id].name) for run in found), known.values())

    def run(self, ref: str) -> RunDetail:
        """Return a run by its id, a unique prefix of it, its name, or ``latest``.

        Raises
        ------
        TrackingError
            If there is no such run, or more than one.
        """
        run = self.client.get_run(self.resolve(ref))
        experiment = self.client.get_experiment(run.info.experiment_id)
        artifacts = sorted(self.artifacts(run.info.run_id))
        return RunDetail(
            summary=judged(self, [summary_of(run, experiment.name)], [experiment])[0],
            tags=dict(run.data.tags),
            datasets=[dataset_of(item) for item in run.inputs.dataset_inputs],
            artifacts=artifacts,
            snapshot=self.read_json(run.info.run_id, SNAPSHOT_ARTIFACT) if SNAPSHOT_ARTIFACT in artifacts else {},
        )

    def resolve(self, ref: str) -> str:
        """Return the whole id for the beginning of a run's id (four characters or more), for its name, or ``latest``.

        A name that several runs have, as those of a stage do, stands for the newest of them. The id that a run got in its
        kernel is as good as the one that a server gave it.
        """
        self.settle()
        if not self.exists:
            raise TrackingError(f"no run '{ref}'", remedy="`nbops runs` lists them")
        return search.resolve(self.client, search.experiments(self.client), ref)

    def children(self, run_id: str, *, limit: int = 1000) -> list[RunSummary]:
        """Return the runs below a run, newest first."""
        return self.runs(limit=limit, where=f"tags.mlflow.parentRunId = '{run_id}'")

    def metric_history(self, run_id: str, name: str) -> list[Point]:
        """Return all values of a metric, by their steps."""
        history = self.client.get_metric_history(run_id, name)
        return sorted(Point(point.step, point.value, point.timestamp / 1000) for point in history)

    def read_json(self, run_id: str, artifact_path: str) -> dict[str, Any]:
        """Return a JSON artifact's content."""
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="nbops-") as folder:
            path = self.download(run_id, artifact_path, Path(folder))
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def _repository(self, run_id: str) -> Any:
        """Return where a run's own artifacts are; MLflow's client looks through the process's default store for models."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        uri = self.project.tracking_uri
        place = self.client.get_run(run_id).info.artifact_uri
        return get_artifact_repository(place, tracking_uri=uri, registry_uri=uri)

    def artifacts(self, run_id: str, below: str | None = None) -> Iterable[str]:
        """Yield the paths of a run's artifacts, those of folders too."""
        try:
            items = self._repository(run_id).list_artifacts(below)
        except ModuleNotFoundError as error:
            raise MissingExtra("s3", f"the artifact store ({error})") from error
        except Exception as error:  # whatever the client of an artifact store raises
            raise TrackingError(f"can't list artifacts: {error}", where=f"run {run_id[:8]}") from error
        for item in items:
            if item.is_dir:
                yield from self.artifacts(run_id, item.path)
            else:
                yield item.path
