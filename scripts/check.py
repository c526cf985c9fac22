"""Everything that has to pass: formatting, lint, types, floors, then the tests. See `make check` and `make test`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workshop import BIN, PYTHON, ROOT, WHEELS, interruptible, prepare, run, say

CHROMIUM = Path("/usr/bin/chromium")


def check() -> None:
    """Run what needs no test: seconds."""
    say("ruff, mypy, import-linter")
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "mypy")
    run(BIN / "lint-imports", PYTHONPATH=str(ROOT / "src"))


def test(arguments: list[str]) -> None:
    """Run the tests with the installed wheel, after bringing the programs that they need."""
    _bring_chromium()
    say("pytest")
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    wheel = str(next(WHEELS.glob("*.whl")))
    run(
        PYTHON,
        "-m",
        "pytest",
        *(arguments or ["-n", "2", "--dist", "loadfile", "--durations=10"]),
        NBOPS_WHEEL=wheel,
        PATH=path,
    )


def _bring_chromium() -> None:
    if CHROMIUM.exists() or shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    say("installing chromium, for the browser test")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "-qq", DEBIAN_FRONTEND="noninteractive")
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
        env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL,
        check=True,
    )


if __name__ == "__main__":
    with interruptible("make test"):
        prepare("test")
        check()
        if sys.argv[1:2] != ["--no-tests"]:
            test(sys.argv[1:])
