"""The extension's own checks: types, formatting and its unit tests, run by node."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

EXTENSION = Path(__file__).resolve().parents[2] / "extension"


@pytest.fixture(scope="module")
def npm() -> str:
    program = shutil.which("npm")
    if program is None:
        pytest.skip("npm isn't there: apt-get install npm")
    if not (EXTENSION / "node_modules" / ".package-lock.json").exists():
        _run(program, "ci", "--no-progress", "--prefer-offline")
    return program


def _run(npm: str, *arguments: str) -> None:
    done = subprocess.run([npm, *arguments], cwd=EXTENSION, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def test_types_and_formatting(npm: str) -> None:
    _run(npm, "run", "check")


def test_units(npm: str) -> None:
    _run(npm, "test")


def test_the_lock_names_no_addresses() -> None:
    assert '"resolved"' not in (EXTENSION / "package-lock.json").read_text(encoding="utf-8")
