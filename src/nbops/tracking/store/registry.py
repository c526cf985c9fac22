"""Models in MLflow's registry: versions, their tags, and the aliases that point to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbops.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A registered version of a model."""

    model: str
    version: str
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str]


class Registry:
    """The registry of one store.

    Parameters
    ----------
    client
        MLflow's client.
    """

    def __init__(self, client: MlflowClient) -> None:
        self._client = client

    def by_alias(self, model: str, alias: str) -> ModelVersion | None:
        """Return the version that holds an alias, None if none does."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_model_version_by_alias(model, alias)
        except MlflowException:  # MLflow answers so for an unknown model as well as for an unknown alias
            return None
        return self.version(model, found.version)

    def version(self, model: str, version: str) -> ModelVersion:
        """Return one version.

        Raises
        ------
        TrackingError
            If there is none of that number.
        """
        from mlflow.exceptions import MlflowException

        try:
            found = self._client.get_model_version(model, version)
        except MlflowException as error:
            raise TrackingError(f"no version {version} of the model '{model}'", remedy="nbops promote") from error
        return ModelVersion(model, str(found.version), found.run_id, tuple(found.aliases), dict(found.tags))

    def of_run(self, model: str, run_id: str) -> str | None:
        """Return the newest version that a run made, None if it made none."""
        found = self._client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
        return max((str(version.version) for version in found), key=int, default=None)

    def register(self, model: str, run_id: str, artifact: str) -> str:
        """Register a run's artifact as a new version and return its number."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_registered_model(model)
        except MlflowException:
            self._client.create_registered_model(model)
        source = f"{self._client.get_run(run_id).info.artifact_uri}/{artifact}"
        return str(self._client.create_model_version(model, source, run_id).version)

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for key, value in tags.items():
            self._client.set_model_version_tag(model, version, key, value)

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Point an alias at a version."""
        self._client.set_registered_model_alias(model, alias, version)
