"""The real store, as the worker uses it: runs get the ids that the kernel chose, or are mapped to those that the store chose.

MLflow's SQL and file stores make a new run's id by ``uuid.uuid4().hex`` in their own module: for the time of the call that
name gives ours, and what came out is verified. A server over HTTP makes its own: the run then carries ours as the tag
``nbops.id``, and the mapping is kept beside the journal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbops.project import Project
from nbops.tracking.failures import log_failure
from nbops.tracking.journal.entries import Create
from nbops.tracking.journal.file import Journal
from nbops.tracking.journal.refusals import is_for_now
from nbops.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

ID_TAG = "nbops.id"
_LONGEST_TAG = 4000
_MAKERS = ("mlflow.store.tracking.sqlalchemy_store", "mlflow.store.tracking.file_store")


class Real:
    """The stores that a journal's runs are in, and what their ids became.

    Parameters
    ----------
    project
        Whose store is the first of them.
    journal
        Keeps the ids.
    """

    def __init__(self, project: Project, journal: Journal) -> None:
        self.project = project
        self.store = Store(project)
        self.journal = journal
        self._ids = journal.ids()
        self._clients: dict[str, MlflowClient] = {}

    def uri(self, given: str | None) -> str:
        """Return the URI of the store that an entry is meant for."""
        return given or self.project.tracking_uri

    def client(self, uri: str | None) -> MlflowClient:
        """Return MLflow's client on a store."""
        if uri is None:
            return self.store.client
        if uri not in self._clients:
            from mlflow import MlflowClient

            self._clients[uri] = MlflowClient(tracking_uri=uri)
        return self._clients[uri]

    def run_id(self, ours: str) -> str:
        """Return a run's id in its store."""
        return self._ids.get(ours, ours)

    def note(self, ours: str, theirs: str) -> None:
        """Keep what became of an id."""
        if self._ids.get(ours) != theirs:
            self._ids[ours] = theirs
            self.journal.keep_id(ours, theirs)

    def model_of(self, fit_id: str) -> str | None:
        """Return the logged model that a fit made."""
        return self._ids.get(f"model:{fit_id}")

    def create(self, entry: Create) -> None:
        """Make a run, unless it is there already."""
        client = self.client(entry.uri)
        if self._find(client, entry) is not None:
            return
        self._make(client, entry, entry.experiment or self._experiment(entry.uri), {})

    def create_elsewhere(self, entry: Create, error: Exception) -> str | None:
        """Make a run that its experiment was refused to in the project's, else in the store's default; return which."""
        places: list[Callable[[], str]] = [lambda: "0"]
        if entry.uri is None:
            places.insert(0, self.store.experiment_id)
        said = {"nbops.misplaced": f"meant for experiment {entry.experiment}: {error}"[:_LONGEST_TAG]}
        for place in places:
            try:
                experiment = place()
                self._make(self.client(entry.uri), entry, experiment, said)
            except Exception as problem:
                if is_for_now(problem):
                    raise
                log_failure(self.project)
                continue
            return experiment
        return None

    def _make(self, client: MlflowClient, entry: Create, experiment: str, said: dict[str, str]) -> None:
        tags = {**self._with_parent(entry.tags), **said}
        with giving_id(entry.run_id):
            run = client.create_run(experiment, start_time=entry.started, tags=tags, run_name=entry.name)
        if run.info.run_id != entry.run_id:
            client.set_tag(run.info.run_id, ID_TAG, entry.run_id)
            self.note(entry.run_id, run.info.run_id)

    def _with_parent(self, tags: dict[str, str]) -> dict[str, str]:
        """Return a run's tags with its parent's id as the store knows it."""
        parent = tags.get("mlflow.parentRunId")
        return {**tags, "mlflow.parentRunId": self.run_id(parent)} if parent else tags

    def _find(self, client: MlflowClient, entry: Create) -> str | None:
        from mlflow.exceptions import MlflowException

        known = self.run_id(entry.run_id)
        try:
            return str(client.get_run(known).info.run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        if self.uri(entry.uri).startswith("http"):  # made by a worker that died before it noted the id
            experiment = entry.experiment or self._experiment(entry.uri)
            for run in client.search_runs([experiment], f"tags.`{ID_TAG}` = '{entry.run_id}'", max_results=1):
                self.note(entry.run_id, run.info.run_id)
                return str(run.info.run_id)
        return None

    def _experiment(self, uri: str | None) -> str:
        import os

        if uri is not None:
            return "0"
        if chosen := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return chosen
        return self.store.experiment_id(os.environ.get("MLFLOW_EXPERIMENT_NAME"))


@contextmanager
def giving_id(run_id: str) -> Iterator[None]:
    """Have a store that makes ids in this process make this one."""
    modules = [sys.modules[name] for name in _MAKERS if name in sys.modules]
    before = [module.__dict__["uuid"] for module in modules]
    for module in modules:
        module.__dict__["uuid"] = _Given(run_id)
    try:
        yield
    finally:
        for module, real in zip(modules, before, strict=True):
            module.__dict__["uuid"] = real


class _Given:
    """Stands for the module ``uuid`` while one run is made."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def uuid4(self) -> Any:
        import uuid

        return uuid.UUID(hex=self._run_id)

    def __getattr__(self, name: str) -> Any:
        import uuid

        return getattr(uuid, name)
