"""MLflow's scikit-learn autologging, trimmed to what was asked for.

Switches of its own would be better, but it has none for these: after each fit it draws plots of a classifier (80 % of the
cost of a small fit), digests the training frame value by value though datasets are not logged, lets warnings about
its own metric calls through to the user's cell, and writes the run's id into the user's model, where it changes every pickle.
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


def _trim_module(module: Any) -> None:
    if hasattr(module, "from_pandas"):
        module.from_pandas = _with_fingerprint(module.from_pandas)
    manager: Any = getattr(module, "_AUTOLOGGING_METRICS_MANAGER", None)
    if hasattr(manager, "register_model") and hasattr(manager, "get_run_id_for_model"):
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


def _with_fingerprint(make: Any) -> Any:
    @functools.wraps(make)
    def call(df: Any, *args: Any, **kwargs: Any) -> Any:
        from nbops.snapshot.fingerprint import fingerprint_frame

        kwargs.setdefault("digest", fingerprint_frame(df)[:8])
        return make(df, *args, **kwargs)

    return call
