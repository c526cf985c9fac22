"""Which names a piece of code defines, uses and may change.

One pass over the syntax tree in the order of evaluation. A name is *used* when it is read before the code itself has
surely bound it; names read inside a function count when the function is defined, unless the code binds them at
its top level. A name is *changed* when something is assigned through it (``x[...] =``, ``x.a =``), when one of
its methods is called, or when it's handed to a call whose result is thrown away: more rather than less.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nbops.notebook.normalise import parse


@dataclass(frozen=True, slots=True)
class Names:
    """What a piece of code does with names of the notebook's namespace.

    Attributes
    ----------
    defined
        Names bound at the top level.
    used
        Names read before being bound here, functions' globals included.
    changed
        Names whose object may be changed in place.
    star_imports
        Modules of ``from module import *``.
    """

    defined: frozenset[str]
    used: frozenset[str]
    changed: frozenset[str]
    star_imports: frozenset[str] = frozenset()


_SHELL = {"get_ipython"}  # what magics are turned into: every kernel has it

NOTHING = Names(frozenset(), frozenset(), frozenset())


def names_of(code: str | ast.AST | Iterable[ast.stmt]) -> Names:
    """Return the names of a cell's source, of a syntax tree, or of statements; nothing when it doesn't parse."""
    if isinstance(code, str):
        tree = parse(code)
        if tree is None:
            return NOTHING
        body: Iterable[ast.AST] = tree.body
    elif isinstance(code, ast.Module):
        body = code.body
    else:
        body = [code] if isinstance(code, ast.AST) else code
    visitor = _TopLevel()
    for statement in body:
        visitor.visit(statement)
    return visitor.names()


def root_name(node: ast.AST) -> str | None:
    """Return ``x`` for ``x``, ``x.a.b[0]`` and ``x.method()``; None where the root isn't a name."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def free_names(function: ast.AST) -> frozenset[str]:
    """Return the names that a function, lambda, class or comprehension takes from outside of itself."""
    return frozenset(_free(function))


