"""The wheel in an empty environment without node: command line, magics, server part and JupyterLab extension."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
Run = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Install the wheel with its pinned dependencies, and return what runs a program of that environment."""
    wheel = os.environ.get("NBOPS_WHEEL")
    if not wheel:
        pytest.skip("NBOPS_WHEEL isn't set: `make test` builds the wheel from a clean copy and names it")
    folder = tmp_path_factory.mktemp("empty")
    uv, venv = find_uv_bin(), folder / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, venv], check=True)
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", venv / "bin" / "python"]
    subprocess.run([*install, "-r", ROOT / "requirements" / "demo.lock", wheel], check=True)

    def run(program: str, *arguments: str) -> str:
        variables = {**os.environ, "PATH": str(venv / "bin"), "HOME": str(folder)}
        command = [str(venv / "bin" / program), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=variables, cwd=folder)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout + answer.stderr

    assert shutil.which("node", path=str(venv / "bin")) is None
    return run


def test_the_command_line(installed: Run) -> None:
    assert installed("nbops", "--version").startswith("nbops, version ")
    assert "made  pipeline.yaml" in installed("nbops", "init", "fresh")


def test_the_magics(installed: Run) -> None:
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); s.run_cell('%load_ext nbops');"
        "print('nbops' in s.magics_manager.magics['cell'], 'nbops' in s.magics_manager.magics['line'])"
    )
    assert "True True" in installed("python", "-c", code)


def test_the_jupyter_server_part(installed: Run) -> None:
    listed = installed("jupyter", "server", "extension", "list")
    assert "nbops" in listed
    assert "nbops" in [line.split()[0] for line in listed.splitlines() if "enabled" in line]


def test_the_jupyterlab_extension(installed: Run) -> None:
    listed = installed("jupyter", "labextension", "list")
    line = next(line for line in listed.splitlines() if "nbops-lab" in line)
    assert "enabled" in line
    assert "OK" in line
