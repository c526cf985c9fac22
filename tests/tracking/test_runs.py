"""`nbops.run` outside of a notebook: its status, its versions, and runs left open inside."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from nbops.project import Project
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

SCRIPT = """
import mlflow, nbops
password = "hunter2zz"
with nbops.run("good", params={"lr": 0.1}, tags={"team": "a"}):
    mlflow.log_metric("auc", 0.7)
    mlflow.start_run(run_name="left inside", nested=True)
assert mlflow.active_run() is None
mlflow.start_run(run_name="around")
try:
    with nbops.run("bad"):
        1 / 0
except ZeroDivisionError:
    pass
try:
    with nbops.run("stopped"):
        mlflow.end_run()
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
assert mlflow.active_run().info.run_name == "around"
with nbops.run("interrupted"):
    raise KeyboardInterrupt
"""


def test_a_script_gets_runs_with_its_versions(project: Project) -> None:
    (project.root / "train.py").write_text(SCRIPT, encoding="utf-8")
    ended = subprocess.run([sys.executable, "train.py"], cwd=project.root, capture_output=True, text=True, check=False)
    assert "KeyboardInterrupt" in ended.stderr
    store = Store(project)
    runs = {run.name: run for run in store.runs()}
    assert {name: run.status for name, run in runs.items()} == {
        "good": "FINISHED",
        "left inside": "FINISHED",
        "around": "FINISHED",
        "bad": "FAILED",
        "stopped": "FINISHED",
        "interrupted": "KILLED",
    }
    good = store.run(runs["good"].run_id)
    assert (good.summary.params, good.summary.metrics, good.tags["team"]) == ({"lr": "0.1"}, {"auc": 0.7}, "a")
    assert good.summary.versions.code
    assert good.summary.versions.environment
    assert good.summary.versions.data is None
    assert runs["bad"].parent == runs["around"].run_id
    assert "nbops.run" in good.snapshot["code"]["cells"][0]["source"]
    assert "hunter2zz" not in json.dumps(good.snapshot)
    assert "numpy" in good.snapshot["environment"]["distributions"]
