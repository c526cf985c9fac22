"""What the scoring cell needs from the notebook's namespace, found by analysis.

From the names that the cell reads, the search goes through the values that they hold now: a function or class written
in the notebook contributes its executed source and is searched in turn; one that is imported, its import; a plain value
its literal; anything else is an object to store. Nothing that isn't reached is taken.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import io
import linecache
import math
import pickle
import pickletools
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbops.errors import NotebookError, SliceError
from nbops.notebook.dataflow import Statement, statements
from nbops.notebook.names import names_of
from nbops.tracking.redact import sounds_secret

_MAIN = "__main__"
_LONGEST_LITERAL = 2_000


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A value that has no source: its pickle, and the modules that reading it back imports."""

    name: str
    content: bytes
    modules: frozenset[str]


@dataclass(slots=True)
class Needs:
    """All that scoring needs, each in the order in which it can be executed.

    Attributes
    ----------
    imports
        Import statements.
    definitions
        Functions, classes, literals and markers of stored objects: (name, source); the source of an object is empty.
    objects
        Stored objects by name.
    modules
        Dotted names of every module that is imported, by code or by unpickling.
    """

    imports: list[str] = field(default_factory=list)
    definitions: list[tuple[str, str]] = field(default_factory=list)
    objects: dict[str, StoredObject] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)


def find_needs(names: Iterable[str], namespace: Mapping[str, Any], history: Sequence[str], *, where: str) -> Needs:
    """Return what code that reads `names` needs.

    Parameters
    ----------
    names
        The names that the scoring code takes from the notebook.
    namespace
        The notebook's variables.
    history
        Sources of the executed cells, in executed order.
    where
        The scoring cell, for errors.

    Raises
    ------
    SliceError
        If a name isn't defined, or its value can neither be written as code nor stored.
    """
    search = _Search(namespace, history, where)
    for name in sorted(names):
        search.visit(name)
    return search.needs


class _Search:
    def __init__(self, namespace: Mapping[str, Any], history: Sequence[str], where: str) -> None:
        self.namespace = namespace
        self.history = history
        self.where = where
        self.needs = Needs()
        self._seen: set[str] = set()

    def visit(self, name: str) -> None:
        """Add `name` after all that it needs itself (depth first, so that definitions come in order)."""
        if name in self._seen:
            return
        self._seen.add(name)
        if name not in self.namespace:
            if hasattr(builtins, name):
                return
            raise SliceError(
                f"'{name}' is used for scoring but isn't defined",
                where=self.where,
                remedy="run the cell that defines it before the scoring cell",
            )
        value = self.namespace[name]
        if isinstance(value, types.ModuleType):
            self._import_module(name, value)
        elif (source := self._notebook_source(name, value)) is not None:
            self._define(name, source)
        elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            self._import_member(name, value)
        elif isinstance(value, str) and sounds_secret(name):
            raise SliceError(
                f"'{name}' sounds like a secret, and secrets don't go into bundles",
                where=self.where,
                remedy="read it from the environment inside the function that uses it",
            )
        elif (literal := as_literal(value)) is not None:
            self.needs.definitions.append((name, f"{name} = {literal}"))
        else:
            self._store(name, value)

    def _import_module(self, name: str, module: types.ModuleType) -> None:
        """Take the executed imports that bind the name; ``import a.b`` and ``import a.c`` both bind ``a``."""
        bound = [
            text for text, node in self._import_statements() if isinstance(node, ast.Import) and _binds(node, name)
        ]
        plain = module.__name__ if module.__name__ == name else f"{module.__name__} as {name}"
        for text in dict.fromkeys(bound or [f"import {plain}"]):
            if text not in self.needs.imports:
                self.needs.imports.append(text)
            for node in ast.parse(text).body:
                self.needs.modules.update(alias.name for alias in getattr(node, "names", []))
        self.needs.modules.add(module.__name__)

    def _import_statements(self) -> Iterable[tuple[str, ast.stmt]]:
        for source in self.history:
            try:
                found = statements(source)
            except NotebookError:  # a cell that didn't parse bound nothing
                continue
            for statement in found:
                if isinstance(statement.node, ast.Import):
                    for alias in statement.node.names:
                        text = f"import {alias.name}" + (f" as {alias.asname}" if alias.asname else "")
                        yield text, ast.parse(text).body[0]

    def _import_member(self, name: str, value: Any) -> None:
        module, member = getattr(value, "__module__", None), getattr(value, "__name__", None)
        if not module or not member or "<" in getattr(value, "__qualname__", ""):
            raise SliceError(
                f"'{name}' is made at run time and has no source of its own",
                where=self.where,
                remedy=f"define '{name}' with def at the top level of a cell",
            )
        if module == _MAIN:
            raise SliceError(f"the source of '{name}' wasn't found in the executed cells", where=self.where)
        alias = "" if member == name else f" as {name}"
        self.needs.imports.append(f"from {module} import {member}{alias}")
        self.needs.modules.add(module)

    def _notebook_source(self, name: str, value: Any) -> str | None:
        """Return the executed statement that made a function or class of the notebook, else None."""
        plain = inspect.unwrap(value) if callable(value) and not isinstance(value, type) else value
        if not isinstance(plain, type | types.FunctionType) or plain.__module__ != _MAIN:
            return None
        if isinstance(plain, types.FunctionType) and plain.__closure__:
            raise SliceError(
                f"'{name}' keeps variables of the function that made it",
                where=self.where,
                remedy=f"define '{name}' with def at the top level of a cell",
            )
        statement = _defining_statement(name, plain, self.history)
        return statement.source if statement else None

    def _define(self, name: str, source: str) -> None:
        for needed in sorted(names_of(source).used - {name}):
            self.visit(needed)
        self.needs.definitions.append((name, source))

    def _store(self, name: str, value: Any) -> None:
        try:
            content = pickle.dumps(value, protocol=5)
        except Exception as error:
            raise SliceError(
                f"'{name}' ({type(value).__name__}) can't be stored: {error}",
                where=self.where,
                remedy="make it inside a function that the scoring cell calls",
            ) from error
        modules, from_notebook = pickled_names(content)
        for needed in sorted(from_notebook):
            self.visit(needed)
        self.needs.objects[name] = StoredObject(name, content, frozenset(modules))
        self.needs.modules.update(modules)
        self.needs.definitions.append((name, ""))


