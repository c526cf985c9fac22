"""Read and write ``.ipynb`` files without losing one.

A notebook of format 4 is plain JSON, so reading one parses JSON and joins multi-line sources; nbformat (seconds to
import) is loaded only for older formats. Cells without an id get one from their position and source, so that the same
file gives the same ids at each reading. Writing goes to a temporary file beside the target, is synced and then renamed:
a reader sees the old notebook or the new one, never half of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbops.errors import NotebookError

FORMAT = 4
_MINOR_WITH_IDS = 5


@dataclass(frozen=True, slots=True)
class CodeCell:
    """A code cell as the analyses see it.

    Attributes
    ----------
    id
        The cell's id in the notebook.
    source
        Its code.
    tags
        Its tags, such as ``parameters``.
    position
        Its index among all cells of the notebook.
    """

    id: str
    source: str
    tags: frozenset[str]
    position: int


@dataclass(frozen=True, slots=True)
class Document:
    """A notebook in memory: its JSON content, format 4.5, sources joined, every cell with an id."""

    content: dict[str, Any]
    path: Path | None = None

    @property
    def cells(self) -> list[dict[str, Any]]:
        """All cells, in order."""
        cells: list[dict[str, Any]] = self.content["cells"]
        return cells

    @property
    def code_cells(self) -> list[CodeCell]:
        """The code cells, in order."""
        return [
            CodeCell(cell["id"], cell["source"], frozenset(_tags(cell)), position)
            for position, cell in enumerate(self.cells)
            if cell["cell_type"] == "code"
        ]

    @property
    def kernel(self) -> str:
        """The name of the kernel that the notebook asks for; ``python3`` when it names none."""
        return str(self.content["metadata"].get("kernelspec", {}).get("name") or "python3")


def read(path: Path | str) -> Document:
    """Read a notebook of any format.

    Raises
    ------
    NotebookError
        If the file is missing, isn't a notebook, or is cut off.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotebookError("no such notebook", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(f"can't be read: {error}", where=str(path)) from error
    return loads(text, path)


def loads(text: str, path: Path | None = None) -> Document:
    """Read a notebook from its JSON text; `path` is for error messages.

    Raises
    ------
    NotebookError
        If the text isn't a notebook.
    """
    where = str(path or "notebook")
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise NotebookError(
            "not a notebook: its JSON is broken" if text.strip() else "not a notebook: the file is empty",
            where=f"{where}:{line}" if line else where,
            remedy="it holds a merge's conflict: resolve that"
            if "<<<<<<< " in text and ">>>>>>> " in text
            else "restore it from version control or from .ipynb_checkpoints",
        ) from error
    if not isinstance(content, dict) or "nbformat" not in content:
        raise NotebookError("not a notebook: no 'nbformat' in its JSON", where=where)
    if content["nbformat"] != FORMAT:
        content = _upgraded(content, where)
    return Document(_completed(content, where), path)


def dumps(document: Document | Mapping[str, Any]) -> str:
    """Return a notebook's JSON text, laid out as Jupyter lays it out."""
    content = document.content if isinstance(document, Document) else document
    lined = {**content, "cells": [_with_lines(cell) for cell in content["cells"]]}
    return json.dumps(lined, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write(path: Path | str, document: Document | Mapping[str, Any]) -> None:
    """Write a notebook so that it appears whole or not at all."""
    write_atomically(Path(path), dumps(document).encode())


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file through a temporary one beside it: synced, then renamed; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def new(cells: list[dict[str, Any]], *, kernel: str = "python3") -> Document:
    """Return a new Python notebook made of `cells` (dicts with ``cell_type`` and ``source``, at least)."""
    content = {
        "nbformat": FORMAT,
        "nbformat_minor": _MINOR_WITH_IDS,
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": kernel},
            "language_info": {"name": "python"},
        },
        "cells": cells,
    }
    return Document(_completed(content, "new notebook"))


def _upgraded(content: dict[str, Any], where: str) -> dict[str, Any]:
    if not isinstance(content["nbformat"], int) or content["nbformat"] > FORMAT:
        raise NotebookError(
            f"notebook format {content['nbformat']!r} is newer than this nbops reads ({FORMAT})",
            where=where,
            remedy="upgrade nbops",
        )
    import nbformat

    try:
        old = nbformat.reads(json.dumps(content), as_version=nbformat.NO_CONVERT)
        upgraded: dict[str, Any] = json.loads(json.dumps(nbformat.convert(old, FORMAT)))
    except (nbformat.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise NotebookError(f"can't be upgraded to format {FORMAT}: {error}", where=where) from error
    return upgraded


def _completed(content: dict[str, Any], where: str) -> dict[str, Any]:
    cells = content.get("cells")
    if not isinstance(cells, list):
        raise NotebookError("not a notebook: it has no list of cells", where=where)
    minor = content.get("nbformat_minor")
    whole = {
        **content,
        "metadata": content.get("metadata") or {},
        "nbformat_minor": max(minor if isinstance(minor, int) else 0, _MINOR_WITH_IDS),
        "cells": [],
    }
    taken: set[str] = set()
    for position, cell in enumerate(cells):
        if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
            raise NotebookError(f"cell {position + 1} isn't a code, markdown or raw cell", where=where)
        whole["cells"].append(_completed_cell(cell, position, taken))
    return whole


def _completed_cell(cell: dict[str, Any], position: int, taken: set[str]) -> dict[str, Any]:
    source = cell.get("source", "")
    source = "".join(source) if isinstance(source, list) else str(source)
    identity = cell.get("id")
    if not isinstance(identity, str) or not identity or identity in taken:
        identity = hashlib.sha256(f"{position}\0{source}".encode()).hexdigest()[:8]
        while identity in taken:
            identity = hashlib.sha256(identity.encode()).hexdigest()[:8]
    taken.add(identity)
    whole = {**cell, "id": identity, "metadata": cell.get("metadata") or {}, "source": source}
    if cell["cell_type"] == "code":
        whole = {**whole, "outputs": cell.get("outputs") or [], "execution_count": cell.get("execution_count")}
    return whole


def _tags(cell: Mapping[str, Any]) -> Iterator[str]:
    tags = cell["metadata"].get("tags")
    yield from (tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _with_lines(cell: Mapping[str, Any]) -> dict[str, Any]:
    lined = {**cell, "source": cell["source"].splitlines(keepends=True)}
    if "outputs" in cell:
        lined["outputs"] = [
            {**output, "text": output["text"].splitlines(keepends=True)}
            if isinstance(output.get("text"), str)
            else output
            for output in cell["outputs"]
        ]
    return lined


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
