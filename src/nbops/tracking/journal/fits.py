"""MLflow's own autologging, run again on a fit that has happened.

In this process ``mlflow.sklearn.autolog`` is on, and below it the ``fit`` of every estimator gives back the estimator that
is being replayed, fitted already, instead of fitting it. So params, metrics, child runs of searches, the logged model, its
signature and the dataset are what MLflow alone would have logged. What a broken attempt left (child runs, a model) is taken
away before the next one; a fit that is marked as done isn't logged again.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import pickle
import sys
import warnings
from collections import defaultdict
from typing import Any

from nbops.tracking.journal import replayed, requirements
from nbops.tracking.journal.entries import Evaluated, Fit, Held, Score
from nbops.tracking.journal.real import Real
from nbops.tracking.journal.refusals import is_for_now
from nbops.tracking.journal.sklearn_hooks import is_public
from nbops.tracking.schema import DatasetVersion

FIT_TAG = "nbops.fit"
_DONE = "done:"
_METRIC_INFO = "metric_info.json"


class Refitted(Exception):
    """Stands for what a fit raised in the kernel."""


class FitReplay:
    """Replays fits and what was measured of them.

    Parameters
    ----------
    real
        The store.
    """

    def __init__(self, real: Real) -> None:
        self.real = real
        self.path: list[str] = []
        self._ready = False
        self._errors: list[Exception] = []
        self._kinds: set[type] = set()
        self._now: tuple[Any, bool] | None = None
        self._commands: dict[str, dict[str, str]] = defaultdict(dict)

    def prepare(self) -> None:
        """Import MLflow's autologging and mend what takes long in it."""
        if self._ready:
            return
        import mlflow
        import mlflow.sklearn.utils

        mlflow.set_tracking_uri(self.real.project.tracking_uri)
        mlflow.set_registry_uri(self.real.project.tracking_uri)
        requirements.replace_inference()
        _only_the_kernels_context()
        self._errors = _listen_to_errors()
        mlflow.sklearn.utils._is_plotting_supported = lambda: False
        self._ready = True

    def _switch_on(self, estimator: Any) -> None:
        """Switch MLflow's autologging on for an estimator's class, over methods that restore instead of fit.

        MLflow would import all of scikit-learn to patch each of its classes: it's shown those that are needed.
        """
        import mlflow.sklearn

        fresh = [kind for kind in type(estimator).__mro__ if is_public(kind) and kind not in self._kinds]
        if not fresh:
            return
        self._kinds |= set(fresh)
        for kind in fresh:
            for name in ("fit", "fit_transform", "fit_predict"):
                self._restore_instead(kind, name)
        mlflow.sklearn._gen_estimators_to_patch = lambda: list(self._kinds)
        mlflow.sklearn.autolog(silent=True, serialization_format="cloudpickle", disable_for_unsupported_versions=False)

    def fit(self, entry: Fit) -> None:
        """Log a fit."""
        run_id = self.real.run_id(entry.run_id)
        client = self.real.client(entry.uri)
        if self.real.run_id(f"{_DONE}{entry.fit_id}") != "yes":
            self.prepare()
            self._clear(client, run_id, entry.fit_id)
            self._log(client, run_id, entry)
            if entry.unrecorded:
                text = f"training metrics and dataset, because of {entry.unrecorded}"
                client.set_tag(run_id, "nbops.unrecorded", text[:5000])
            self._log_frames(client, run_id, entry)
        self._finish(client, run_id, entry)
        (self.real.journal.spool / entry.estimator.file).unlink(missing_ok=True)

    def give_up(self, entry: Fit, error: Exception) -> None:
        """End the run of a fit that can't be logged, and have it say so; the pickle stays where it is."""
        client, run_id = self.real.client(entry.uri), self.real.run_id(entry.run_id)
        client.set_tag(run_id, "nbops.unrecorded", f"the fit: {type(error).__name__}: {error}"[:5000])
        self._finish(client, run_id, entry)

    def _finish(self, client: Any, run_id: str, entry: Fit) -> None:
        if entry.managed:
            from mlflow.entities import RunStatus

            client._tracking_client.store.update_run_info(
                run_id, run_status=RunStatus.from_string(entry.status), end_time=entry.ended, run_name=None
            )
        self.real.note(f"{_DONE}{entry.fit_id}", "yes")

    def evaluated(self, entry: Evaluated) -> None:
        """Log a dataset that a recorded model predicted, as MLflow's ``predict`` does."""
        from mlflow.data.code_dataset_source import CodeDatasetSource
        from mlflow.entities import DatasetInput, InputTag

        dataset = _dataset(self._load(entry.data), CodeDatasetSource(entry.tags))
        if dataset is not None:
            given = DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", "eval")])
            self.real.client(entry.uri).log_inputs(self.real.run_id(entry.run_id), datasets=[given])

    def score(self, entry: Score) -> None:
        """Log a metric that was computed after a fit, and the call that computed it."""
        client, run_id = self.real.client(entry.uri), self.real.run_id(entry.run_id)
        model = self.real.model_of(entry.fit_id)
        client.log_metric(run_id, entry.key, float(entry.value), timestamp=entry.timestamp, model_id=model)
        commands = self._commands[run_id]
        if not commands:
            commands.update(self._earlier(client, run_id))
        commands[entry.key] = entry.command
        client.log_dict(run_id, dict(sorted(commands.items())), _METRIC_INFO)

    def _log(self, client: Any, run_id: str, entry: Fit) -> None:
        import mlflow.sklearn

        estimator = self._load(entry.estimator)
        given = [self._load(held) if held else None for held in (entry.X, entry.y, entry.sample_weight)]
        weights = {"sample_weight": given[2]} if given[2] is not None else {}
        tags = {**entry.tags, FIT_TAG: entry.fit_id}
        self._now = (estimator, entry.status == "FINISHED")
        try:
            with replayed.within(client.get_run(run_id), self.real.uri(entry.uri), tags), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._switch_on(estimator)
                estimator.fit(given[0], given[1], **weights)
        except Refitted:
            pass  # as it did in the kernel
        finally:
            self._now = None
        if self._errors:  # MLflow only warns of its own; what the store didn't take now is tried again as a whole
            error = self._errors.pop()
            self._errors.clear()
            if is_for_now(error):
                raise error
            client.set_tag(run_id, "nbops.unrecorded", f"a part: {type(error).__name__}: {error}"[:5000])
        model = mlflow.sklearn._AUTOLOGGING_METRICS_MANAGER.get_model_id_for_model(estimator)
        if model:
            self.real.note(f"model:{entry.fit_id}", model)

    def _log_frames(self, client: Any, run_id: str, entry: Fit) -> None:
        """Log what was fitted with nbops' own fingerprint beside MLflow's digest."""
        from nbops.tracking.store import Store

        found = [
            DatasetVersion(f"fit {name}", f"{name} of fit, {held.kind}", held.digest, held.rows, held.columns)
            for name, held in (("X", entry.X), ("y", entry.y))
            if held is not None and held.digest
        ]
        if found and entry.uri is None:
            Store(self.real.project).log_datasets(run_id, found)

    def _clear(self, client: Any, run_id: str, fit_id: str) -> None:
        """Take away what an attempt that was broken off left, and note that there is an attempt now."""
        marker = f"begun:{fit_id}"
        if self.real.run_id(marker) == "yes":
            experiment = client.get_run(run_id).info.experiment_id
            where = f"tags.`{FIT_TAG}` = '{fit_id}' and tags.`mlflow.parentRunId` = '{run_id}'"
            for child in client.search_runs([experiment], where):
                client.delete_run(child.info.run_id)
            for model in client.search_logged_models([experiment], filter_string=f"source_run_id = '{run_id}'"):
                if model.tags.get(FIT_TAG) in (None, fit_id) and not self._is_other_fits(model.model_id, fit_id):
                    client.delete_logged_model(model.model_id)
        self.real.note(marker, "yes")

    def _is_other_fits(self, model_id: str, fit_id: str) -> bool:
        ids = self.real.journal.ids()
        return any(ours.startswith("model:") and theirs == model_id for ours, theirs in ids.items())

    def _load(self, held: Held) -> Any:
        for folder in self.path:
            if folder not in sys.path:
                sys.path.append(folder)
        importlib.invalidate_caches()
        return pickle.loads((self.real.journal.spool / held.file).read_bytes())

    def _earlier(self, client: Any, run_id: str) -> dict[str, str]:
        from pathlib import Path
        from tempfile import TemporaryDirectory

        if not any(item.path == _METRIC_INFO for item in client.list_artifacts(run_id)):
            return {}
        with TemporaryDirectory(prefix="nbops-") as folder:
            path = Path(client.download_artifacts(run_id, _METRIC_INFO, folder))
            return dict(json.loads(path.read_text(encoding="utf-8")))

    def _restore_instead(self, kind: type, name: str) -> None:
        raw = inspect.getattr_static(kind, name, None)
        owner, attribute = (raw, "fn") if hasattr(raw, "fn") and hasattr(raw, "check") else (kind, name)
        method = getattr(owner, attribute, None)
        if not callable(method) or isinstance(raw, property) or getattr(method, "_restores", None):
            return

        @functools.wraps(method)
        def fit(estimator: Any, *args: Any, **kwargs: Any) -> Any:
            if self._now is None or self._now[0] is not estimator:
                return method(estimator, *args, **kwargs)
            if not self._now[1]:
                raise Refitted
            return estimator

        fit._restores = True  # type: ignore[attr-defined]
        setattr(owner, attribute, fit)


