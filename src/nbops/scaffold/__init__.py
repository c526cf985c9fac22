"""A new project's files: small, but whole: its pipeline runs, and its model can be promoted, packaged and served."""

from __future__ import annotations

import importlib.resources
import os
import re
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

from nbops.errors import ProjectError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MARK = "{{name}}"


def lay_out(folder: Path, name: str | None = None) -> tuple[list[str], list[str]]:
    """Write a new project's files; return the paths that were written, and those that were there and kept.

    Parameters
    ----------
    folder
        Where; made when missing.
    name
        The project's name; the folder's when None.

    Raises
    ------
    ProjectError
        If the name can't be an experiment's and a model's.
    """
    name = name or folder.resolve().name
    if not _NAME.fullmatch(name):
        raise ProjectError(
            f"'{name}' can't be a project's name",
            remedy="--name with letters, digits, '-', '_' and '.', a letter first",
        )
    written: list[str] = []
    kept: list[str] = []
    for relative, source in _files(importlib.resources.files(__name__) / "template"):
        target = folder / relative
        if target.exists():
            kept.append(relative)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
        fresh.write_text(source.read_text(encoding="utf-8").replace(_MARK, name), encoding="utf-8")
        fresh.replace(target)
        written.append(relative)
    return written, kept


def _files(folder: Traversable, below: str = "") -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda found: found.name):
        name = entry.name.replace("dot-", ".", 1) if entry.name.startswith("dot-") else entry.name
        if entry.is_dir():
            yield from _files(entry, f"{below}{name}/")
        else:
            yield f"{below}{name}", entry
