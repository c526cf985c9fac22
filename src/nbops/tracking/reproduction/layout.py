"""Pieces of a session laid out as a notebook, in executed order, with the notebook's own words around them.

Each piece becomes a code cell under its cell's id (a second execution of one cell gets a number after it). Markdown
stands where it stood: before the code cell that it came before in the notebook's file, at that cell's first
appearance. Which file: the one on disk, or the one of the run's commit, whichever knows more of the pieces. Where a
later piece asks for an output by its number (``Out[5]``), the cell that showed it gets that number again.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nbops.errors import NotebookError
from nbops.notebook import document
from nbops.notebook.document import Document
from nbops.notebook.normalise import normalise
from nbops.tracking.recipe import Piece

RAISES = "raises-exception"
_FAILS = "%%nbops fails"
NUMBER_ID = "nbops-out-"
_GENERATED_TAGS = frozenset({RAISES, "papermill-error-cell-tag"})
_AWAITS = re.compile(r"\b(?:await|async)\b")  # a cell magic can't
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]+")
_LONGEST_ID = 64

Outputs = Callable[[Piece], list[dict[str, Any]]]


def lay_out(
    pieces: Sequence[Piece],
    *,
    sources: Sequence[Document] = (),
    heading: str = "",
    loads: bool = False,
    survives: bool = False,
    outputs: Outputs | None = None,
) -> Document:
    """Return a notebook that executes `pieces` in their order.

    Parameters
    ----------
    pieces
        What to execute.
    sources
        Notebooks that the pieces may come from, the likelier first.
    heading
        The first markdown cell's text.
    loads
        Whether to begin with ``%load_ext nbops``, unless a piece does so.
    survives
        Whether pieces that failed begin with ``%%nbops fails``, so that no executor stops at them.
    outputs
        Gives a piece's recorded outputs; without it cells have none.
    """
    source = best_source(pieces, sources)
    cells: list[dict[str, Any]] = []
    if heading:
        cells.append({"cell_type": "markdown", "id": "nbops-origin", "source": heading, "metadata": {}})
    if loads and not any(loads_nbops(piece.source) for piece in pieces):
        cells.append({"cell_type": "code", "id": "nbops-load", "source": "%load_ext nbops", "metadata": {}})
    words = _Words(source)
    taken = {cell["id"] for cell in cells}
    number = 1 + sum(cell["cell_type"] == "code" for cell in cells)
    for count, piece in enumerate(pieces, 1):
        position = words.position(piece)
        cells += words.before(position, taken)
        if piece.shown not in (None, number):
            cells.append(_numbering(piece.shown, taken))
            number = piece.shown
        number += 1
        cell: dict[str, Any] = {
            "cell_type": "code",
            "id": _own_id(piece, taken),
            "source": f"{_FAILS}\n{piece.source}" if survives and _can_be_survived(piece) else piece.source,
            "metadata": {**words.metadata(position), **_tags(words.tags(position), piece)},
        }
        if outputs:
            cell |= {"outputs": outputs(piece), "execution_count": count}
        cells.append(cell)
    cells += words.closing(taken)
    made = document.new(cells, kernel=source.kernel if source else "python3")
    if source and "kernelspec" in source.content["metadata"]:
        made.content["metadata"]["kernelspec"] = source.content["metadata"]["kernelspec"]
    return made


def piece_ids(notebook: Document) -> list[str]:
    """Return the ids of a notebook's code cells that are pieces, in their order."""
    return [cell.id for cell in notebook.code_cells if not cell.id.startswith(NUMBER_ID)]


def _numbering(number: int, taken: set[str]) -> dict[str, Any]:
    name = f"{NUMBER_ID}{number}"
    taken.add(name)
    source = f"get_ipython().execution_count = {number}  # what the next cell shows is Out[{number}], as it was"
    metadata = {"jupyter": {"source_hidden": True}, "tags": ["nbops"]}
    return {"cell_type": "code", "id": name, "source": source, "metadata": metadata}


def _can_be_survived(piece: Piece) -> bool:
    return piece.failed and not _AWAITS.search(piece.source) and not piece.source.lstrip().startswith(_FAILS)


def loads_nbops(source: str) -> bool:
    """Whether a cell loads nbops by a magic."""
    return any(line.split()[:2] in (["%load_ext", "nbops"], ["%reload_ext", "nbops"]) for line in source.split("\n"))


