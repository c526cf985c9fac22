"""Builds the JupyterLab extension into the package, so that a user's installation needs no node.

hatchling runs `ExtensionHook` before it writes a wheel or an sdist. Unless a production build of the current sources
is there already, it runs ``npm ci`` and ``npm run build:prod`` in ``extension/``; then it adds the built files to the
wheel under ``share/jupyter/labextensions``, where JupyterLab looks. Where the extension can't be built (no npm, an old
node, no network) it is left out and the build says so: all the rest of nbops works without it.

``NBOPS_SKIP_EXTENSION=1`` leaves it out without trying; ``NBOPS_REQUIRE_EXTENSION=1``, for releases, fails instead.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NEEDED_NODE = (20, 19)  # what the bundler asks for
_SHARE = "share/jupyter/labextensions/nbops-lab"
_SOURCES = ("src", "style", "package.json", "package-lock.json", "tsconfig.json")


class ExtensionHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's hook; see the module's docstring."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the extension where needed and add it to the wheel."""
        root = Path(self.root)
        built = root / "src" / "nbops" / "labextension"
        config = "jupyter-config/jupyter_server_config.d/nbops.json"
        shared = {config: "etc/jupyter/jupyter_server_config.d/nbops.json"}
        why_not = self._ensure_built(root / "extension", built)
        if why_not is None:
            shared[str(built.relative_to(root))] = _SHARE
            shared["extension/install.json"] = f"{_SHARE}/install.json"
        elif os.environ.get("NBOPS_REQUIRE_EXTENSION") == "1":
            self.app.abort(f"The JupyterLab extension can't be built: {why_not}")
        else:
            self.app.display_warning(f"The JupyterLab extension is left out: {why_not}")
        if self.target_name == "wheel":
            build_data["shared_data"].update({str(root / source): target for source, target in shared.items()})

    def _ensure_built(self, extension: Path, built: Path) -> str | None:
        """Return None when a production build is there, else why it isn't."""
        if os.environ.get("NBOPS_SKIP_EXTENSION") == "1":
            return "NBOPS_SKIP_EXTENSION is set"
        if _is_production(built) and (_is_current(extension, built) or shutil.which("npm") is None):
            return None
        npm, node = shutil.which("npm"), shutil.which("node")
        if npm is None or node is None:
            return "npm isn't there; install Node.js and build again"
        if _node_version(node) < _NEEDED_NODE:
            return "this Node.js is too old for the bundler; install a newer one and build again"
        self.app.display_info("Building the JupyterLab extension (about a minute)")
        for leftover in (built, extension / "lib"):
            shutil.rmtree(leftover, ignore_errors=True)
        for command in (["ci", "--no-progress"], ["run", "build:prod"]):
            done = subprocess.run([npm, *command], cwd=extension, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                shutil.rmtree(built, ignore_errors=True)
                self.app.display_error((done.stdout + done.stderr)[-4000:])
                return f"`npm {' '.join(command)}` failed in {extension.name}/"
        return None


def _is_production(built: Path) -> bool:
    """Whether a whole build is there, without the source maps that a development build leaves."""
    return (built / "package.json").is_file() and not any(built.rglob("*.map"))


def _is_current(extension: Path, built: Path) -> bool:
    """Whether no source file is newer than the build."""
    newest = max(path.stat().st_mtime for path in _sources(extension))
    return newest <= (built / "package.json").stat().st_mtime


def _sources(extension: Path) -> Iterator[Path]:
    for place in (extension / name for name in _SOURCES):
        yield from place.rglob("*") if place.is_dir() else [place]


def _node_version(node: str) -> tuple[int, ...]:
    printed = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(int(part) for part in re.findall(r"\d+", printed)[:2])
