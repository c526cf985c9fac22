"""Notebook 7, the other front end of Jupyter's server: it tells the notebook and the cells as JupyterLab does."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import nbformat
import pytest

from nbops.project import Project
from nbops.tracking.recording.records import SessionLog, read

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PYTHON = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def notebook_url(project: Project, tmp_path: Path) -> Iterator[str]:
    """Start Notebook 7 over the project and return its address with the token."""
    pytest.importorskip("notebook", reason="pip install notebook")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    token, log = secrets.token_hex(16), tmp_path / "notebook.log"
    command = [
        *(sys.executable, "-m", "notebook", "--no-browser", "--allow-root"),
        *(f"--ServerApp.root_dir={project.root}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        f"--IdentityProvider.token={token}",
    ]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/api", timeout=5).raise_for_status()
        except httpx.HTTPError:
            time.sleep(0.3)
        else:
            break
    else:
        server.kill()
        pytest.fail(f"Notebook did not start:\n{log.read_text()[-3000:]}")
    yield f"http://127.0.0.1:{port}/notebooks/sub/a.ipynb?token={token}"
    server.terminate()
    server.wait(timeout=30)


def _log(project: Project, cells: int) -> SessionLog:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for path in project.sessions.glob("*.jsonl"):
            log = read(path)
            if len([cell for cell in log.cells if cell.end]) >= cells:
                return log
        time.sleep(0.3)
    return pytest.fail("the cells were not recorded")


def _execute(page: Any, number: int) -> None:
    """Press Shift+Enter in a cell until it has run: a press before the kernel is connected does nothing."""
    cell = f".jp-Notebook .jp-Cell >> nth={number}"
    deadline = time.monotonic() + 90
    while not re.search(r"\[\d+\]", prompt := page.inner_text(f"{cell} >> .jp-InputPrompt")):
        assert time.monotonic() < deadline, f"cell {number} didn't run"
        if "*" not in prompt:
            page.click(f"{cell} >> .jp-InputArea-editor")
            page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1000)


def test_notebook_7_tells_the_notebook_and_its_cells(project: Project, chromium: Any, notebook_url: str) -> None:
    cells = {"load-it": "%load_ext nbops", "the-one": "x = 1\nx", "the-other": "print(x)"}
    made = [nbformat.v4.new_code_cell(source, id=name) for name, source in cells.items()]
    (project.root / "sub").mkdir()
    nbformat.write(
        nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": PYTHON}), project.root / "sub" / "a.ipynb"
    )
    page = chromium.new_page()
    page.goto(notebook_url)
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=90_000)
    for number in range(len(cells)):
        _execute(page, number)
    log = _log(project, len(cells))
    page.close()
    assert log.session.notebook == "sub/a.ipynb"
    assert [(cell.start.cell_id, cell.start.source) for cell in log.cells] == list(cells.items())
    end = log.cells[2].end
    assert end
    assert [(output.kind, output.size) for output in end.outputs] == [("stdout", 2)]