def sources_of(root: Path, notebook: str | None, commit: str | None) -> list[Document]:
    """Return a notebook as it's on disk and as it was in a commit, as far as they are there and can be read."""
    if notebook is None:
        return []
    found = []
    for text in (_on_disk(root / notebook), _in_commit(root, notebook, commit)):
        try:
            if text:
                found.append(document.loads(text, root / notebook))
        except NotebookError:
            continue  # cut off, or in a merge: the other one, or none, has the words then
    return found


def best_source(pieces: Sequence[Piece], sources: Sequence[Document]) -> Document | None:
    """Return the notebook that knows most of the pieces: by id, and better still with the same code."""

    def known(source: Document) -> int:
        code = {cell.id: normalise(cell.source) for cell in source.code_cells}
        texts = set(code.values())
        score = 0
        for piece in pieces:
            text = normalise(piece.source)
            score += (piece.cell_id in code) + (text in texts) + (code.get(piece.cell_id or "") == text)
        return score

    return max(sources, key=known, default=None)


class _Words:
    """What a notebook's file says around its code cells."""

    def __init__(self, source: Document | None) -> None:
        self._cells = source.cells if source else []
        code = source.code_cells if source else []
        self._by_id = {cell.id: cell.position for cell in code}
        self._by_text: dict[str, int] = {}
        for cell in code:
            self._by_text.setdefault(normalise(cell.source), cell.position)
        self._first = code[0].position if code else len(self._cells)
        self._last = code[-1].position if code else -1
        self._told: set[int] = set()
        self._begun = self._ended = False

    def position(self, piece: Piece) -> int | None:
        """Return where in the file a piece's cell is."""
        found = self._by_id.get(piece.cell_id or "")
        return self._by_text.get(normalise(piece.source)) if found is None else found

    def before(self, position: int | None, taken: set[str]) -> Iterable[dict[str, Any]]:
        """Return the markdown right before a code cell, once; the notebook's opening comes before everything."""
        spans = [] if self._begun else [range(self._first)]
        self._begun = True
        if position is not None:
            self._ended = self._ended or position == self._last
            start = position
            while start > 0 and self._cells[start - 1]["cell_type"] != "code":
                start -= 1
            spans.append(range(start, position))
        return self._told_once((at for span in spans for at in span), taken)

    def closing(self, taken: set[str]) -> Iterable[dict[str, Any]]:
        """Return the markdown after the last code cell, if that is here."""
        return self._told_once(range(self._last + 1, len(self._cells)) if self._ended else (), taken)

    def metadata(self, position: int | None) -> dict[str, Any]:
        """Return a cell's own metadata without tags and what executions left."""
        kept = self._cells[position]["metadata"] if position is not None else {}
        return {key: kept[key] for key in kept if key not in ("tags", "papermill", "nbops", "execution")}

    def tags(self, position: int | None) -> list[str]:
        """Return a cell's own tags."""
        return list(self._cells[position]["metadata"].get("tags") or []) if position is not None else []

    def _told_once(self, positions: Iterable[int], taken: set[str]) -> list[dict[str, Any]]:
        found = []
        for at in positions:
            cell = self._cells[at]
            if at in self._told or cell["cell_type"] == "code":
                continue
            self._told.add(at)
            found.append({**cell, "id": _unique(cell["id"], taken)})
        return found


def _tags(own: Sequence[str], piece: Piece) -> dict[str, list[str]]:
    tags = [tag for tag in own if isinstance(tag, str) and tag not in _GENERATED_TAGS]
    if piece.cell_id == "injected-parameters" and "injected-parameters" not in tags:
        tags.append("injected-parameters")
    if piece.failed:
        tags.append(RAISES)
    return {"tags": tags} if tags else {}


def _own_id(piece: Piece, taken: set[str]) -> str:
    return _unique(piece.cell_id or f"cell-{piece.seq}", taken)


def _unique(wanted: str, taken: set[str]) -> str:
    """Return an id that nbformat allows and no other cell has."""
    plain = _NO_ID.sub("-", wanted).strip("-")[:_LONGEST_ID] or "cell"
    found, number = plain, 1
    while found in taken:
        number += 1
        ending = f"-{number}"
        found = plain[: _LONGEST_ID - len(ending)] + ending
    taken.add(found)
    return found


def _on_disk(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):  # moved or removed since: the commit may have it
        return None


def _in_commit(root: Path, notebook: str, commit: str | None) -> str | None:
    if not commit or Path(notebook).is_absolute():
        return None
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), "show", f"{commit}:./{notebook}"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):  # no git here, or the commit isn't in this clone
        return None
    return answer.stdout
