"""What the scoring cell needs from the notebook's namespace, found by analysis.

From the names that the cell reads, the search goes through the values that they hold now: a function or class written
in the notebook contributes its executed source and is searched in turn; what was imported, its import; a plain value
its literal; anything else is an object to store. Nothing that isn't reached is taken.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import re
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbops.errors import SliceError
from nbops.notebook.dataflow import Statement
from nbops.notebook.names import names_of
from nbops.promotion.history import History
from nbops.promotion.values import MAIN, StoredObject, as_literal, store
from nbops.tracking.redaction.redact import sounds_secret

_OF_EVERY_MODULE = frozenset(
    {"__builtin__", "__builtins__", "__doc__", "__file__", "__name__", "__package__", "__spec__"}
)
_SHELL = frozenset({"display", "get_ipython"})  # the shell's own builtins


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


def find_needs(
    names: Iterable[str], namespace: Mapping[str, Any], history: Sequence[str], *, where: str, input_name: str = ""
) -> Needs:
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
    input_name
        The scoring function's argument, which nothing may take from the notebook.

    Raises
    ------
    SliceError
        If a name isn't defined, or its value can neither be written as code nor stored.
    """
    search = _Search(namespace, History(history), where, input_name)
    for name in sorted(names):
        search.visit(name)
    return search.finish()


