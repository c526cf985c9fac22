"""Autologging in one process: what wakes it, and what it leaves as it was."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time

import pytest

from nbops.project import Project
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

FIT = """
import sys, warnings, pickle, hashlib
from nbops.project import Project
from nbops.tracking.autolog import Autologging
failures = []
def guard(job):
    try:
        job()
    except Exception as error:
        failures.append(error)
autologging = Autologging(Project.find())
autologging.watch(guard)
warnings.simplefilter("error")
import pandas as pd
import sklearn.datasets, sklearn.metrics
from sklearn.base import BaseEstimator, clone
from sklearn.linear_model import LogisticRegression
assert "mlflow" not in sys.modules
class Odd(BaseEstimator, tuple):
    pass
assert Odd((1, 2)) == (1, 2)
assert "mlflow" in sys.modules and autologging.ready, failures
X, y = sklearn.datasets.load_breast_cancer(return_X_y=True, as_frame=True)
model = LogisticRegression(solver="liblinear").fit(X, y)
score = model.score(X, y)
assert vars(model).keys() == vars(clone(model).fit(X, y)).keys()
assert not [key for key in vars(model) if "mlflow" in key]
assert pickle.loads(pickle.dumps(model)).score(X, y) == score
from sklearn.model_selection import GridSearchCV
warnings.simplefilter("ignore")  # a grid search of MLflow's doesn't survive warnings that are errors
GridSearchCV(LogisticRegression(solver="liblinear"), {"C": [1, 2, 3]}, cv=2).fit(X.to_numpy(), y)
print(score)
"""

UNREACHABLE = """
import time
from nbops.project import Project
from nbops.tracking.autolog import Autologging
failures = []
def guard(job):
    try:
        job()
    except Exception as error:
        failures.append(error)
autologging = Autologging(Project.find())
autologging.watch(guard)
from sklearn.linear_model import Ridge
Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
began = time.monotonic()
Ridge().fit([[1.0], [2.0]], [1.0, 2.0])
print(len(failures), time.monotonic() - began)
"""


def _python(project: Project, code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_fit_is_logged_without_noise_plots_or_marks(project: Project) -> None:
    score = float(_python(project, FIT))
    runs = Store(project).runs()
    first = Store(project).run(runs[-1].run_id)
    search = next(run for run in runs if "best_C" in run.params)
    assert {run.params["C"] for run in runs if run.parent == search.run_id} == {"1", "2", "3"}
    assert {run.status for run in runs} == {"FINISHED"}
    assert first.datasets == []
    assert first.summary.params["solver"] == "liblinear"
    assert first.summary.metrics["training_score"] == score
    assert first.summary.metrics["LogisticRegression_score_X"] == score
    assert not [name for name in first.artifacts if name.endswith((".png", ".pkl"))]


def test_a_store_that_cannot_be_reached_delays_once_and_breaks_nothing(project: Project) -> None:
    (project.root / "nbops.toml").write_text('[tracking]\nuri = "http://127.0.0.1:9"\n', encoding="utf-8")
    began = time.monotonic()
    failures, second = _python(project, UNREACHABLE).split()
    assert int(failures) == 1
    assert float(second) < 1
    assert time.monotonic() - began < 60


def test_readers_can_be_sent_to_other_processes() -> None:
    import pandas as pd

    from nbops.tracking.reads import watch_pandas

    told: list[object] = []
    watch_pandas(told.append)
    try:
        assert pickle.loads(pickle.dumps(pd.read_csv)) is pd.read_csv
        with pytest.raises(FileNotFoundError):
            pd.read_csv("/nowhere.csv")
        assert told == []
    finally:
        watch_pandas(None)
