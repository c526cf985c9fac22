"""The one place that talks to MLflow.

Runs, models and lineage live in MLflow's own schema: what nbops adds are tags and artifacts whose names start with
``nbops``. `Store` is opened lazily, because importing MLflow takes seconds; a project's SQLite store is migrated
before the first use.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.migration import ensure_migrated
from nbops.tracking.redact import redact_value
from nbops.tracking.registry import Registry
from nbops.tracking.schema import VERSION_KINDS, DatasetVersion, RunDetail, RunSummary, Versions

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

EndStatus = Literal["FINISHED", "FAILED", "KILLED"]
SNAPSHOT_ARTIFACT = "nbops/snapshot.json"
_MAX_PARAM = 6000
_MAX_BATCH = 100
_MAX_RUNS = 50_000
_PREFIX = re.compile("[0-9a-f]{4,32}")


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
        ensure_migrated(uri, self._say)
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri, registry_uri=uri)

    @cached_property
    def registry(self) -> Registry:
        """The store's registry of models."""
        return Registry(self.client)

    @property
    def exists(self) -> bool:
        """Whether there is anything to ask: a SQLite store that nothing has written yet holds nothing."""
        uri = self.project.tracking_uri
        return not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()

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
        try:
            return str(self.client.create_experiment(name, artifact_location=f"{root}/{name}" if root else None))
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
        all_params = [Param(key, str(redact_value(key, value))[:_MAX_PARAM]) for key, value in (params or {}).items()]
        all_metrics = [Metric(key, float(value), now, 0) for key, value in (metrics or {}).items()]
        all_tags = [RunTag(key, value) for key, value in (tags or {}).items()]
        for start in range(0, max(len(all_params), len(all_metrics), len(all_tags), 1), _MAX_BATCH):
            batch = slice(start, start + _MAX_BATCH)
            self.client.log_batch(run_id, metrics=all_metrics[batch], params=all_params[batch], tags=all_tags[batch])

    def log_datasets(self, run_id: str, datasets: Iterable[DatasetVersion]) -> None:
        """Log datasets as MLflow's own, with nbops' fingerprint as their digest."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        inputs = [
            DatasetInput(
                Dataset(
                    name=dataset.name,
                    digest=dataset.digest[:36],
                    source_type="local",
                    source=json.dumps({"uri": dataset.source}),
                    schema=json.dumps(_colspec(dataset.columns)),
                    profile=json.dumps({"num_rows": dataset.rows}),
                ),
                [InputTag("mlflow.data.context", "input")],
            )
            for dataset in datasets
        ]
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
        from mlflow.exceptions import MlflowException

        try:
            return Path(self.client.download_artifacts(run_id, artifact_path, str(into)))
        except (MlflowException, OSError) as error:
            raise TrackingError(f"no artifact '{artifact_path}': {error}", where=f"run {run_id[:8]}") from error

    def end_run(self, run_id: str, status: EndStatus = "FINISHED") -> None:
        """Set a run's final status."""
        self.client.set_terminated(run_id, status)

    def runs(self, *, limit: int = 100, where: str = "") -> list[RunSummary]:
        """Return runs of all experiments, newest first.

        Parameters
        ----------
        limit
            At most so many.
        where
            A filter in MLflow's search syntax, such as ``metrics.auc > 0.7``.

        Raises
        ------
        TrackingError
            If the filter can't be read.
        """
        from mlflow.exceptions import MlflowException

        if not self.exists:
            return []
        names = {found.experiment_id: found.name for found in self.client.search_experiments()}
        try:
            page = self.client.search_runs(
                list(names), where, max_results=min(limit, _MAX_RUNS), order_by=["attributes.start_time DESC"]
            )
        except MlflowException as error:
            raise TrackingError(f"can't search runs: {error.message}", where=f"filter {where!r}") from error
        return [_summary(run, names[run.info.experiment_id]) for run in page]

    def run(self, ref: str) -> RunDetail:
        """Return a run by its id, a unique prefix of it, its name, or ``latest``.

        Raises
        ------
        TrackingError
            If there is no such run, or more than one.
        """
        run = self.client.get_run(self.resolve(ref))
        experiment = self.client.get_experiment(run.info.experiment_id).name
        artifacts = sorted(self._artifacts(run.info.run_id))
        return RunDetail(
            summary=_summary(run, experiment),
            tags=dict(run.data.tags),
            datasets=[_dataset(item.dataset) for item in run.inputs.dataset_inputs],
            artifacts=artifacts,
            snapshot=self.read_json(run.info.run_id, SNAPSHOT_ARTIFACT) if SNAPSHOT_ARTIFACT in artifacts else {},
        )

    def resolve(self, ref: str) -> str:
        """Return the whole id for the beginning of a run's id (four characters or more), for its name, or ``latest``.

        A name that several runs have, as those of a stage do, stands for the newest of them.
        """
        if ref == "latest":
            newest = self.runs(limit=1)
        elif "'" in ref:  # MLflow's filters have no way to write one
            newest = []
        else:
            newest = self._by_prefix(ref.lower()) or self.runs(limit=1, where=f"attributes.run_name = '{ref}'")
        if not newest:
            raise TrackingError(f"no run '{ref}'", remedy="`nbops runs` lists them")
        return newest[0].run_id

    def _by_prefix(self, prefix: str) -> list[RunSummary]:
        if not _PREFIX.fullmatch(prefix):
            return []
        found = self.runs(limit=6, where=f"attributes.run_id LIKE '{prefix}%'")
        if len(found) > 1:
            ids = ", ".join(run.run_id[:12] for run in found[:5])
            count = "more than five" if len(found) > 5 else len(found)
            raise TrackingError(f"'{prefix}' fits {count} runs: {ids}", remedy="give more of the id")
        return found

    def read_json(self, run_id: str, artifact_path: str) -> dict[str, Any]:
        """Return a JSON artifact's content."""
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="nbops-") as folder:
            path = self.download(run_id, artifact_path, Path(folder))
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content

    def _artifacts(self, run_id: str, below: str | None = None) -> Iterable[str]:
        for item in self.client.list_artifacts(run_id, below):
            if item.is_dir:
                yield from self._artifacts(run_id, item.path)
            else:
                yield item.path


