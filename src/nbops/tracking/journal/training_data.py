"""What XGBoost, LightGBM and statsmodels are trained on, with nbops' fingerprint beside MLflow's digest.

A matrix of XGBoost or a dataset of LightGBM isn't the frame that it was made of, and may have let go of it when it is trained
on. So the frame and the labels are hashed when it is made, which takes a small part of the time of that, and logged when
MLflow logs it as training data. Within the ``fit`` of an estimator it's the frames given to that which count.
"""

from __future__ import annotations

import functools
import inspect
import sys
import weakref
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

from nbops.tracking.failures import guarded
from nbops.tracking.journal.outbox import current
from nbops.tracking.journal.sklearn_fits import foreign_uri, given_to
from nbops.tracking.schema import DatasetVersion

_MADE_OF = {"xgboost": ("DMatrix", "QuantileDMatrix"), "lightgbm": ("Dataset",)}
_LOGS = {"xgboost": "_log_xgboost_dataset", "lightgbm": "_log_lightgbm_dataset"}
_FIT = "fit_mlflow_xgboost_and_lightgbm"  # MLflow's wrapper around it
_known: weakref.WeakKeyDictionary[Any, list[DatasetVersion]] = weakref.WeakKeyDictionary()


def watch(flavor: ModuleType) -> None:
    """Know what a library that MLflow has a `flavor` for is trained on."""
    name = flavor.__name__.rpartition(".")[2]
    library = sys.modules.get(name)
    for kind in _MADE_OF.get(name, ()):
        made = getattr(library, kind, None)
        if made is not None and not hasattr(made.__init__, "_hashes"):
            made.__init__ = _hashing(made.__init__)
    log = getattr(flavor, _LOGS.get(name, ""), None)
    if log is not None and not hasattr(log, "_fingerprints"):
        setattr(flavor, _LOGS[name], _fingerprinting(log))


def log_results(run_id: str, results: Any) -> None:
    """Log what statsmodels' results were estimated from."""
    data = getattr(getattr(results, "model", None), "data", None)
    _log(run_id, _versions(getattr(data, "orig_exog", None), getattr(data, "orig_endog", None)))


def _hashing(init: Callable[..., None]) -> Callable[..., None]:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        outbox = current()
        if outbox is not None:
            guarded(outbox.project, lambda: _remember(self, signature.bind_partial(self, *args, **kwargs).arguments))
        init(self, *args, **kwargs)

    make._hashes = True  # type: ignore[attr-defined]
    return make


def _remember(made: Any, given: dict[str, Any]) -> None:
    _known[made] = _versions(given.get("data"), given.get("label"))


def _fingerprinting(log: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(log)
    def log_both(made: Any, source: Any, context: str, *args: Any, **kwargs: Any) -> Any:
        import mlflow

        run, outbox = mlflow.active_run(), current()
        if context == "train" and run is not None and outbox is not None:
            frame = sys._getframe(1)
            guarded(outbox.project, lambda: _log(run.info.run_id, _given_to_fit(frame) or _known.get(made, [])))
        return log(made, source, context, *args, **kwargs)

    log_both._fingerprints = True  # type: ignore[attr-defined]
    return log_both


def _given_to_fit(frame: FrameType | None) -> list[DatasetVersion]:
    """Return what was given to the ``fit`` of an estimator that is trained above this frame, if there is one."""
    while frame is not None and frame.f_code.co_name != _FIT:
        frame = frame.f_back
    if frame is None:
        return []
    found = frame.f_locals
    given = given_to(found["original"], found["args"], found["kwargs"])
    return _versions(given.get("X"), given.get("y"))


def _versions(X: Any, y: Any) -> list[DatasetVersion]:
    return [version for version in (_version("X", X), _version("y", y)) if version]


def _log(run_id: str, versions: list[DatasetVersion]) -> None:
    from mlflow import MlflowClient

    from nbops.tracking.store.entities import dataset_input

    if versions and foreign_uri() is None:
        MlflowClient().log_inputs(run_id, datasets=[dataset_input(version) for version in versions])


def _version(name: str, value: Any) -> DatasetVersion | None:
    from nbops.snapshot.fingerprint import UNKNOWN, fingerprint, schema_of

    if value is None or isinstance(value, str):
        return None
    digest = fingerprint(value.to_frame() if type(value).__name__ == "Series" else value)
    if digest == UNKNOWN:
        return None
    kind = type(value).__name__
    columns = schema_of(value) if kind == "DataFrame" else {}
    rows = len(value) if hasattr(value, "__len__") else None
    return DatasetVersion(f"fit {name}", f"{name} of fit, {kind}", digest, rows, columns)
