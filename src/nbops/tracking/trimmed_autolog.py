"""MLflow's scikit-learn autologging, trimmed to what was asked for.

Switches of its own would be better, but it has none for these: after each fit it draws plots of a classifier (80 % of the
cost of a small fit), digests the training frame value by value and logs it with the metrics though datasets are not
logged (the parallel runs of a grid search then fail on the same row, now and then), lets warnings about its own metric calls
through to the user's cell, and writes the run's id into the user's model, where it changes every pickle.
Each is mended by replacing one name in MLflow; a version of MLflow that has no such name is left as it is.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from typing import Any

import wrapt

_trimmed = False


def trim() -> None:
    """Mend MLflow's scikit-learn module when it is imported."""
    global _trimmed
    if not _trimmed:
        _trimmed = True
        wrapt.register_post_import_hook(_trim_utils, "mlflow.sklearn.utils")
        wrapt.register_post_import_hook(_trim_module, "mlflow.sklearn")


def _trim_utils(module: Any) -> None:
    if hasattr(module, "_is_plotting_supported"):
        module._is_plotting_supported = lambda: False
    if hasattr(module, "_log_estimator_content"):
        module._log_estimator_content = _silently(module._log_estimator_content)
    if hasattr(module, "_create_child_runs_for_parameter_search"):
        create = _silently(module._create_child_runs_for_parameter_search)
        module._create_child_runs_for_parameter_search = _without_dataset(create)


def _trim_module(module: Any) -> None:
    for name in ("from_pandas", "from_numpy"):
        if hasattr(module, name):
            setattr(module, name, _no_dataset)
    leave_models_alone(module)


def leave_models_alone(module: Any) -> None:
    """Have `mlflow.sklearn` remember the runs of models elsewhere than in the models."""
    manager: Any = getattr(module, "_AUTOLOGGING_METRICS_MANAGER", None)
    if hasattr(manager, "register_model") and "register_model" not in vars(manager):
        runs = _RunsOfModels()
        manager.register_model, manager.get_run_id_for_model = runs.put, runs.get


class _RunsOfModels:
    """The run that fitted each model, for as long as the model lives."""

    def __init__(self) -> None:
        self._runs: dict[int, str] = {}

    def put(self, model: Any, run_id: str) -> None:
        if id(model) not in self._runs:
            weakref.finalize(model, self._runs.pop, id(model), None)
        self._runs[id(model)] = run_id

    def get(self, model: Any) -> str | None:
        return self._runs.get(id(model))


def _silently(log: Any) -> Any:
    @functools.wraps(log)
    def call(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return log(*args, **kwargs)

    return call


def _without_dataset(create: Any) -> Any:
    """Have the runs of a search made without the dataset, which they can't do without but needn't log."""

    @functools.wraps(create)
    def call(*args: Any, **kwargs: Any) -> Any:
        if client := kwargs.get("autologging_client"):
            client.log_inputs = lambda *_, **__: None
        return create(*args, **{**kwargs, "dataset": _Nothing()})

    return call


class _Nothing:
    name = digest = None

    def _to_mlflow_entity(self) -> None:
        return None


def _no_dataset(*_: object, **__: object) -> None:
    """Refuse to describe a dataset; MLflow then goes on without."""
    raise LookupError("datasets are recorded by nbops")