def as_literal(value: Any) -> str | None:
    """Return the literal that evaluates to exactly `value`, or None if there is none of reasonable length."""
    if not _is_plain(value):
        return None
    text = repr(value)
    return text if len(text) <= _LONGEST_LITERAL else None


def pickled_names(content: bytes) -> tuple[set[str], set[str]]:
    """Return the modules that a pickle imports, and the names that it takes from the notebook itself."""
    finder = _GlobalFinder()
    for opcode, argument, _ in pickletools.genops(io.BytesIO(content)):
        finder.step(opcode.name, argument)
    return {module for module, _ in finder.found if module not in (_MAIN, "builtins")}, {
        member.partition(".")[0] for module, member in finder.found if module == _MAIN
    }


class _GlobalFinder:
    """Follows a pickle's strings, pushed or recalled from its memo, to the globals made of the last two."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()
        self._strings: list[str] = []
        self._memo: dict[int, str] = {}
        self._memoised = 0
        self._last: str | None = None

    def step(self, opcode: str, argument: Any) -> None:
        """Take one opcode."""
        if opcode == "GLOBAL":
            module, member = str(argument).split(" ", 1)
            self.found.add((module, member))
        elif opcode == "STACK_GLOBAL":
            self.found.add((self._strings[-2], self._strings[-1]))
        elif opcode == "MEMOIZE":
            if self._last is not None:
                self._memo[self._memoised] = self._last
            self._memoised += 1
            return
        recalled = self._memo.get(argument) if opcode in ("BINGET", "LONG_BINGET") else None
        self._last = str(argument) if "UNICODE" in opcode else recalled
        if self._last is not None:
            self._strings.append(self._last)


def _is_plain(value: Any) -> bool:
    if value is None or type(value) in (bool, int, str, bytes):
        return True
    if type(value) is float:
        return math.isfinite(value)
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) in (set, frozenset):
        return type(value) is set and bool(value) and all(map(_is_plain, value))
    return type(value) is dict and all(_is_plain(part) for pair in value.items() for part in pair)


def _binds(node: ast.Import, name: str) -> bool:
    return any((alias.asname or alias.name.partition(".")[0]) == name for alias in node.names)


def _defining_statement(name: str, value: Any, history: Sequence[str]) -> Statement | None:
    """Return the statement that bound `name` to `value`: by the place that its code remembers, else the last one."""
    place = _place(value)
    if place is not None:
        cell = "".join(linecache.getlines(place[0]))
        for statement in _parsed(cell):
            node = statement.node
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
            if first <= place[1] <= (node.end_lineno or first) and {name, value.__name__} & statement.names.defined:
                return statement
    for source in reversed(history):
        for statement in reversed(_parsed(source)):
            if name in statement.names.defined and not isinstance(statement.node, ast.Import | ast.ImportFrom):
                return statement
    return None


def _place(value: Any) -> tuple[str, int] | None:
    if isinstance(value, type):
        methods = [member for member in vars(value).values() if isinstance(member, types.FunctionType)]
        own = [method for method in methods if method.__module__ == _MAIN]
        return _place(own[0]) if own else None
    return value.__code__.co_filename, value.__code__.co_firstlineno


def _parsed(source: str) -> list[Statement]:
    try:
        return statements(source)
    except NotebookError:  # a cell that didn't parse defined nothing
        return []