def _listen_to_errors() -> list[Exception]:
    """Return a list that gets what goes wrong in MLflow's autologging, which keeps that to itself."""
    from mlflow.utils.autologging_utils import AutologgingEventLogger

    errors: list[Exception] = []

    class Listener(AutologgingEventLogger):  # type: ignore[misc]  # MLflow isn't typed
        def log_patch_function_error(
            self,
            session: Any,
            patch_obj: Any,
            function_name: str,
            call_args: Any,
            call_kwargs: Any,
            exception: Exception,
        ) -> None:
            errors.append(exception)

    AutologgingEventLogger.set_logger(Listener())
    return errors


def _only_the_kernels_context() -> None:
    """Have nothing of this process count as the source of a run."""
    from mlflow.tracking.context import registry

    from nbops.tracking.context import CellContext

    registry._run_context_provider_registry._registry[:] = [CellContext()]


def _dataset(value: Any, source: Any) -> Any:
    """Return MLflow's dataset of a value, None for what MLflow has none for."""
    import numpy as np
    import pandas as pd
    from mlflow.data import from_numpy, from_pandas
    from scipy.sparse import issparse

    if isinstance(value, pd.DataFrame):
        return from_pandas(df=value, source=source)
    if issparse(value):
        return from_numpy(features=value.toarray(), source=source)
    if isinstance(value, np.ndarray):
        return from_numpy(features=value, source=source)
    return None
