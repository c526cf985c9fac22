"""A project: the folder with ``nbops.toml`` at its root, and where things lie below it.

`Project.find` walks up from any sub-folder to the nearest ``nbops.toml``; without one, the git root (or the
folder itself) is a project with the defaults. All that nbops writes by itself goes under ``.nbops/``.

What is recorded of cells can be set under ``[tracking]``:

- ``redact``: a list. ``"patient_*"`` is a pattern of names (as of file names, in any case): their values are kept out of the
  records like those of ``password``. ``"re:MRN-\\d+"`` is a regular expression: text that it finds is masked everywhere.
- ``memory``: how much may be held in memory to be fingerprinted later, as a share of the machine's (``"10%"``, the default)
  or in bytes (``"2GB"``).
- ``outputs``: how much is kept of each output of a cell (``"1MB"``, the default); ``"0"`` keeps none.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbops.errors import ProjectError, nearest

CONFIG_NAME = "nbops.toml"
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(%|B|kB|KB|MB|GB|TB|)\s*")
_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_KNOWN_TABLES = {
    "project": {"name"},
    "tracking": {"uri", "experiment", "artifacts", "metrics", "mirrors", "redact", "memory", "outputs"},
    "pipeline": {"file", "links", "preload", "warm"},
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
        """The MLflow tracking URI: ``[tracking] uri``, else ``MLFLOW_TRACKING_URI``, else SQLite under ``.nbops/``.

        A SQLite file in ``nbops.toml`` is relative to the root, whatever folder a notebook works in.
        """
        told = str(self._tracking("uri", None) or "")
        file = Path(told.removeprefix("sqlite:///"))
        if told.startswith("sqlite:///") and not file.is_absolute() and file.name != ":memory:":
            return f"sqlite:///{self.root / file}"
        uri = told or os.environ.get("MLFLOW_TRACKING_URI") or ""
        return uri if uri and not uri.startswith("nbops:") else f"sqlite:///{self.state / 'mlflow.db'}"

    @property
    def artifact_root(self) -> str | None:
        """Where artifacts of the default store go; None where the tracking server decides."""
        configured = str(self._tracking("artifacts", None) or "")
        if configured:
            return configured if ":" in configured else (self.root / configured).absolute().as_uri()
        return (self.state / "artifacts").as_uri() if self.tracking_uri.startswith("sqlite:") else None

    @property
    def experiment(self) -> str:
        """The MLflow experiment that runs belong to by default."""
        return str(self.config.get("tracking", {}).get("experiment") or self.name)

    @property
    def redact(self) -> tuple[str, ...]:
        """What is to be kept out of records: patterns of names, and regular expressions that begin with ``re:``."""
        listed = self._tracking("redact", [])
        if not (isinstance(listed, list) and all(isinstance(item, str) for item in listed)):
            raise self._wrong("redact", 'a list of patterns, such as ["patient_*", "re:MRN-\\\\d+"]')
        for item in listed:
            try:
                re.compile(item.removeprefix("re:") if item.startswith("re:") else "")
            except re.error as error:
                raise self._wrong("redact", f"'{item}' isn't a regular expression: {error}") from error
        return tuple(listed)

    @property
    def held_memory(self) -> int | float:
        """How much may be held to be fingerprinted later: bytes, or a share of the machine's memory below 1."""
        return self._size("memory", "10%")

    @property
    def kept_output(self) -> int:
        """How many bytes are kept of each output of a cell."""
        size = self._size("outputs", "1MB")
        if isinstance(size, float):
            raise self._wrong("outputs", 'a size, such as "1MB"')
        return size

    @property
    def pipeline_file(self) -> Path:
        """Where ``pipeline.yaml`` is expected."""
        return self.root / str(self.config.get("pipeline", {}).get("file", "pipeline.yaml"))

    @property
    def preload(self) -> tuple[str, ...] | None:
        """Packages that warm kernels may import ahead besides those that only compute; None: no kernel is to be warm.

        Raises
        ------
        ProjectError
            If ``[pipeline] warm`` isn't true or false, or ``[pipeline] preload`` isn't a list of names.
        """
        table = self.config.get("pipeline", {})
        where = f"{self.root / CONFIG_NAME}, [pipeline]"
        if not isinstance(table.get("warm", True), bool):
            raise ProjectError(f"warm = {table['warm']!r} can't be used", where=where, remedy="true or false")
        listed = table.get("preload", [])
        if not (isinstance(listed, list) and all(isinstance(item, str) for item in listed)):
            raise ProjectError(f"preload = {listed!r} can't be used", where=where, remedy='a list, such as ["torch"]')
        return tuple(listed) if table.get("warm", True) else None

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
        if ".." in absolute.parts:
            absolute = _without_climbing(absolute)
        try:
            return absolute.relative_to(self.root).as_posix()
        except ValueError:
            return absolute.as_posix()

    def _tracking(self, key: str, default: Any) -> Any:
        return self.config.get("tracking", {}).get(key, default)

    def _size(self, key: str, default: str) -> int | float:
        told = self._tracking(key, default)
        found = _SIZE.fullmatch(str(told))
        if isinstance(told, bool) or not found:
            raise self._wrong(key, 'a size such as "2GB"' + (' or a share such as "10%"' if key == "memory" else ""))
        number, unit = float(found[1]), found[2]
        if unit == "%":
            if number > 100:
                raise self._wrong(key, "a share of at most 100%")
            return number / 100
        return int(number * _UNITS[unit])

    def _wrong(self, key: str, remedy: str) -> ProjectError:
        where = f"{self.root / CONFIG_NAME}, [tracking] {key}"
        return ProjectError(f"{self._tracking(key, None)!r} can't be used", where=where, remedy=remedy)


def _without_climbing(path: Path) -> Path:
    """Return ``a/c`` for ``a/b/../c``, unless a link leads elsewhere from ``a/b``."""
    plain = Path(os.path.normpath(path))
    try:
        return plain if plain.samefile(path) else path
    except OSError:  # one of them isn't there
        return path if plain.exists() else plain


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
