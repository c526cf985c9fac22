"""Fits recorded in a kernel without MLflow leave in the store what MLflow's own autologging leaves."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from nbops.project import Project
from nbops.tracking.journal import settle
from nbops.tracking.store import Store
from nbops.tracking.store.migration import ensure_migrated

pytestmark = pytest.mark.slow

CELLS = [
    """
import numpy as np, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_diabetes, load_iris
X, y = load_iris(return_X_y=True, as_frame=True)
Xa, ya = X.to_numpy(), y.to_numpy()
Xd, yd = load_diabetes(return_X_y=True)
from sklearn.base import BaseEstimator, RegressorMixin, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM
""",
    "a = LogisticRegression(C=2.0, max_iter=300).fit(X, y, sample_weight=np.linspace(1, 2, len(y)))\na.score(X[:50], y[:50])",
    "guess = a.predict(X[50:])\nf1_score(y[50:], guess, average='macro')\naccuracy_score(y[50:], guess)",
    "b = make_pipeline(StandardScaler(), Ridge(alpha=0.5)).fit(y=yd, X=Xd)",
    "g = GridSearchCV(Ridge(), {'alpha': [0.1, 1.0]}, cv=2).fit(Xd, yd)\ng.score(Xd, yd)",
    "labels = KMeans(3, random_state=0, n_init=1).fit_predict(Xa)\nflat = PCA(2).fit_transform(Xa)",
    "st = StackingRegressor([('r', Ridge())], cv=2).fit(Xd, yd)\noc = OneClassSVM().fit(Xa)",
    "scaled = StandardScaler().fit_transform(X)\nfolds = cross_val_score(Ridge(), Xd, yd, cv=2)",
    """
class Mine(RegressorMixin, BaseEstimator):
    def fit(self, X, y):
        self.mean_ = float(np.mean(y))
        return self
class Double(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        return self
    def transform(self, X):
        return X * 2
class Over(Ridge):
    def fit(self, X, y):
        return super().fit(X, y)
Mine().fit(Xd, yd)
over, custom = Over(alpha=3.0).fit(Xd.tolist(), yd.tolist()), make_pipeline(Double(), Ridge()).fit(Xd, yd)
""",
    """
for wrong in (LogisticRegression(), LogisticRegression(C=-1)):
    try:
        wrong.fit(X, y[:10])
    except ValueError:
        pass
""",
    "a.fit(X, y)\na.score(X[50:], y[50:])",
]
PEER = """
import __main__, json, logging, sys
import mlflow, mlflow.models, mlflow.sklearn.utils
logging.getLogger("mlflow").setLevel(logging.ERROR)
mlflow.set_tracking_uri(sys.argv[1])
mlflow.models.infer_pip_requirements = lambda *_, **__: ["scikit-learn"]  # takes ten seconds a model
mlflow.sklearn.utils._is_plotting_supported = lambda: False
mlflow.sklearn.autolog(silent=True)
for number, cell in enumerate(json.load(sys.stdin)):
    exec(compile(cell, f"<cell {number}>", "exec"), __main__.__dict__)
"""


def logged(uri: str) -> list[dict[str, Any]]:
    """Return what a store's runs have, oldest first, without what differs from one execution to the next."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    runs = sorted(client.search_runs([e.experiment_id for e in client.search_experiments()]), key=_started)
    return [_logged(client, run, runs) for run in runs if "mlflow.parentRunId" not in run.data.tags]


def _started(run: Any) -> int:
    return int(run.info.start_time)


def _logged(client: Any, run: Any, runs: list[Any]) -> dict[str, Any]:
    children = [other for other in runs if other.data.tags.get("mlflow.parentRunId") == run.info.run_id]
    models = [client.get_logged_model(made.model_id) for made in run.outputs.model_outputs]
    return {
        "params": run.data.params,
        "metrics": _untimed(run.data.metrics),
        "status": run.info.status,
        "tags": {key: value for key, value in run.data.tags.items() if key.startswith(("estimator", "mlflow.auto"))},
        "unrecorded": run.data.tags.get("nbops.unrecorded"),
        "datasets": sorted(
            (one.dataset.name, one.dataset.digest, one.dataset.schema, sorted((tag.key, tag.value) for tag in one.tags))
            for one in run.inputs.dataset_inputs
            if not one.dataset.name.startswith("fit ")
        ),
        "models": sorted(((model.name, model.params, _signature(model)) for model in models), key=itemgetter(0)),
        "artifacts": sorted(item.path for item in client.list_artifacts(run.info.run_id) if item.path != "nbops"),
        "children": sorted((sorted(child.data.params.items()), child.info.status) for child in children),
    }


def _untimed(metrics: dict[str, float]) -> dict[str, float]:
    """Leave times out, and the number that MLflow gives a nameless dataset whose address was another's before."""
    return {
        re.sub(r"(unknown_dataset)-\d+$", r"\1", key): value for key, value in metrics.items() if "_time" not in key
    }


def _signature(model: Any) -> Any:
    text = (Path(model.artifact_location.removeprefix("file://")) / "MLmodel").read_text(encoding="utf-8")
    return yaml.safe_load(text).get("signature")


def test_the_store_has_what_mlflow_alone_logs(
    project: Project, tmp_path: Path, start_kernel: Callable[..., Any]
) -> None:
    peer = f"sqlite:///{tmp_path / 'peer.db'}"
    ensure_migrated(peer)
    alone = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", PEER, peer], cwd=tmp_path, stdin=subprocess.PIPE, text=True
    )
    assert alone.stdin
    with alone.stdin as stream:
        json.dump(CELLS, stream)
    kernel = start_kernel()
    for cell in ("%load_ext nbops", *CELLS):
        reply = kernel.run(cell)
        assert (reply.status, reply.error) == ("ok", "")
    assert kernel.run("import sys; 'mlflow' in sys.modules").text == "False"
    assert alone.wait(200) == 0
    kernel.stop()
    assert settle(project, timeout=120)
    assert not (project.state / "nbops.log").exists()
    ours, theirs = logged(project.tracking_uri), logged(peer)
    assert [run["tags"]["estimator_name"] for run in ours] == [run["tags"]["estimator_name"] for run in theirs]
    for mine, its in zip(ours, theirs, strict=True):
        assert mine.pop("metrics") == pytest.approx(
            its.pop("metrics"), rel=1e-9
        )  # sums in threads differ in the last bit
        assert mine == its
    store = Store(project)
    first = next(run for run in store.runs() if "f1_score_X" in str(run.metrics) or run.params.get("C") == "2.0")
    made = store.client.get_run(first.run_id).outputs.model_outputs[0].model_id
    import mlflow.sklearn

    mlflow.set_tracking_uri(project.tracking_uri)
    assert mlflow.sklearn.load_model(f"models:/{made}").C == 2.0


