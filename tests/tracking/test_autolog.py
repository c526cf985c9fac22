"""Autologging in one process: a script's, MLflow's own, and a kernel's, which needs no store to answer."""

from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from nbops.project import Project
from nbops.tracking.journal.file import journals
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

FIT = """
import warnings, pickle
import nbops
import sklearn.datasets
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
X, y = sklearn.datasets.load_breast_cancer(return_X_y=True, as_frame=True)
with nbops.run("script"):
    warnings.simplefilter("error")
    model = LogisticRegression(solver="liblinear").fit(X, y)
    score = model.score(X, y)
    assert not [key for key in vars(model) if "mlflow" in key]
    assert pickle.loads(pickle.dumps(model)).score(X, y) == score
    warnings.simplefilter("ignore")  # a grid search of MLflow's doesn't survive warnings that are errors
GridSearchCV(LogisticRegression(solver="liblinear"), {"C": [1, 2, 3]}, cv=2).fit(X.to_numpy(), y)
print(score)
"""

UNREACHABLE = """
import time
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell(config=config)
shell.run_cell("%load_ext nbops")
shell.run_cell("from sklearn.linear_model import Ridge")
began = time.monotonic()
shell.run_cell("Ridge().fit([[1.0], [2.0]], [1.0, 2.0])").raise_error()
shell.run_cell("Ridge().fit([[1.0], [2.0]], [1.0, 2.0])").raise_error()
print(time.monotonic() - began)
"""


def _python(project: Project, code: str) -> str:
    ended = subprocess.run([sys.executable, "-c", code], cwd=project.root, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout


def test_a_scripts_fit_is_logged_without_noise_plots_or_marks(project: Project) -> None:
    score = float(_python(project, FIT))
    runs = Store(project).runs()
    first = next(run for run in runs if run.name == "script")
    search = next(run for run in runs if "best_C" in run.params)
    assert {run.params["C"] for run in runs if run.parent == search.run_id} == {"1", "2", "3"}
    assert {run.status for run in runs} == {"FINISHED"}
    assert first.params["solver"] == "liblinear"
    assert first.metrics["training_score"] == score
    assert first.metrics["LogisticRegression_score_X"] == score
    assert not [name for name in Store(project).run(first.run_id).artifacts if name.endswith((".png", ".pkl"))]


def test_a_store_that_cannot_be_reached_delays_no_fit(project: Project) -> None:
    (project.root / "nbops.toml").write_text('[tracking]\nuri = "http://127.0.0.1:9"\n', encoding="utf-8")
    assert float(_python(project, UNREACHABLE).splitlines()[-1]) < 2
    [journal] = journals(Project.find(project.root))
    kinds = [type(entry).__name__ for _, entry in journal.read(0)]
    assert kinds.count("Create") == kinds.count("Fit") == 2


def test_readers_can_be_sent_to_other_processes() -> None:
    import pandas as pd

    from nbops.tracking.reads import watch

    told: list[object] = []
    watch(told.append)
    try:
        assert pickle.loads(pickle.dumps(pd.read_csv)) is pd.read_csv
        with pytest.raises(FileNotFoundError):
            pd.read_csv("/nowhere.csv")
        assert told == []
    finally:
        watch(None)