class _Search:
    def __init__(self, namespace: Mapping[str, Any], history: History, where: str, input_name: str) -> None:
        self.namespace = namespace
        self.history = history
        self.where = where
        self.input_name = input_name
        self.needs = Needs(imports=history.future_imports())
        self._postponed = any("annotations" in line for line in self.needs.imports)  # they may name what isn't there
        self._seen: set[str] = set()
        self._first: dict[str, frozenset[str]] = {}

    def finish(self) -> Needs:
        """Return what was found, with every definition after those that it needs when it is executed."""
        waiting, done, ordered = list(self.needs.definitions), set[str](), []
        known = {name for name, _ in waiting}
        while waiting:
            ready = (pair for pair in waiting if self._first.get(pair[0], frozenset()) & known <= done)
            chosen = next(ready, waiting[0])
            waiting.remove(chosen)
            done.add(chosen[0])
            ordered.append(chosen)
        self.needs.definitions[:] = ordered
        return self.needs

    def visit(self, name: str, by: str = "") -> None:
        """Add `name`, which `by` needs, after all that it needs itself."""
        if name in self._seen or name in _OF_EVERY_MODULE:
            return
        self._seen.add(name)
        if name == self.input_name:
            raise self._refused(
                f"'{by}' takes the input '{name}' from the notebook, so it would score what is there, not what was sent",
                f"give '{by}' the frame as an argument",
            )
        if name not in self.namespace:
            if name in _SHELL:
                raise self._refused(f"'{by or 'the cell'}' calls {name}, which only a notebook has", "leave it out")
            if hasattr(builtins, name) or (by and self._postponed):
                return
            used = f"'{by}' uses '{name}', which isn't" if by else f"'{name}' is used for scoring but isn't"
            raise self._refused(f"{used} defined", "run the cell that defines it before the scoring cell")
        value = self.namespace[name]
        if isinstance(value, str) and sounds_secret(name):
            raise self._refused(
                f"'{name}' sounds like a secret, and secrets don't go into bundles",
                "read it from the environment inside the function that uses it",
            )
        if isinstance(value, types.ModuleType):
            self._import_module(name, value)
        elif (statement := self._notebook_source(name, value)) is not None:
            self._define(name, statement)
        elif (text := self.history.import_of(name, value)) is not None:
            self._import(text)
        elif (literal := as_literal(value)) is not None:
            self.needs.definitions.append((name, f"{name} = {literal}"))
        elif isinstance(value, type | types.FunctionType | types.BuiltinFunctionType):
            self._import_member(name, value)
        else:
            self._store(name, value)

    def _refused(self, message: str, remedy: str) -> SliceError:
        return SliceError(message, where=self.where, remedy=remedy)

    def _import(self, text: str) -> None:
        if text not in self.needs.imports:
            self.needs.imports.append(text)
        for node in ast.parse(text).body:
            if isinstance(node, ast.ImportFrom):
                self.needs.modules.add(str(node.module))
            elif isinstance(node, ast.Import):
                self.needs.modules.update(alias.name for alias in node.names)

    def _import_module(self, name: str, module: types.ModuleType) -> None:
        plain = module.__name__ if module.__name__ == name else f"{module.__name__} as {name}"
        member = self.history.import_of(name, module)
        for text in [member] if member else self.history.imports_of_module(name) or [f"import {plain}"]:
            self._import(text)
        self.needs.modules.add(module.__name__)

    def _import_member(self, name: str, value: Any) -> None:
        module, member = getattr(value, "__module__", None), getattr(value, "__name__", None)
        if module == MAIN:
            raise self._refused(
                f"the source of '{name}' isn't in the executed cells",
                f"define '{name}' with def or class at the top level of a cell, and run it",
            )
        if not module or not member or getattr(sys.modules.get(module), member, None) is not value:
            self._store(name, value)
            return
        self._import(f"from {module} import {member}" + (f" as {name}" if member != name else ""))

    def _notebook_source(self, name: str, value: Any) -> Statement | None:
        """Return the executed statement that made a function or class of the notebook, else None."""
        plain = inspect.unwrap(value) if callable(value) and not isinstance(value, type) else value
        if not isinstance(plain, type | types.FunctionType) or plain.__module__ != MAIN:
            return None
        if isinstance(plain, types.FunctionType) and plain.__closure__:
            last = self.history.last(name)
            if last is not None and getattr(last.node, "name", "") == name and getattr(last.node, "decorator_list", []):
                return last  # a decorator made the closure, and will make it again
            raise self._refused(
                f"'{name}' keeps variables of the function that made it",
                f"define '{name}' with def at the top level of a cell",
            )
        return self.history.definition(name, plain)

    def _define(self, name: str, statement: Statement) -> None:
        if any(isinstance(node, ast.Name) and node.id == "get_ipython" for node in ast.walk(statement.node)):
            raise self._refused(f"'{name}' runs a magic or a shell command", "only Python can be served: leave it out")
        for needed in sorted(names_of(statement.node).used - {name}):
            self.visit(needed, by=name)
        source = statement.source if name in statement.names.defined else self._renamed(name, statement)
        if source not in (known for _, known in self.needs.definitions):  # a statement may define two
            self.needs.definitions.append((name, source))
            self._first[name] = _needed_at_once(statement.node)

    def _renamed(self, name: str, statement: Statement) -> str:
        """Return the definition of a function or class under its second name: the first may have another by now."""
        node = ast.parse(statement.source).body[0]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            return re.sub(rf"\b(def|class)(\s+){node.name}\b", rf"\g<1>\g<2>{name}", statement.source, count=1)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            return f"{name} = {ast.unparse(node.value)}"
        raise self._refused(f"'{name}' is a second name for something without one", f"define '{name}' with def")

    def _store(self, name: str, value: Any) -> None:
        stored = store(name, value, self.namespace, where=self.where)
        for needed in sorted(stored.from_notebook):
            self.visit(needed, by=name)
        self.needs.objects[name] = stored
        self.needs.modules.update(stored.modules)
        self.needs.definitions.append((name, ""))
        self._first[name] = stored.from_notebook


def _needed_at_once(node: ast.stmt) -> frozenset[str]:
    """Return the names that a definition reads when it's executed: decorators, defaults, bases, a class's body."""
    tree = ast.parse(ast.unparse(node))
    for inner in ast.walk(tree):
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            inner.body = [ast.Pass()]
        elif isinstance(inner, ast.Lambda):
            inner.body = ast.Constant(None)
    return names_of(tree).used
