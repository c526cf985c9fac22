"""Three stores for one suite: SQLite with files, PostgreSQL with S3, and an MLflow server that proxies artifacts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbops.project import Project
from nbops.tracking.store import Store
from postgres import Cluster, cluster, free_port

S3 = {
    "AWS_ACCESS_KEY_ID": "id-of-a-test",
    "AWS_SECRET_ACCESS_KEY": "key-of-a-test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture(scope="session")
def postgres(isolated_environment: None) -> Iterator[Cluster]:
    with cluster() as running:
        yield running


@pytest.fixture(scope="session")
def migrated(postgres: Cluster) -> str:
    """Return the name of a database with MLflow's schema, migrated as the product does it."""
    from nbops.tracking.store.migration import ensure_migrated

    uri = postgres.create()
    ensure_migrated(uri)
    return uri.rpartition("/")[2]


@pytest.fixture(scope="session")
def bucket(isolated_environment: None) -> Iterator[str]:
    """Start an S3 server with one bucket and return its address; variables lead MLflow and kernels to it."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= S3
    import boto3

    boto3.client("s3", endpoint_url=f"http://{host}:{port}").create_bucket(Bucket="runs")
    yield f"http://{host}:{port}"
    server.stop()


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run MLflow's own server on a fresh SQLite database, with artifacts that only the server can reach."""
    behind = Project(folder / "server")
    Store(behind).client.search_experiments()
    port = free_port()
    arguments = ["--backend-store-uri", behind.tracking_uri, "--artifacts-destination", str(folder / "artifacts")]
    log = (folder / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *arguments, "--port", str(port), "--workers", "1"],
        env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 90
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
        log.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, isolated_environment: None) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


Make = Callable[[Path], Project]


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow), pytest.param("http", marks=pytest.mark.slow)],
)
def make_project(request: pytest.FixtureRequest) -> Make:
    """Return what makes a project on one of the three stores: each module has a database of its own, except the server's."""
    lines: dict[str, str] = {}
    if request.param == "postgres":
        cluster, name = request.getfixturevalue("postgres"), request.getfixturevalue("migrated")
        lines = {"uri": cluster.create(template=name), "artifacts": "s3://runs/trial"}
        request.getfixturevalue("bucket")
    elif request.param == "http":
        lines = {"uri": request.getfixturevalue("server")}

    def make(root: Path) -> Project:
        root.mkdir(parents=True)
        settings = "".join(f'{key} = "{value}"\n' for key, value in lines.items())
        text = f'[project]\nname = "{root.parent.name}"\n[tracking]\n{settings}'
        (root / "nbops.toml").write_text(text, encoding="utf-8")
        return Project.find(root)

    return make


@pytest.fixture
def project(make_project: Make, own_store: None, request: pytest.FixtureRequest, tmp_path: Path) -> Project:
    """Return an empty project; its experiment is its own, where the store isn't."""
    found = make_project(tmp_path / "project")
    if (found.artifact_root or "").startswith(
        "s3:"
    ):  # kernels that a test starts inherit it; `own_store` takes it back
        os.environ["MLFLOW_S3_ENDPOINT_URL"] = request.getfixturevalue("bucket")
    return found


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)
