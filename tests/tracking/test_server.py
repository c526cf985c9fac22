"""The notebook's path as a real Jupyter server tells it, and the badges that the same server answers."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.connect import find_connection_file

from nbops.lab.places import locate
from nbops.project import Project
from nbops.tracking.recording.cells import badges
from nbops.tracking.recording.records import read

pytestmark = pytest.mark.slow
Ask = Callable[..., Any]


@pytest.fixture
def server(project: Project, tmp_path: Path) -> Iterator[Ask]:
    """Start a server on the folder above the project; return a function that asks it over REST."""
    runtime = tmp_path / "runtime"
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(runtime)}
    token = secrets.token_hex(8)
    arguments = ["--no-browser", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={tmp_path}", "--allow-root"]
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_server", *arguments, f"--IdentityProvider.token={token}"],
        env=environment,
        stdout=log,
        stderr=log,
    )
    try:
        url = _url(runtime, process)

        def ask(method: str, path: str, content: Any = None) -> Any:
            request = urllib.request.Request(
                f"{url}{path}",
                method=method,
                data=json.dumps(content).encode() if content else None,
                headers={"Authorization": f"token {token}"},
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                body = answer.read()
            return json.loads(body) if body else None

        yield ask
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _url(runtime: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        for file in runtime.glob("jpserver-*.json"):
            if text := file.read_text(encoding="utf-8"):
                return str(json.loads(text)["url"])
        time.sleep(0.1)
    raise AssertionError("the server didn't start")


def _run(kernel_id: str, runtime: Path, code: str, cell_id: str) -> None:
    client = BlockingKernelClient(connection_file=find_connection_file(f"kernel-{kernel_id}.json", path=str(runtime)))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    request = client.session.msg("execute_request", content)
    request["metadata"]["cellId"] = cell_id
    client.shell_channel.send(request)
    while (reply := client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != request["header"]["msg_id"]:
        pass
    assert reply["content"]["status"] == "ok"
    client.stop_channels()


@pytest.mark.parametrize("folder", ["", "notebooks/deep/"])
def test_the_recorded_path_is_the_one_the_badges_ask_for(
    server: Ask, project: Project, tmp_path: Path, folder: str
) -> None:
    (project.root / folder).mkdir(parents=True, exist_ok=True)
    path = f"project/{folder}a b.ipynb"
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / path).write_text(json.dumps(notebook), encoding="utf-8")
    session = server(
        "POST",
        "api/sessions",
        {"path": path, "type": "notebook", "name": "a b.ipynb", "kernel": {"name": "python3"}},
    )
    runtime = tmp_path / "runtime"
    _run(session["kernel"]["id"], runtime, "%load_ext nbops", "first")
    _run(session["kernel"]["id"], runtime, "x = 1", "second")
    server("DELETE", f"api/sessions/{session['id']}")
    log = read(next(project.sessions.iterdir()))
    assert log.session.notebook == f"{folder}a b.ipynb"
    assert locate(tmp_path, path).path == log.session.notebook
    assert [(badge.cell_id, badge.outcome) for badge in badges(project, f"{folder}a b.ipynb")] == [
        ("first", "ok"),
        ("second", "ok"),
    ]
    assert badges(project, "a.ipynb") == []
