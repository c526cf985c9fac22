"""The executed cells as statements: where a name of the notebook comes from.

Functions and classes remember the place of their code, so the statement in force is found even when a name was defined
several times or cells ran out of order; for the rest the last statement that binds the name counts. A magic that runs
Python (``%%time``, ``%%nbops run``, ``%time f()``) counts as what it runs.
"""

from __future__ import annotations

import ast
import linecache
import re
import sys
import types
from collections.abc import Iterable, Iterator
from typing import Any

from nbops.errors import NotebookError
from nbops.notebook.dataflow import Statement, statements
from nbops.notebook.normalise import is_python, split_cell_magic

_TIMED = re.compile(r"^([ \t]*)%time[ \t]+(?=[^\s-])", re.MULTILINE)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def executed_code(cell: str) -> str:
    """Return a cell's source with ``%time statement`` turned into the statement that it runs."""
    return _TIMED.sub(r"\1", cell)


class History:
    """The statements that a notebook executed, in executed order.

    Parameters
    ----------
    cells
        Sources of the executed cells; what isn't Python bound nothing.
    """

    def __init__(self, cells: Iterable[str]) -> None:
        self._statements = [statement for cell in cells for statement in _parsed(cell)]

    def imports_of_module(self, name: str) -> list[str]:
        """Return the executed imports that bind `name` to a module: ``import a.b`` and ``import a.c`` both bind ``a``."""
        found = [
            f"import {ast.unparse(alias)}"
            for node in self._import_nodes()
            if isinstance(node, ast.Import)
            for alias in node.names
            if (alias.asname or alias.name.partition(".")[0]) == name
        ]
        return list(dict.fromkeys(found))

    def import_of(self, name: str, value: Any) -> str | None:
        """Return the executed ``from … import …`` that gave `name` its present value, None if there is none."""
        for node in reversed(list(self._import_nodes())):
            if not isinstance(node, ast.ImportFrom) or node.level or not node.module:
                continue
            for alias in node.names:
                member = name if alias.name == "*" else alias.name
                if (alias.asname or member) == name and _is_member(value, node.module, member):
                    return f"from {node.module} import {member}" + (f" as {name}" if member != name else "")
        return None

    def future_imports(self) -> list[str]:
        """Return the ``from __future__`` imports: in a notebook they hold for all later cells."""
        found = [ast.unparse(node) for node in self._import_nodes() if getattr(node, "module", "") == "__future__"]
        return list(dict.fromkeys(found))

    def definition(self, name: str, value: Any) -> Statement | None:
        """Return the statement that bound `name` to a function or class, None when it wasn't executed in a cell."""
        place = _place(value)
        if place is not None:
            for statement in _parsed("".join(linecache.getlines(place[0]))):
                node = statement.node
                first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
                if first <= place[1] <= (node.end_lineno or first) and {name, value.__name__} & statement.names.defined:
                    return statement
        return self.last(name)

    def last(self, name: str) -> Statement | None:
        """Return the last statement, other than an import, that binds `name`."""
        for statement in reversed(self._statements):
            if name in statement.names.defined and not isinstance(statement.node, ast.Import | ast.ImportFrom):
                return statement
        return None

    def _import_nodes(self) -> Iterator[ast.Import | ast.ImportFrom]:
        for statement in self._statements:
            if not isinstance(statement.node, _SCOPES):
                for node in ast.walk(statement.node):
                    if isinstance(node, ast.Import | ast.ImportFrom):
                        yield node


def _is_member(value: Any, module: str, member: str) -> bool:
    origin = sys.modules.get(module)
    if origin is not None and hasattr(origin, member):
        return getattr(origin, member) is value
    return sys.modules.get(f"{module}.{member}", ...) is value


def _place(value: Any) -> tuple[str, int] | None:
    """Return the file and first line of a function, or of a method that a class was written with."""
    if not isinstance(value, type):
        return value.__code__.co_filename, value.__code__.co_firstlineno
    for member in vars(value).values():
        if isinstance(member, types.FunctionType) and member.__qualname__ == f"{value.__qualname__}.{member.__name__}":
            filename = member.__code__.co_filename
            if not filename.startswith("<string") and member.__module__ == value.__module__:
                return _place(member)
    return None


def _parsed(cell: str) -> list[Statement]:
    if not is_python(split_cell_magic(cell)[0]):
        return []
    try:
        return statements(executed_code(cell))
    except NotebookError:  # a cell that didn't parse bound nothing
        return []
