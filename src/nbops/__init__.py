"""nbops: MLOps for people who work in Jupyter.

The names below are all there is at the door; each loads on first use, so that ``import nbops`` costs milliseconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Project": "nbops.project",
}

__all__ = ["Project", "__version__"]

if TYPE_CHECKING:
    from nbops.project import Project


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'nbops' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
