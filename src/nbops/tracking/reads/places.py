"""Which files are data: what the user's code opens, without libraries, settings, caches and nbops' own files.

The path decides, as it was given: files in installed packages and in the system's folders, hidden ones, code, and stores of
runs are out. Then the callers do: what the import system, IPython, MLflow or nbops open is theirs, not the cell's.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FrameType

CODE = (".py", ".pyc", ".pyi", ".pyd", ".so", ".dll", ".dylib", ".ipynb", ".pth", ".lock", ".log", ".ttf", ".mplstyle")
_STORES = frozenset({"mlruns", "mlartifacts", "wandb", "__pycache__", "node_modules", "site-packages", "dist-packages"})
_SYSTEM = ("/proc/", "/sys/", "/dev/", "/etc/", "/usr/", "/lib", "/bin/", "/sbin/", "/run/", "/var/lib/", "/snap/")
_THEIRS = frozenset(
    {
        "mlflow", "nbops", "importlib", "_frozen_importlib", "_frozen_importlib_external", "linecache", "tokenize",
        "inspect", "traceback", "IPython", "ipykernel", "jedi", "parso", "debugpy", "matplotlib", "logging", "pip", "uv",
        "certifi", "ssl", "git", "coverage", "zoneinfo", "pytz", "dotenv", "mimetypes", "psutil", "threadpoolctl",
    }
)  # fmt: skip
_DEEPEST = 100
_IPYTHONS_OPEN = "_modified_open"
"""What `open` is in a cell."""


def is_data_path(path: str) -> bool:
    """Whether a file of this absolute path may be data of the user."""
    if path.endswith(CODE) or path.startswith(_SYSTEM) or is_library(path):
        return False
    here = f"{os.getcwd()}{os.sep}"  # noqa: PTH109  # ten times as fast, for each file that is opened
    below = path.removeprefix(here) if path.startswith(here) else path.removeprefix(_home())
    return f"{os.sep}." not in f"{os.sep}{below}" and _STORES.isdisjoint(below.split(os.sep))  # noqa: PTH206


def is_library(path: str) -> bool:
    """Whether a file of this absolute path is part of an installed library, or of Python."""
    return path.startswith(_libraries()) or f"{os.sep}site-packages{os.sep}" in path


def is_users_call(frame: FrameType | None) -> bool:
    """Whether `frame` was called by the user's code, and not by what works beside it."""
    for _ in range(_DEEPEST):
        if frame is None:
            return False
        names = frame.f_globals
        module = str(names.get("__name__", ""))
        if module == "__main__":
            return True
        if module.partition(".")[0] in _THEIRS and frame.f_code.co_name != _IPYTHONS_OPEN:
            return False
        frame = frame.f_back
    return True


@lru_cache(maxsize=1)
def _home() -> str:
    return f"{Path.home()}{os.sep}"


@lru_cache(maxsize=1)
def _libraries() -> tuple[str, ...]:
    found = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib", "data", "scripts")}
    found |= {sys.prefix, sys.base_prefix, sys.exec_prefix, *site.getsitepackages(), site.getusersitepackages()}
    return tuple(f"{os.path.normpath(folder)}{os.sep}" for folder in found if folder and folder != os.sep)
