"""The environment that a run is lived again in: the present one, or a fresh one made from the run's lock.

A fresh environment is made by uv under ``.nbops/environments/`` once for a lock and a Python version, and appears
whole or not at all. nbops itself is copied into it from here, so that what is released and what is being worked on
are tried alike. Jupyter finds its kernel by a kernelspec in a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import distribution
from pathlib import Path

from filelock import FileLock

from nbops.errors import TrackingError
from nbops.project import Project

LOCK_ARTIFACT = "nbops/environment.lock"
_TAIL = 1500
_NAME = "nbops-reproduce"
# what would lead a fresh environment's Python elsewhere
_FOREIGN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA")


def fresh(project: Project, lock: str, python: str, say: Callable[[str], None]) -> Path:
    """Return the interpreter of an environment that holds what a lock names.

    Parameters
    ----------
    project
        Where environments are kept.
    lock
        Pinned requirements, one a line.
    python
        The interpreter's version, such as ``3.11.7``; its minor version counts.
    say
        Told what takes time.

    Raises
    ------
    TrackingError
        If it can't be made; says what uv said.
    """
    wanted = "\n".join(line for line in lock.splitlines() if not _is_nbops(line)) + "\n"
    minor = ".".join(python.split(".")[:2]) if python else f"{sys.version_info[0]}.{sys.version_info[1]}"
    folder = project.state / "environments"
    digest = hashlib.sha256(f"reproduce 1 {minor}\n{wanted}".encode()).hexdigest()[:12]
    target = folder / f"run-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"run-{digest}.lock"):
        if not interpreter(target).exists():
            shutil.rmtree(target, ignore_errors=True)
            for left in folder.glob(f"run-{digest}.*.new"):
                shutil.rmtree(left, ignore_errors=True)
            say(f"making an environment of {len(wanted.splitlines())} distributions (Python {minor})")
            making = folder / f"run-{digest}.{os.getpid()}.new"
            try:
                _fill(making, wanted, minor)
                making.replace(target)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        _bring_nbops(target)
        os.utime(target)  # in use: not to be collected
    return interpreter(target)


def write_kernelspec(folder: Path, python: Path) -> str:
    """Write a kernelspec for an interpreter below `folder`, which goes on ``JUPYTER_PATH``; return the kernel's name."""
    spec = folder / "kernels" / _NAME
    spec.mkdir(parents=True)
    content = {
        "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python (reproduction)",
        "language": "python",
    }
    (spec / "kernel.json").write_text(json.dumps(content), encoding="utf-8")
    return _NAME


def without_foreign(variables: dict[str, str]) -> dict[str, str]:
    """Return environment variables without those that lead another environment's Python here."""
    return {name: value for name, value in variables.items() if not name.startswith(_FOREIGN)}


def interpreter(environment: Path) -> Path:
    """Return an environment's Python."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _fill(environment: Path, lock: str, minor: str) -> None:
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = sys.executable if minor == running else minor
    _uv(["venv", "--quiet", "--relocatable", "--python", python, str(environment)], f"no environment of Python {minor}")
    listed = environment / "requirements.lock"
    listed.write_text(lock, encoding="utf-8")
    arguments = [
        "pip",
        "install",
        "--quiet",
        "--compile-bytecode",
        "--no-deps",
        "--python",
        str(interpreter(environment)),
    ]
    _uv([*arguments, "-r", str(listed)], "the run's environment can't be installed")


def _bring_nbops(environment: Path) -> None:
    """Copy this nbops with its entry points, newer than what is there, into an environment."""
    site = next(environment.glob("lib/python3*/site-packages"), environment / "Lib" / "site-packages")
    package = Path(__file__).parents[2]
    skipped = shutil.ignore_patterns("__pycache__", "labextension")
    shutil.rmtree(site / "nbops", ignore_errors=True)
    shutil.copytree(package, site / "nbops", ignore=skipped)
    metadata = distribution("nbops")
    info = site / f"nbops-{metadata.version}.dist-info"
    info.mkdir(exist_ok=True)
    for name in ("METADATA", "entry_points.txt"):
        (info / name).write_text(metadata.read_text(name) or "", encoding="utf-8")


def _is_nbops(line: str) -> bool:
    name = line.split("@")[0].split("==")[0].strip().lower()
    return name == "nbops" or line.strip().startswith("-e")


def _uv(arguments: Sequence[str], failure: str) -> None:
    from uv import find_uv_bin

    variables = without_foreign(dict(os.environ))
    if "PIP_INDEX_URL" in variables:  # who told pip of another index means it
        variables.setdefault("UV_DEFAULT_INDEX", variables["PIP_INDEX_URL"])
    answer = subprocess.run(
        [find_uv_bin(), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=variables,
        stdin=subprocess.DEVNULL,
    )
    if answer.returncode:
        told = answer.stderr.strip()[-_TAIL:] or f"uv ended with status {answer.returncode}"
        raise TrackingError(
            f"{failure}: {told}",
            remedy="check the network and the disk's space; without --env the present environment is taken",
        )
