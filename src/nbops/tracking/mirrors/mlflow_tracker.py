"""MLflow as a tracker: a mirror on another MLflow server or database, ``mirrors = ["mlflow=https://host"]``.

MLflow gives runs ids of its own. The one that the contract names is the tag ``nbops.id``, by which every call finds its run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.mirrors.tracker import MetricValue, NewRun, Tracker
from nbops.tracking.schema import DatasetVersion, RunStatus
from nbops.tracking.store import Store
from nbops.tracking.store.entities import batches, dataset_input, key_of, text_of
from nbops.tracking.store.search import ID_TAG

_PER_CALL = 800


class MlflowTracker(Tracker):
    """Records runs in another MLflow store; see `Tracker`."""

    def __init__(self, project: Project, target: str = "") -> None:
        super().__init__(project, target)
        if not target or target == project.tracking_uri:
            remedy = 'say which: mirrors = ["mlflow=https://host"]'
            raise TrackingError("a mirror on MLflow needs another tracking URI", remedy=remedy)
        settings = {**project.config, "tracking": {"uri": target, "experiment": project.experiment}}
        self.store = Store(replace(project, config=settings))
        self._ids: dict[str, str] = {}

    def start(self, run: NewRun) -> None:
        if self._find(run.run_id):
            return
        tags = {key_of(key): text_of(value, 8000) for key, value in run.tags.items()} | {ID_TAG: run.run_id}
        if run.parent and (parent := self._find(run.parent)):
            tags["mlflow.parentRunId"] = parent
        experiment = self.store.experiment_id(run.experiment)
        made = self.store.client.create_run(
            experiment, start_time=int(run.started * 1000), tags=tags, run_name=text_of(run.name, 250)
        )
        self._ids[run.run_id] = made.info.run_id

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        self.store.log(self._id(run_id), params=params)

    def log_metrics(self, run_id: str, values: Sequence[MetricValue]) -> None:
        from mlflow.entities import Metric

        found = [Metric(key_of(one.name), one.value, int(one.time * 1000), one.step) for one in values]
        for some in batches(found, count=_PER_CALL):
            self.store.client.log_batch(self._id(run_id), metrics=some)

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        own = ("mlflow.parentRunId", ID_TAG)  # ids of the other store
        self.store.log(self._id(run_id), tags={key: value for key, value in tags.items() if key not in own})

    def log_datasets(self, run_id: str, datasets: Sequence[DatasetVersion]) -> None:
        if datasets:
            self.store.client.log_inputs(self._id(run_id), datasets=[dataset_input(one) for one in datasets])

    def log_artifact(self, run_id: str, file: Path, artifact_path: str) -> None:
        folder, _, name = artifact_path.rpartition("/")
        if file.name == name:
            self.store.log_file(self._id(run_id), file, folder)
            return
        with TemporaryDirectory(prefix="nbops-mirror-") as place:  # MLflow names an artifact as its file
            (Path(place) / name).write_bytes(file.read_bytes())
            self.store.log_file(self._id(run_id), Path(place) / name, folder)

    def end(self, run_id: str, status: RunStatus, ended: float) -> None:
        self.store.client.set_terminated(self._id(run_id), status, int(ended * 1000))

    def flush(self) -> None:
        """Return at once: each call is in the store when it returns."""

    def _id(self, run_id: str) -> str:
        found = self._find(run_id)
        if found is None:
            raise TrackingError(f"the run {run_id[:8]} was never started", where=self.target)
        return found

    def _find(self, run_id: str) -> str | None:
        if run_id not in self._ids:
            found = self.store.runs(limit=1, where=f"tags.`{ID_TAG}` = '{run_id}'")
            if not found:
                return None
            self._ids[run_id] = found[0].run_id
        return self._ids[run_id]
