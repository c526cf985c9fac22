"""A project: the folder with ``nbops.toml`` at its root, and where things lie below it.

`Project.find` walks up from any sub-folder to the nearest ``nbops.toml``; without one, the git root (or the
folder itself) is a project with the defaults. All that nbops writes by itself goes under ``.nbops/``.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbops.errors import ProjectError, nearest

CONFIG_NAME = "nbops.toml"
_KNOWN_TABLES = {
    "project": {"name"},
    "tracking": {"uri", "experiment", "artifacts", "metrics", "mirrors"},
    "pipeline": {"file"},
    "model": {"name"},
    "gates": None,
    "bundle": {"folder"},
}


@dataclass(frozen=True, slots=True)
class Project:
    """Where a project lies and what its ``nbops.toml`` says.

    Attributes
    ----------
    root
        Absolute path of the project's folder.
    config
        The parsed ``nbops.toml``; empty when there is none.
    """

    root: Path
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def find(cls, start: Path | str | None = None) -> Project:
        """Return the project that `start` (default: the working directory) lies in.

        Raises
        ------
        ProjectError
            If `start` doesn't exist or the ``nbops.toml`` found can't be read.
        """
        place = Path(start or os.environ.get("NBOPS_PROJECT") or Path.cwd()).resolve()
        if not place.exists():
            raise ProjectError("no such file or folder", where=str(place))
        folder = place if place.is_dir() else place.parent
        lineage = [folder, *folder.parents]
        for candidate in lineage:
            if (candidate / CONFIG_NAME).is_file():
                return cls(candidate, _read_config(candidate / CONFIG_NAME))
        root = next((candidate for candidate in lineage if (candidate / ".git").exists()), folder)
        return cls(root)

    @property
    def name(self) -> str:
        """The project's name: from ``[project] name``, else its folder's."""
        return str(self.config.get("project", {}).get("name") or self.root.name)

    @property
    def state(self) -> Path:
        """The folder that nbops keeps its own files in."""
        return self.root / ".nbops"

    @property
    def sessions(self) -> Path:
        """Cell records, one file a kernel session."""
        return self.state / "sessions"

    @property
    def tracking_uri(self) -> str:
        """The MLflow tracking URI: ``[tracking] uri``, else ``MLFLOW_TRACKING_URI``, else SQLite under ``.nbops/``."""
        uri = self.config.get("tracking", {}).get("uri") or os.environ.get("MLFLOW_TRACKING_URI")
        return str(uri) if uri else f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def artifact_root(self) -> str | None:
        """Where artifacts of the default store go; None where the tracking server decides."""
        configured = self.config.get("tracking", {}).get("artifacts")
        if configured:
            return str(configured)
        return (self.state / "artifacts").as_uri() if self.tracking_uri.startswith("sqlite:") else None

    @property
    def experiment(self) -> str:
        """The MLflow experiment that runs belong to by default."""
        return str(self.config.get("tracking", {}).get("experiment") or self.name)

    @property
    def pipeline_file(self) -> Path:
        """Where ``pipeline.yaml`` is expected."""
        return self.root / str(self.config.get("pipeline", {}).get("file", "pipeline.yaml"))

    @property
    def model_name(self) -> str:
        """The registered model's name: ``[model] name``, else the project's."""
        return str(self.config.get("model", {}).get("name") or self.name)

    @property
    def bundles(self) -> Path:
        """The folder that finished bundles are written to."""
        return self.root / str(self.config.get("bundle", {}).get("folder", "bundles"))

    def relative(self, path: Path | str) -> str:
        """Return `path` relative to the root with forward slashes, or absolute when it lies elsewhere."""
        absolute = Path(path).absolute()
        try:
            return absolute.relative_to(self.root).as_posix()
        except ValueError:
            return absolute.as_posix()


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProjectError(f"not valid TOML: {error}", where=str(path)) from error
    for table, value in config.items():
        if table not in _KNOWN_TABLES:
            raise ProjectError(f"unknown table [{table}]", where=str(path), remedy=nearest(table, _KNOWN_TABLES))
        if not isinstance(value, dict):
            raise ProjectError(f"[{table}] must be a table", where=str(path))
        known = _KNOWN_TABLES[table]
        for key in value:
            if known is not None and key not in known:
                raise ProjectError(f"unknown key '{key}' in [{table}]", where=str(path), remedy=nearest(key, known))
    return config
