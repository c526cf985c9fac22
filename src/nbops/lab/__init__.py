"""The Jupyter server extension: what the JupyterLab extension asks, and what it is told.

Jupyter imports this module at its start and calls the hooks below; all that costs time is imported inside them.
`routes` answers REST requests under ``nbops/api/``, `watcher` notices what kernels and pipelines write, `events`
tells open browsers, and `messages` is what crosses the wire (TypeScript types are generated from it).
"""

from __future__ import annotations

from typing import Any

EXTENSION_NAME = "nbops-lab"


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": EXTENSION_NAME}]


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "nbops.lab"}]


def _load_jupyter_server_extension(server: Any) -> None:
    from nbops.lab.service import LabService

    LabService.install(server)


def extension_folder() -> str | None:
    """Return where JupyterLab finds the built extension, or None when it was left out of this installation."""
    from pathlib import Path

    from jupyter_core.paths import jupyter_path

    found = (Path(folder) / EXTENSION_NAME for folder in jupyter_path("labextensions"))
    return next((str(folder) for folder in found if (folder / "package.json").is_file()), None)
