"""Runs that a notebook makes land in each of the stores, whole; a killed kernel's run is closed there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.schema import VERSION_KINDS, RunSummary
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

CELLS = (
    "%load_ext nbops",
    "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression",
    "df = pd.read_csv('in.csv')",
    "C = 0.5\nmodel = LogisticRegression(C=C).fit(df[['x', 'ä']], df['y'])",
    "%%nbops run 'by hand' -p lr=0.1\n"
    "import mlflow\nimport nbops\n"
    "for step in range(30):\n    mlflow.log_metric('loss', 1 / (step + 1), step=step)\n"
    "mlflow.log_text('ä' * 1000, 'notes/größe.txt')\n"
    "print('run', mlflow.active_run().info.run_id)",
)


@pytest.fixture
def ran(project: Project, start_kernel: Callable[..., Any]) -> tuple[Any, str]:
    """Return a kernel that executed the cells, and the id that it saw of the run by hand."""
    rows = "".join(f"{i},{i % 5},{i % 2}\n" for i in range(40))
    (project.root / "in.csv").write_text(f"x,ä,y\n{rows}", encoding="utf-8")
    kernel = start_kernel()
    replies = [kernel.run(cell) for cell in CELLS]
    assert [reply.error for reply in replies] == [""] * len(CELLS)
    return kernel, replies[-1].text.split("run ")[-1].split()[0]


def mine(store: Store) -> dict[str, RunSummary]:
    return {run.name: run for run in store.runs(experiment=store.project.experiment)}


def test_what_a_notebook_did_is_there_and_what_a_killed_kernel_left_is_closed(
    ran: tuple[Any, str], store: Store, tmp_path: Path
) -> None:
    kernel, kernels_id = ran
    by_hand = mine(store)["by hand"]
    (fitted,) = [run for run in mine(store).values() if run.name != "by hand"]
    fit, hand = store.run(fitted.run_id), store.run(kernels_id)
    assert hand.summary.run_id == by_hand.run_id, "found by the id that the kernel saw"
    assert hand.summary.params["lr"] == "0.1"
    assert [point.step for point in store.metric_history(by_hand.run_id, "loss")] == list(range(30))
    assert store.download(by_hand.run_id, "notes/größe.txt", tmp_path).read_text(encoding="utf-8") == "ä" * 1000
    assert fit.summary.params["C"] == "0.5"
    assert "training_score" in fit.summary.metrics
    assert all(getattr(fit.summary.versions, kind) for kind in VERSION_KINDS)
    assert any(dataset.source == "in.csv" and dataset.rows == 40 for dataset in fit.datasets)
    assert "nbops/snapshot.json" in fit.artifacts
    assert json.dumps(fit.snapshot["code"]).count("LogisticRegression")
    assert (fitted.status, by_hand.status) == ("FINISHED", "FINISHED")

    kernel.client.execute("import time\nwith nbops.run('dies'):\n    mlflow.log_param('p', 1)\n    time.sleep(600)")
    deadline = time.monotonic() + 60
    while "dies" not in mine(store):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert mine(store)["dies"].status == "RUNNING"
    assert close_dead(store) == [], "it lives"
    kernel.kill()
    assert close_dead(store) == [mine(store)["dies"].run_id]
    assert store.run("dies").summary.status == "KILLED"
