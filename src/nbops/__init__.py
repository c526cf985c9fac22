"""nbops: MLOps for people who work in Jupyter.

The names below are all there is at the door; each loads on first use, so that ``import nbops`` costs
milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "_jupyter_labextension_paths": "nbops.lab",
    "_jupyter_server_extension_points": "nbops.lab",
    "_load_jupyter_server_extension": "nbops.lab",
    "NbopsError": "nbops.errors",
    "Project": "nbops.project",
    "Store": "nbops.tracking.store",
    "diff": "nbops.tracking.frames",
    "history": "nbops.tracking.frames",
    "load_ipython_extension": "nbops.magics",
    "reproduce": "nbops.tracking.frames",
    "restore": "nbops.tracking.frames",
    "run": "nbops.tracking.runs",
    "runs": "nbops.tracking.frames",
    "show": "nbops.tracking.frames",
    "stale": "nbops.tracking.frames",
    "unload_ipython_extension": "nbops.magics",
}

__all__ = [
    "NbopsError",
    "Project",
    "diff",
    "history",
    "panels",
    "reproduce",
    "restore",
    "run",
    "runs",
    "show",
    "stale",
]

if TYPE_CHECKING:
    from nbops import panels
    from nbops.errors import NbopsError
    from nbops.project import Project
    from nbops.tracking.frames import diff, history, reproduce, restore, runs, show, stale
    from nbops.tracking.runs import run
    from nbops.tracking.store import Store as Store


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "panels":
        return import_module("nbops.panels")
    raise AttributeError(f"module 'nbops' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