def _summary(run: Run, experiment: str) -> RunSummary:
    tags = run.data.tags
    return RunSummary(
        run_id=run.info.run_id,
        name=run.info.run_name or run.info.run_id[:8],
        experiment=experiment,
        status=run.info.status,
        started=run.info.start_time / 1000,
        ended=run.info.end_time / 1000 if run.info.end_time else None,
        params=dict(run.data.params),
        metrics=dict(run.data.metrics),
        versions=Versions(**{kind: tags.get(f"nbops.{kind}") for kind in VERSION_KINDS}),
        notebook=tags.get("nbops.notebook"),
        cell_id=tags.get("nbops.cell"),
        stage=tags.get("nbops.stage"),
        parent=tags.get("mlflow.parentRunId"),
    )


def _dataset(dataset: Any) -> DatasetVersion:
    specs = _json_object(dataset.schema).get("mlflow_colspec") or []
    rows = _json_object(dataset.profile).get("num_rows")
    return DatasetVersion(
        name=dataset.name,
        source=str(_json_object(dataset.source).get("uri", "")) or str(dataset.source or ""),
        digest=dataset.digest,
        rows=rows if isinstance(rows, int) else None,
        columns={spec["name"]: spec["type"] for spec in specs if "name" in spec and "type" in spec},
    )


def _json_object(text: str | None) -> dict[str, Any]:
    """Return a JSON object's content, empty for anything else: a dataset that others logged may hold any text."""
    try:
        content = json.loads(text or "{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _colspec(columns: Mapping[str, str]) -> dict[str, Any]:
    """Return MLflow's JSON of a tabular schema, which its UI shows as columns."""
    return {"mlflow_colspec": [{"name": name, "type": kind, "required": True} for name, kind in columns.items()]}