UNTOUCHED = """
import pickle, sys, traceback, warnings
import sklearn.base, inspect
from sklearn.linear_model import Ridge, LogisticRegression
from sklearn.metrics import f1_score
before = inspect.getattr_static(Ridge, "fit")
model = Ridge()
model.fit([[1.0], [2.0]], [1.0, 2.0])
assert inspect.getattr_static(Ridge, "fit") is before
assert list(vars(model)) == list(vars(Ridge().fit([[1.0], [2.0]], [1.0, 2.0])))
assert not [name for name in vars(model) if "nbops" in name or "mlflow" in name]
assert pickle.loads(pickle.dumps(model)).predict([[1.0]]) == model.predict([[1.0]])
assert pickle.loads(pickle.dumps(f1_score)) is f1_score
assert str(inspect.signature(Ridge.predict)) == "(self, X)"
try:
    LogisticRegression().fit([[1.0], [2.0]], [1.0])
except ValueError:
    frames = [frame.filename for frame in traceback.extract_tb(sys.exc_info()[2])]
assert not [name for name in frames if "nbops" in name], frames
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    LogisticRegression(max_iter=1).fit([[1.0], [2.0], [3.0]], [0, 1, 1])
assert [one.category.__name__ for one in caught] == ["ConvergenceWarning"], caught
"""
OFF = "import mlflow.sklearn\nmlflow.sklearn.autolog(disable=True)\nRidge(alpha=77).fit([[1.0], [2.0]], [1.0, 2.0]);"


def test_models_warnings_and_tracebacks_stay_as_they_are(project: Project, start_kernel: Callable[..., Any]) -> None:
    kernel = start_kernel()
    kernel.run("from sklearn.linear_model import Lasso\nold = Lasso()")
    assert kernel.run("%load_ext nbops").status == "ok"
    reply = kernel.run(UNTOUCHED)
    assert (reply.status, reply.error) == ("ok", "")
    assert kernel.run("old.fit([[1.0], [2.0]], [1.0, 2.0]);").status == "ok"
    (project.root / "other.py").write_text("import sklearn.linear_model as m\nm.Ridge().fit([[1]], [1])\n")
    assert kernel.run("%run other.py").status == "ok"
    assert kernel.run(OFF).status == "ok"
    kernel.stop()
    assert settle(project, timeout=90)
    runs = Store(project).runs()
    assert [run.params["selection"] for run in runs if "selection" in run.params] == ["cyclic"], (
        "made before, fitted after"
    )
    alphas = [run.params.get("alpha") for run in runs]
    assert "77" not in alphas, "the user switched autologging off"
    assert [run.status for run in runs if run.params.get("max_iter") == "100"] == ["FAILED"]
