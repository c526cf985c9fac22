"""The wheel with and without the extension, built as a user's machine would."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
LABEXTENSION = "share/jupyter/labextensions/nbops-lab/"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy the sources as in a clean clone, where nothing is built."""
    folder = tmp_path / "clone"
    leave = shutil.ignore_patterns("node_modules", "lib", "labextension", "__pycache__")
    for part in ("src", "extension", "jupyter-config"):
        shutil.copytree(REPOSITORY / part, folder / part, ignore=leave)
    for part in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        shutil.copy2(REPOSITORY / part, folder)
    return folder


def _build(clone: Path, **variables: str) -> tuple[int, str, set[str]]:
    """Build the wheel without npm on PATH; return the status, what was said, and the files under ``data/``."""
    nowhere = clone.parent / "nowhere"
    nowhere.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(clone.parent / "dist")],
        cwd=clone,
        env={**os.environ, "PATH": str(nowhere), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list((clone.parent / "dist").glob("*.whl"))
    names = zipfile.ZipFile(wheels[0]).namelist() if wheels else []
    data = {name.partition(".data/data/")[2] for name in names if ".data/data/" in name}
    assert not any(name.startswith("nbops/labextension") for name in names)
    return done.returncode, done.stdout + done.stderr, data


def _pretend_built(clone: Path) -> Path:
    built = clone / "src" / "nbops" / "labextension"
    (built / "static").mkdir(parents=True)
    (built / "static" / "remoteEntry.js").write_text("")
    (built / "package.json").write_text("{}")
    return built


def test_without_npm_the_extension_is_left_out_and_the_build_says_so(clone: Path) -> None:
    status, said, data = _build(clone)
    assert status == 0, said
    assert "left out" in said
    assert "npm isn't there" in said
    assert data == {"etc/jupyter/jupyter_server_config.d/nbops.json"}


def test_a_release_is_not_built_without_the_extension(clone: Path) -> None:
    status, said, _ = _build(clone, NBOPS_REQUIRE_EXTENSION="1")
    assert status != 0
    assert "can't be built: npm isn't there" in said


def test_a_built_extension_needs_no_npm(clone: Path) -> None:
    _pretend_built(clone)
    status, said, data = _build(clone, NBOPS_REQUIRE_EXTENSION="1")
    assert status == 0, said
    assert data >= {LABEXTENSION + name for name in ("package.json", "install.json", "static/remoteEntry.js")}


def test_a_development_build_is_never_shipped(clone: Path) -> None:
    (_pretend_built(clone) / "static" / "remoteEntry.js.map").write_text("{}")
    _, said, data = _build(clone)
    assert "left out" in said
    assert not any(name.startswith(LABEXTENSION) for name in data)


def test_python_only_work_may_skip_it(clone: Path) -> None:
    _pretend_built(clone)
    _, said, data = _build(clone, NBOPS_SKIP_EXTENSION="1")
    assert "NBOPS_SKIP_EXTENSION is set" in said
    assert not any(name.startswith(LABEXTENSION) for name in data)
