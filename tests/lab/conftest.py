"""A real Jupyter server with nbops' server extension, one for the session, over a folder with two projects."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from nbops.project import Project
from nbops.tracking.recording.records import End, Session, Start
from nbops.tracking.recording.writer import Writer
from nbops.tracking.store import Store

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass
class Lab:
    """The running server and what it serves."""

    root: Path
    port: int
    token: str
    runs: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/base"

    @property
    def project(self) -> Project:
        return Project.find(self.root)

    def get(self, route: str, *, authenticated: bool = True, **query: str) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"} if authenticated else {}
        return httpx.get(f"{self.url}/nbops/api/{route}", params=query, headers=headers, timeout=60)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    home = tmp_path_factory.mktemp("home")
    root = tmp_path_factory.mktemp("served")
    lab = Lab(root, _free_port(), secrets.token_hex(16))
    lab.runs = _fill(root)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "NBOPS"))},
        "HOME": str(home),
        "JUPYTER_CONFIG_PATH": str(REPOSITORY / "jupyter-config"),
        "JUPYTER_PLATFORM_DIRS": "0",
    }
    command = [
        *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
        f"--ServerApp.root_dir={root}",
        f"--ServerApp.port={lab.port}",
        "--ServerApp.port_retries=0",
        "--ServerApp.base_url=/base",
        f"--IdentityProvider.token={lab.token}",
    ]
    log = home / "server.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_until_ready(lab, server, log)
        yield lab
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture
def write_session() -> Callable[..., Writer]:
    return _write_session


def _fill(root: Path) -> list[str]:
    """Two projects, one inside the other; the outer one with two runs and a session of three cells."""
    (root / "nbops.toml").write_text('[project]\nname = "crickets"\n')
    (root / "inner").mkdir()
    (root / "inner" / "nbops.toml").write_text('[project]\nname = "inner"\n')
    store = Store(Project.find(root))
    runs = []
    for name, auc in (("first", 0.71), ("second", float("nan"))):
        run = store.start_run(name, tags={"nbops.code": "1a2b3c4d", "nbops.notebook": "chirp.ipynb"})
        store.log(run, params={"window": 3}, metrics={"auc": auc})
        store.end_run(run, "FINISHED")
        runs.append(run)
    _write_session(Project.find(root), "one", "chirp.ipynb", runs)
    return runs


def _write_session(project: Project, name: str, notebook: str, runs: list[str]) -> Writer:
    """Write a session of this process: a cell that made runs, a cell that failed, and one that still runs."""
    writer = Writer(project.sessions / f"{name}.jsonl")
    process = psutil.Process()
    writer.write(Session(name, process.pid, process.create_time(), time=1.0, notebook=notebook))
    writer.write(Start(1, "train", "fit()", 10.0))
    writer.write(End(1, "ok", 0.5, runs=runs))
    writer.write(Start(2, "oops", "1 / 0", 11.0))
    writer.write(End(2, "error", 0.1, error="ZeroDivisionError"))
    writer.write(Start(3, "long", "wait()", 12.0))
    return writer


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(lab: Lab, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            httpx.get(f"{lab.url}/api", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the Jupyter server did not start:\n{log.read_text()[-4000:]}")
