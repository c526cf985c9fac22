"""MLflow's own client and UI show what nbops tracked."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loop import Loop

pytestmark = pytest.mark.slow
_START_SECONDS = 120


def test_the_client_finds_runs_params_metrics_and_datasets(loop: Loop) -> None:
    import mlflow

    mlflow.set_tracking_uri(loop.project.tracking_uri)
    runs = mlflow.search_runs(search_all_experiments=True, filter_string="tags.`nbops.stage` = 'train'")
    assert len(runs) == 1
    run = runs.iloc[0]
    assert run["params.C"] == "1.0"
    assert run["metrics.accuracy"] > run["metrics.baseline_accuracy"]
    assert run["tags.mlflow.source.name"] == "notebooks/02_train.ipynb"
    assert all(len(run[f"tags.nbops.{kind}"]) == 8 for kind in ("code", "data", "model", "environment", "experiment"))
    datasets = mlflow.get_run(run["run_id"]).inputs.dataset_inputs
    assert {item.dataset.name for item in datasets} >= {"train.csv", "test.csv"}


@pytest.fixture(scope="module")
def ui(loop: Loop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log: Path = tmp_path_factory.mktemp("ui") / "log"
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--backend-store-uri", loop.project.tracking_uri],
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            deadline = time.monotonic() + _START_SECONDS
            while True:
                try:
                    if client.get("/health").status_code == 200:
                        break
                except httpx.TransportError:
                    assert time.monotonic() < deadline, log.read_text()
                    assert process.poll() is None, log.read_text()
                    time.sleep(0.2)
            yield client
    finally:
        process.terminate()
        process.wait(20)


def test_the_ui_shows_the_page_the_runs_and_the_model(ui: httpx.Client, loop: Loop) -> None:
    assert "<title>MLflow</title>" in ui.get("/").text
    api = "/ajax-api/2.0/mlflow"
    experiment = ui.get(f"{api}/experiments/get-by-name", params={"experiment_name": "biopsy"}).json()["experiment"]
    found = ui.post(f"{api}/runs/search", json={"experiment_ids": [experiment["experiment_id"]]}).json()["runs"]
    assert {run["info"]["run_name"] for run in found} == {"biopsy", "data", "train", "train again"}
    version = ui.get(f"{api}/registered-models/alias", params={"name": "biopsy", "alias": "champion"}).json()
    assert version["model_version"]["run_id"] == loop.candidate.run.summary.run_id
