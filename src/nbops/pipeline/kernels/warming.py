"""Have a notebook's kernel be forked, where its kernel spec leaves that open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nbops.pipeline.kernels.preload import modules_of

PROVISIONER = "nbops-warm"


def warm(manager: Any, sources: Sequence[str]) -> None:
    """Tell a kernel's manager, before the start, to have the kernel forked off what has imported the cells' modules.

    Parameters
    ----------
    manager
        A manager of `jupyter_client`.
    sources
        Code of cells.
    """
    spec = manager.kernel_spec
    if spec is not None and "kernel_provisioner" not in spec.metadata:
        config = {"preload": list(modules_of(sources))}
        spec.metadata = {**spec.metadata, "kernel_provisioner": {"provisioner_name": PROVISIONER, "config": config}}
