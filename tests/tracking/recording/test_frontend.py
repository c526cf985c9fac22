"""Which notebook and which cell: as each front end tells it, and unknown where none does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kernels import Kernel, sessions
from nbops.project import Project
from nbops.tracking.recording.frontend import _notebooks
from nbops.tracking.recording.records import SessionLog, read

CELLS = ["%load_ext nbops", "x = 1", "", "x = 1", "y = x"]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
Start = Callable[..., Kernel]


def _notebook(path: Path, cells: list[str] = CELLS, *, minor: int = 5) -> list[str]:
    """Write a notebook and return its cells' ids."""
    made = [nbformat.v4.new_code_cell(source) for source in cells]
    for number, cell in enumerate(made):
        cell.id = f"cell-{number}"
    made.insert(1, nbformat.v4.new_markdown_cell("text", id="text"))
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": KERNEL}), path)
    if minor < 5:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["nbformat_minor"] = minor
        for cell in content["cells"]:
            del cell["id"]
        path.write_text(json.dumps(content), encoding="utf-8")
    return [cell.id for cell in made if cell.cell_type == "code"]


def _told(log: SessionLog) -> tuple[str | None, list[str | None]]:
    return log.session.notebook, [cell.start.cell_id for cell in log.cells]


def _call(project: Project, *command: str, **settings: str) -> SessionLog:
    """Run a command in the project and return the only session that it leaves."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    subprocess.run(
        [sys.executable, *command],
        cwd=project.root,
        env={**environment, "PWD": str(project.root), **settings},
        check=True,
        capture_output=True,
        timeout=120,
    )
    (log,) = sessions(project)
    return log


@pytest.mark.slow
def test_papermill_executes_the_notebook_of_its_command_line(project: Project) -> None:
    _notebook(project.root / "sub" / "in.ipynb", ["lr = 1", *CELLS])
    content = nbformat.read(project.root / "sub" / "in.ipynb", 4)
    content.cells[0].metadata.tags = ["parameters"]
    nbformat.write(content, project.root / "sub" / "in.ipynb")
    log = _call(project, "-m", "papermill", "-p", "lr", "2", "sub/in.ipynb", "out.ipynb", "--cwd", "sub")
    assert _told(log) == ("sub/in.ipynb", ["cell-1", "cell-2", "cell-4", "cell-5"])


@pytest.mark.slow
@pytest.mark.parametrize(("minor", "known"), [(5, ["cell-0", "cell-1", "cell-3", "cell-4"]), (4, [None] * 4)])
def test_nbconvert_executes_the_notebook_of_its_command_line(
    project: Project, minor: int, known: list[str | None]
) -> None:
    _notebook(project.root / "a.ipynb", minor=minor)
    log = _call(project, "-m", "nbconvert", "--to", "notebook", "--execute", "--output", "b.ipynb", "a.ipynb")
    assert _told(log) == ("a.ipynb", known)


def test_of_a_runners_words_only_one_notebook_counts() -> None:
    assert _notebooks("papermill", ["-p", "x", "y.ipynb", "in.ipynb", "out.ipynb"]) == ["in.ipynb"]
    assert _notebooks("nbconvert", ["--output=c.ipynb", "--output", "b.ipynb", "a.ipynb"]) == ["a.ipynb"]
    assert _notebooks("jupyter-execute", ["a.ipynb", "b.ipynb"]) == ["a.ipynb", "b.ipynb"]


@pytest.mark.slow
def test_a_script_that_runs_notebooks_tells_nothing(project: Project) -> None:
    _notebook(project.root / "a.ipynb")
    script = "import papermill; papermill.execute_notebook('a.ipynb', 'b.ipynb', progress_bar=False)"
    assert _told(_call(project, "-c", script)) == (None, [None] * 4)


@pytest.mark.slow
def test_a_terminal_has_no_notebook(project: Project) -> None:
    (project.root / "cells.ipy").write_text("\n".join(CELLS), encoding="utf-8")
    command = ["-m", "IPython", "--no-banner", "--no-confirm-exit", "-c"]
    code = "get_ipython().run_cell('%load_ext nbops', store_history=True); get_ipython().run_cell('x = 1')"
    log = _call(project, *command, code, JPY_SESSION_NAME=str(project.root / "other.ipynb"))
    assert log.session.notebook is None
    assert {cell.start.cell_id for cell in log.cells} == {None}


@pytest.fixture
def request_of(start_kernel: Start) -> Callable[..., SessionLog]:
    """Return a function that executes cells as a front end sends them and returns the session."""

    def execute(project: Project, cells: list[tuple[str, dict[str, Any]]], **settings: str) -> SessionLog:
        kernel = start_kernel(**settings)
        for code, metadata in cells:
            assert kernel.request(code, metadata) == "ok"
        (log,) = sessions(project)
        return log

    return execute


@pytest.mark.slow
@pytest.mark.parametrize("with_name", [True, False])
def test_vs_code_tells_by_a_name_or_by_the_cells_address(
    project: Project, request_of: Callable[..., SessionLog], with_name: bool
) -> None:
    path = project.root / "with space" / "a.ipynb"
    address = f"vscode-notebook-cell:{urllib.parse.quote(str(path))}#W2sZmlsZQ%3D%3D"
    cells: list[tuple[str, dict[str, Any]]] = [("%load_ext nbops", {"cellId": address})]
    if with_name:  # before the first cell, by a silent request of its own
        cells.insert(0, (f"__vsc_ipynb_file__ = {str(path)!r}", {}))
    assert _told(request_of(project, cells)) == ("with space/a.ipynb", [address])


@pytest.mark.slow
def test_jupyter_tells_by_a_variable_that_is_the_kernels_own(
    project: Project, request_of: Callable[..., SessionLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    _notebook(project.root / "a.ipynb")
    told = _told(request_of(project, [("%load_ext nbops", {"cellId": "c1"})], JPY_SESSION_NAME="project/a.ipynb"))
    assert told == ("a.ipynb", ["c1"])


@pytest.mark.slow
def test_a_kernel_within_a_kernel_is_not_the_outer_notebook(project: Project, start_kernel: Start) -> None:
    _notebook(project.root / "outer.ipynb")
    _notebook(project.root / "inner.ipynb")
    outer = start_kernel(JPY_SESSION_NAME=str(project.root / "outer.ipynb"))
    code = "import papermill; papermill.execute_notebook('inner.ipynb', 'out.ipynb', progress_bar=False);"
    assert outer.run(code).status == "ok"
    assert [log.session.notebook for log in sessions(project)] == [None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("sub/a.ipynb", "sub/a.ipynb"),
        ("{root}/sub/a.ipynb", "sub/a.ipynb"),
        ("other/a.ipynb", None),
        ("sub/missing.ipynb", None),
        ("console-1", None),
    ],
)
def test_a_path_that_jupyter_tells_is_tried(
    project: Project, start_kernel: Start, told: str, known: str | None
) -> None:
    _notebook(project.root / "sub" / "a.ipynb")
    kernel = start_kernel(project.root / "sub", JPY_SESSION_NAME=told.format(root=project.root))
    kernel.run("%load_ext nbops")
    assert read(next(project.sessions.iterdir())).session.notebook == known