class _TopLevel(ast.NodeVisitor):
    """Walks statements in the order of evaluation, keeping what is surely bound so far."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.defined: set[str] = set()
        self.used: set[str] = set()
        self.deferred: set[str] = set()
        self.changed: set[str] = set()
        self.stars: set[str] = set()

    def names(self) -> Names:
        used = self.used | (self.deferred - self.defined)
        return Names(
            frozenset(self.defined), frozenset(used - _SHELL), frozenset(self.changed - _SHELL), frozenset(self.stars)
        )

    def _bind(self, name: str) -> None:
        self.bound.add(name)
        self.defined.add(name)

    def _read(self, names: Iterable[str]) -> None:
        self.used.update(name for name in names if name not in self.bound)

    def _branches(self, *branches: Iterable[ast.AST]) -> None:
        """Visit alternatives: only what every one of them binds is surely bound afterwards."""
        before, ends = set(self.bound), []
        for branch in branches:
            self.bound = set(before)
            for node in branch:
                self.visit(node)
            ends.append(self.bound)
        self.bound = set.intersection(*ends) if ends else before

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._read([node.id])
        elif isinstance(node.ctx, ast.Store):
            self._bind(node.id)
        else:
            self._read([node.id])
            self.bound.discard(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self._through(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self._through(node)

    def _through(self, node: ast.Attribute | ast.Subscript) -> None:
        self.generic_visit(node)
        root = root_name(node)
        if root and not isinstance(node.ctx, ast.Load):
            self.changed.add(root)

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute) and (root := root_name(node.func)):
            self.changed.add(root)

    def visit_Expr(self, node: ast.Expr) -> None:
        self.visit(node.value)
        if isinstance(node.value, ast.Call):
            arguments = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
            self.changed.update(name for name in map(root_name, arguments) if name)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value:
            self.visit(node.value)
            self.visit(node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self._read([node.target.id])
            self.changed.add(node.target.id)
        self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._bind(alias.asname or alias.name.partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.stars.add(node.module or "")
            else:
                self._bind(alias.asname or alias.name)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in _evaluated_at_definition(node):
            self.visit(outside)
        self.deferred.update(_free(node) - {node.name})
        self._bind(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for outside in _evaluated_at_definition(node):
            self.visit(outside)
        self.deferred.update(_free(node) - self.bound)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(outside)
        inside = _TopLevel()
        for statement in node.body:
            inside.visit(statement)
        self._read(inside.used)
        self.deferred.update(inside.deferred - {node.name})
        self._bind(node.name)

    def _visit_comprehension(self, node: ast.AST) -> None:
        self._read(_free(node))
        for walrus in (child for child in ast.walk(node) if isinstance(child, ast.NamedExpr)):
            self._bind(walrus.target.id)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        before = set(self.bound)
        self.visit(node.target)
        for statement in node.body:
            self.visit(statement)
        self.bound = before
        for statement in node.orelse:
            self.visit(statement)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = set(self.bound)
        self._branches([*node.body, *node.orelse], *([handler] for handler in node.handlers))
        if not node.handlers:
            self.bound |= before
        for statement in node.finalbody:
            self.visit(statement)

    visit_TryStar = visit_Try

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.type:
            self.visit(node.type)
        if node.name:
            self._bind(node.name)
        for statement in node.body:
            self.visit(statement)
        if node.name:
            self.bound.discard(node.name)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        self._branches(*([case] for case in node.cases), [])

    def visit_MatchAs(self, node: ast.MatchAs) -> None:
        self.generic_visit(node)
        if node.name:
            self._bind(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:
        if node.name:
            self._bind(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self._bind(node.rest)


def _evaluated_at_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    arguments = node.args
    yield from arguments.defaults
    yield from (default for default in arguments.kw_defaults if default is not None)
    if isinstance(node, ast.Lambda):
        return
    yield from node.decorator_list
    for argument in _arguments(arguments):
        if argument.annotation:
            yield argument.annotation
    if node.returns:
        yield node.returns


def _arguments(arguments: ast.arguments) -> list[ast.arg]:
    extra = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *extra]


def _free(node: ast.AST) -> set[str]:
    """Return what the body of one function-like scope takes from outside."""
    collector = _FunctionScope()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        collector.local.update(argument.arg for argument in _arguments(node.args))
        collector.local.update(parameter.name for parameter in getattr(node, "type_params", []))
        body = node.body if isinstance(node.body, list) else [node.body]
        for statement in body:
            collector.visit(statement)
    elif isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        for child in ast.iter_child_nodes(node):
            collector.visit(child)
    else:
        collector.visit(node)
    return (collector.read - collector.local) | collector.declared_global


class _FunctionScope(ast.NodeVisitor):
    """Collects what one function reads and binds; nested scopes are asked for their own free names."""

    def __init__(self) -> None:
        self.local: set[str] = set()
        self.read: set[str] = set()
        self.declared_global: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self.read.add(node.id)
        elif node.id not in self.declared_global:
            self.local.add(node.id)

    def visit_Global(self, node: ast.Global) -> None:
        self.declared_global.update(node.names)
        self.local.difference_update(node.names)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in _evaluated_at_definition(node):
            self.visit(outside)
        self.read.update(_free(node))
        self.local.add(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for outside in _evaluated_at_definition(node):
            self.visit(outside)
        self.read.update(_free(node))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(outside)
        inside = _TopLevel()
        for statement in node.body:
            inside.visit(statement)
        self.read.update(inside.used | inside.deferred)
        self.local.add(node.name)

    def _visit_comprehension(self, node: ast.AST) -> None:
        self.read.update(_free(node))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_Import(self, node: ast.Import) -> None:
        self.local.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.local.update(alias.asname or alias.name for alias in node.names)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self.local.add(node.name)
        self.generic_visit(node)
