"""Runs belong to the project's experiment where the user chose none: MLflow asks its providers before it takes its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbops.tracking.store import Store

_providing: Callable[[], Store | None] | None = None


def provide(store: Callable[[], Store | None]) -> None:
    """Have MLflow ask.

    Parameters
    ----------
    store
        Returns the store that is recorded into now, None where none is.
    """
    global _providing
    _providing = store
    from mlflow.tracking.default_experiment import registry
    from mlflow.tracking.default_experiment.abstract_context import DefaultExperimentProvider

    class ProjectExperiment(DefaultExperimentProvider):  # type: ignore[misc]  # MLflow isn't typed
        def in_context(self) -> bool:
            from nbops.tracking.journal.sklearn_fits import foreign_uri

            return _store() is not None and foreign_uri() is None

        def get_experiment_id(self) -> str:
            found = _store()
            assert found is not None, "only in context"
            return found.experiment_id()

    providers = registry._default_experiment_provider_registry
    if not any(type(provider).__name__ == ProjectExperiment.__name__ for provider in providers):
        providers.register(ProjectExperiment)


def _store() -> Store | None:
    return _providing() if _providing is not None else None
