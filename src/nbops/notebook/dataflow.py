"""Statements and what flows between them: the backward slice.

A statement is kept when it binds or may change a name that is needed further down; what it reads is then needed too.
The analysis is static and errs on the side of keeping.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nbops.errors import NotebookError
from nbops.notebook.names import Names, names_of
from nbops.notebook.normalise import split_cell_magic, without_magics

_SHOWS_ONLY = frozenset({"print", "display", "help"})


@dataclass(frozen=True, slots=True)
class Statement:
    """One top-level statement of a cell, with its own text (comments within it included) and names."""

    source: str
    node: ast.stmt
    names: Names

    @property
    def shows_only(self) -> bool:
        """Whether the statement can only show something: a bare name, a literal, or a call of ``print``."""
        if not isinstance(self.node, ast.Expr):
            return False
        value = self.node.value
        if isinstance(value, ast.Call):
            return isinstance(value.func, ast.Name) and value.func.id in _SHOWS_ONLY
        return isinstance(value, ast.Name | ast.Constant | ast.Attribute | ast.Tuple)


def statements(source: str, *, where: str = "") -> list[Statement]:
    """Split a cell (without its ``%%`` line) into statements.

    Raises
    ------
    NotebookError
        If the cell isn't Python.
    """
    body = without_magics(split_cell_magic(source)[1])
    try:
        tree = ast.parse(body)
    except (SyntaxError, ValueError) as error:
        raise NotebookError(f"the cell isn't valid Python: {error}", where=where) from error
    lines = body.split("\n")
    return [Statement(_text(lines, node), node, names_of(node)) for node in tree.body]


def backward_slice(code: Sequence[Statement], targets: Iterable[str]) -> list[Statement]:
    """Return the statements, in order, that the value of `targets` at the end may depend on."""
    needed = set(targets)
    kept: list[Statement] = []
    for statement in reversed(code):
        if statement.shows_only:
            continue
        names = statement.names
        if (names.defined | names.changed) & needed or names.star_imports:
            kept.append(statement)
            if not isinstance(statement.node, ast.If | ast.For | ast.While | ast.Try | ast.With | ast.Match):
                needed -= names.defined
            needed |= names.used
    return kept[::-1]


def _text(lines: list[str], node: ast.stmt) -> str:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    assert node.end_lineno is not None, "ast.parse gives every statement an end"
    if first == node.end_lineno:  # several statements may share the line
        encoded = lines[first - 1].encode()
        return encoded[node.col_offset : node.end_col_offset].decode()
    return "\n".join(lines[first - 1 : node.end_lineno])
