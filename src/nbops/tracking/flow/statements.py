"""The statements of a cell, and where their text lies in the cell's source.

IPython executes a *transformed* cell: magics have become calls, leading blank lines are gone, continued magic lines are one.
`spans` parses that text and leads every top-level statement back to its lines (and columns, where a line is shared) in the
source that the user wrote. A cell magic is one statement over the whole cell.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from nbops.notebook.normalise import parse, without_magics


@dataclass(frozen=True, slots=True)
class Span:
    """Where a statement lies: lines from 1, and what to cut off its first and last line (bytes from their starts)."""

    first: int
    last: int
    node: ast.stmt
    begin: int | None = None
    end: int | None = None

    def text(self, lines: list[str]) -> str:
        """Return the statement's own text, with the comments directly above it."""
        own = lines[self.first - 1 : self.last]
        if self.end is not None:
            own[-1] = own[-1].encode()[: self.end].decode(errors="ignore")
        if self.begin is not None:
            own[0] = own[0].encode()[self.begin :].decode(errors="ignore")
            return "\n".join(own)
        above = self.first - 1
        while above > 0 and lines[above - 1].lstrip().startswith("#"):
            above -= 1
        return "\n".join([*lines[above : self.first - 1], *own])


def spans(source: str, transformed: str | None = None) -> list[Span]:
    """Return the statements of a cell; none where it can't be parsed.

    Parameters
    ----------
    source
        What the user wrote.
    transformed
        What IPython made of it; without it, magics are made out by their look.
    """
    if source.lstrip().startswith("%%"):
        return _whole(source, transformed)
    try:
        tree = ast.parse(transformed) if transformed is not None else parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    if tree is None:
        return []
    text = transformed if transformed is not None else without_magics(source)
    numbers = _line_numbers(source.split("\n"), text.rstrip("\n").split("\n"))
    total = source.count("\n") + 1
    if numbers is None:
        return [Span(1, total, node) for node in tree.body]
    return _located(tree.body, numbers)


def _whole(source: str, transformed: str | None) -> list[Span]:
    code = transformed or f"get_ipython().run_cell_magic({source!r})"
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [Span(1, source.count("\n") + 1, node) for node in body[:1]]


def _located(body: list[ast.stmt], numbers: list[tuple[int, int]]) -> list[Span]:
    found: list[Span] = []
    starts = [min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))]) for node in body]
    ends = [node.end_lineno or node.lineno for node in body]
    for at, node in enumerate(body):
        shares_first = at > 0 and ends[at - 1] == starts[at]
        shares_last = at + 1 < len(body) and starts[at + 1] == ends[at]
        found.append(
            Span(
                numbers[starts[at] - 1][0],
                numbers[ends[at] - 1][1],
                node,
                node.col_offset if shares_first else None,
                node.end_col_offset if shares_last else None,
            )
        )
    return found


def _line_numbers(raw: list[str], new: list[str]) -> list[tuple[int, int]] | None:
    """Return the first and last line of the source behind each transformed line; None where they don't match."""
    at = 0
    if new and new[0].strip():
        while at < len(raw) and not raw[at].strip():
            at += 1
    found: list[tuple[int, int]] = []
    for line in new:
        if at >= len(raw):
            return None
        first = at
        if raw[at].strip() != line.strip() and line.strip() not in raw[at]:
            while raw[at].endswith("\\") and at + 1 < len(raw):
                at += 1
        at += 1
        found.append((first + 1, at))
    return None if any(line.strip() for line in raw[at:]) else found
