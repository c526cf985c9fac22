"""The store on SQLite, and the same over HTTP: runs, datasets, artifacts, and references to runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.compare import compare
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.store import Store

DATASET = DatasetVersion("in.csv", "data/in.csv", "d" * 32, 3, {"a": "long", "b": "string"})


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)


def test_a_store_that_nothing_wrote_is_empty_and_stays_unmade(store: Store, project: Project) -> None:
    assert store.runs() == []
    assert not store.exists
    with pytest.raises(TrackingError, match="no run"):
        store.resolve("latest")
    assert not project.state.exists()


def _fill(store: Store, tmp_path: Path) -> str:
    run_id = store.start_run("first", tags={"nbops.notebook": "a.ipynb", "nbops.code": "12345678"})
    store.log(
        run_id, params={"lr": 0.1, "api_key": "hunter2", "long": "x" * 10_000}, metrics={"auc": 0.7}, tags={"team": "a"}
    )
    store.log(run_id, params={f"p{i}": i for i in range(250)}, metrics={f"m{i}": float(i) for i in range(250)})
    store.log_datasets(run_id, [DATASET])
    store.log_text(run_id, '{"format": 1}', "nbops/snapshot.json")
    (tmp_path / "f.txt").write_text("ä", encoding="utf-8")
    store.log_file(run_id, tmp_path / "f.txt", "more")
    store.end_run(run_id)
    return run_id


def _check(store: Store, run_id: str, tmp_path: Path) -> None:
    detail = store.run(run_id)
    summary = detail.summary
    assert (summary.name, summary.status, summary.notebook, summary.versions.code) == (
        "first",
        "FINISHED",
        "a.ipynb",
        "12345678",
    )
    assert summary.params["lr"] == "0.1"
    assert summary.params["api_key"] == "***"
    assert len(summary.params) == 253
    assert len(summary.metrics) == 251
    assert detail.tags["mlflow.source.name"] == "a.ipynb"
    assert detail.datasets == [DATASET]
    assert detail.artifacts == ["more/f.txt", "nbops/snapshot.json"]
    assert detail.snapshot == {"format": 1}
    assert store.download(run_id, "more/f.txt", tmp_path).read_text(encoding="utf-8") == "ä"
    with pytest.raises(TrackingError, match="no artifact"):
        store.download(run_id, "missing.txt", tmp_path)
    assert [run.run_id for run in store.runs(where="metrics.auc > 0.6")] == [run_id]
    with pytest.raises(TrackingError, match="can't search"):
        store.runs(where="nonsense")


def test_a_run_with_all_that_it_logged(store: Store, tmp_path: Path) -> None:
    _check(store, _fill(store, tmp_path), tmp_path)


def test_references_to_runs(store: Store) -> None:
    first = store.start_run("first")
    twin = store.start_run("twin", parent=first)
    other = store.start_run("twin")
    assert store.resolve(first) == first
    assert store.resolve(first[:10]) == first
    assert store.resolve(first[:10].upper()) == first
    assert store.resolve("first") == first
    assert store.resolve("latest") == other
    assert store.resolve("twin") == other, "the newest of a name"
    assert store.run(twin).summary.parent == first
    for reference in ("none", "0" * 32, "it's", "%", first[:3]):
        with pytest.raises(TrackingError, match="no run"):
            store.resolve(reference)


def test_a_dataset_that_others_logged_in_their_own_words(store: Store) -> None:
    from mlflow.entities import Dataset, DatasetInput

    run_id = store.start_run("x")
    odd = Dataset("odd", "1", "delta", "not json", schema="[1]", profile='{"num_rows": "many"}')
    store.client.log_inputs(run_id, datasets=[DatasetInput(odd, [])])
    assert store.run(run_id).datasets == [DatasetVersion("odd", "not json", "1")]


def test_what_differs_between_two_runs(store: Store) -> None:
    one, other = store.start_run("one"), store.start_run("other")
    store.log(one, params={"lr": 0.1, "same": 1}, metrics={"auc": 0.7}, tags={"nbops.code": "a"})
    store.log(other, params={"lr": 0.2, "same": 1, "new": 1}, metrics={"auc": 0.7}, tags={"nbops.code": "b"})
    store.log_datasets(one, [DATASET])
    for run_id, line in ((one, "x = 1"), (other, "x = 2")):
        store.log_text(run_id, f'{{"code": {{"cells": [{{"source": "{line}"}}]}}}}', "nbops/snapshot.json")
    found = compare(store.run(one), store.run(other))
    assert [(change.name, change.before, change.after) for change in found.params] == [
        ("lr", "0.1", "0.2"),
        ("new", None, "1"),
    ]
    assert (found.metrics, [change.name for change in found.versions]) == ([], ["code"])
    assert [change.name for change in found.data] == ["data/in.csv", "data/in.csv:a", "data/in.csv:b"]
    assert "-x = 1\n+x = 2" in found.code


def test_the_schema_is_copied_not_migrated_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(project).start_run("fills the user's cache")
    other = Project(tmp_path / "other")
    told: list[str] = []
    began = time.monotonic()
    Store(other, say=told.append).start_run("x")
    assert told == []
    assert time.monotonic() - began < 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Start MLflow's own server on a fresh database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    project = Project(tmp_path / "server")
    Store(project).start_run("migrates")
    arguments = ["--backend-store-uri", project.tracking_uri, "--artifacts-destination", str(tmp_path / "artifacts")]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *arguments, "--port", str(port), "--workers", "1"],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=2).close()
                break
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, 15)
        process.wait(20)


@pytest.mark.slow
def test_the_same_over_http(project: Project, server: str, tmp_path: Path) -> None:
    (project.root / "nbops.toml").write_text(f'[tracking]\nuri = "{server}"\n', encoding="utf-8")
    store = Store(Project.find(project.root))
    run_id = _fill(store, tmp_path)
    _check(store, run_id, tmp_path)
    assert store.resolve(run_id[:8]) == run_id
    assert store.resolve("latest") == run_id
    assert not (project.root / ".nbops").exists()
