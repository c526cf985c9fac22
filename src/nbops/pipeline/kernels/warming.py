"""Have a notebook's kernel be forked, where its kernel spec leaves that open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbops.notebook.modules import local_modules
from nbops.pipeline.kernels.preload import modules_of

PROVISIONER = "nbops-warm"


def warm(manager: Any, sources: Sequence[str], folder: Path, *, also: Sequence[str] = ()) -> None:
    """Tell a kernel's manager, before the start, to have the kernel forked off what has imported the cells' modules.

    What modules beside the notebook import counts as well; they themselves are left to the notebook.

    Parameters
    ----------
    manager
        A manager of `jupyter_client`.
    sources
        Code of cells.
    folder
        The notebook's.
    also
        Packages that may be imported ahead besides those that only compute.
    """
    spec = manager.kernel_spec
    if spec is not None and "kernel_provisioner" not in spec.metadata:
        beside = [path.read_text("utf-8", "replace") for path in local_modules(sources, folder=folder).values()]
        config = {"preload": list(modules_of([*sources, *beside], also=also))}
        spec.metadata = {**spec.metadata, "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config}}
