"""Clean environments by uv: a bundle's lock, and the environment that its proof and `nbops serve` run it in.

An environment is made once for a lock and a wheel, under ``.nbops/environments/``, and appears whole or not at all.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from filelock import FileLock

from nbops.errors import PromotionError

_TAIL = 1500


def write_lock(requirements: Mapping[str, str]) -> str:
    """Return a lock with hashes and without addresses for exactly these distributions.

    Raises
    ------
    PromotionError
        If the index doesn't have one of them.
    """
    pinned = "".join(f"{name}=={version}\n" for name, version in sorted(requirements.items()))
    arguments = ["pip", "compile", "-", "--generate-hashes", "--no-deps", "--no-header", "--no-annotate", "--quiet"]
    arguments += ["--no-emit-index-url", "--no-emit-find-links", "--python", sys.executable]
    return _uv(arguments, "the service's requirements can't be locked", feed=pinned)


def make(folder: Path, lock: Path, wheel: Path) -> Path:
    """Return the interpreter of an environment that holds the lock's distributions and the wheel, and nothing else.

    Parameters
    ----------
    folder
        Where environments are kept.
    lock
        The ``requirements.lock``.
    wheel
        The service's wheel.
    """
    digest = hashlib.sha256(lock.read_bytes() + wheel.read_bytes() + sys.version.encode()).hexdigest()[:12]
    target = folder / digest
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{digest}.lock"):
        if not interpreter(target).exists():  # which is a link, and may have lost what it links to
            for left in (target, *folder.glob(f"{digest}.*.new")):
                shutil.rmtree(left, ignore_errors=True)
            fresh = folder / f"{digest}.{os.getpid()}.new"
            try:
                _fill(fresh, lock, wheel)
                fresh.replace(target)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return interpreter(target)


def _fill(environment: Path, lock: Path, wheel: Path) -> None:
    _uv(["venv", "--quiet", "--relocatable", "--python", sys.executable, str(environment)], "no environment")
    install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", str(interpreter(environment))]
    _uv([*install, "--require-hashes", "-r", str(lock)], "the bundle's requirements can't be installed")
    _uv([*install, "--no-deps", str(wheel)], "the bundle's wheel can't be installed")


def interpreter(environment: Path) -> Path:
    """Return an environment's Python."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def installed_in(python: Path) -> dict[str, str]:
    """Return the distributions that an interpreter sees, with their versions."""
    listing = subprocess.run(
        [str(python), "-I", "-c", _LISTING], capture_output=True, text=True, check=True, env=clean_variables()
    )
    return dict(line.split("==") for line in listing.stdout.splitlines())


_LISTING = (
    "import importlib.metadata as m\n"
    "for d in m.distributions(): print(d.metadata['Name'].lower().replace('_', '-') + '==' + d.version)"
)


def clean_variables() -> dict[str, str]:
    """Return this process's environment variables without those that lead Python, Jupyter or MLflow elsewhere."""
    foreign = ("PYTHON", "VIRTUAL_ENV", "MLFLOW_", "NBOPS_", "JPY_", "JUPYTER", "CONDA")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


def _uv(arguments: Sequence[str], failure: str, *, feed: str | None = None) -> str:
    from uv import find_uv_bin

    variables = clean_variables()
    if "PIP_INDEX_URL" in variables:  # who told pip of another index means it
        variables.setdefault("UV_DEFAULT_INDEX", variables["PIP_INDEX_URL"])
    answer = subprocess.run(
        [find_uv_bin(), *arguments], input=feed, capture_output=True, text=True, check=False, env=variables
    )
    if answer.returncode:
        told = answer.stderr.strip()[-_TAIL:] or f"uv ended with status {answer.returncode}"
        raise PromotionError(
            f"{failure}: {told}",
            remedy="check the network, the disk's space, and that the package index has these versions",
        )
    return answer.stdout
