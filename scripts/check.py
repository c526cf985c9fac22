"""Everything that has to pass: formatting, lint, types, floors, then the tests. See `make check` and `make test`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from workshop import BIN, PYTHON, ROOT, WHEELS, interruptible, prepare, run, say

_PROGRAMS = {
    "chromium": lambda: Path("/usr/bin/chromium").exists(),
    "fonts-dejavu-core": lambda: Path("/usr/share/fonts/truetype/dejavu").exists(),
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
}


def check() -> None:
    """Run what needs no test: seconds."""
    say("ruff, mypy, import-linter")
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "mypy")
    run(BIN / "lint-imports", PYTHONPATH=str(ROOT / "src"))


def test(arguments: list[str]) -> None:
    """Run the tests with the installed wheel, after bringing the programs that they need."""
    _bring_programs()
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


def _bring_programs() -> None:
    """Install Debian's packages that are missing, where that can be done."""
    missing = [package for package, there in _PROGRAMS.items() if not there()]
    if not missing or shutil.which("apt-get") is None or os.geteuid() != 0:
        return
    say(f"installing {', '.join(missing)}, for the tests")
    run("apt-get", "update", "-qq", DEBIAN_FRONTEND="noninteractive")
    subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        stdout=subprocess.DEVNULL,
        check=True,
    )


if __name__ == "__main__":
    with interruptible("make test"):
        prepare("test")
        check()
        if sys.argv[1:2] != ["--no-tests"]:
            test(sys.argv[1:])
