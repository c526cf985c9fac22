"""Which names a piece of code defines, uses and may change.

One pass over the syntax tree in the order of evaluation. A name is *used* when it is read before the code itself has
surely bound it; names read inside a function count unless the code has bound them by the first call that follows, or
by its end. A name is *changed* when something is assigned through it (``x[...] =``, ``x.a =``), when one of
its methods is called, or when it's handed to a call whose result is thrown away: more rather than less.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass

from nbops.notebook.normalise import parse
from nbops.notebook.scopes import evaluated_at_definition, scope_of


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

_REACHED_THROUGH = (ast.Attribute, ast.Subscript, ast.Starred, ast.Call)

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
    while isinstance(node, _REACHED_THROUGH):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def free_names(function: ast.AST) -> frozenset[str]:
    """Return the names that a function, lambda, class or comprehension takes from outside of itself."""
    return frozenset(scope_of(function).free)


class _TopLevel(ast.NodeVisitor):
    """Walks statements in the order of evaluation, keeping what is surely bound so far."""

    def __init__(self) -> None:
        self.bound: set[str] = set()
        self.defined: set[str] = set()
        self.used: set[str] = set()
        self.deferred: set[str] = set()  # read by functions, whenever they will be called
        self.assigned_inside: set[str] = set()  # by functions, as `global`
        self.changed: set[str] = set()
        self.stars: set[str] = set()

    def names(self) -> Names:
        used = self.used | (self.deferred - self.bound)
        defined = self.defined | self.assigned_inside
        return Names(
            frozenset(defined), frozenset(used - _SHELL), frozenset(self.changed - _SHELL), frozenset(self.stars)
        )

    def _bind(self, name: str) -> None:
        self.bound.add(name)
        self.defined.add(name)

    def _read(self, names: Iterable[str]) -> None:
        self.used.update(name for name in names if name not in self.bound)

    def _called(self) -> None:
        """Something is called: it may be any function so far."""
        self._read(self.deferred)

    def _perhaps(self, *nodes: ast.AST | None) -> None:
        """Visit what may not be evaluated, or not to its end."""
        before = set(self.bound)
        for node in nodes:
            if node:
                self.visit(node)
        self.bound &= before

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
        self._called()
        if isinstance(node.func, ast.Attribute) and (root := root_name(node.func)):
            self.changed.add(root)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self._perhaps(*node.values[1:])

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._branches([node.body], [node.orelse])

    def visit_Compare(self, node: ast.Compare) -> None:
        self.visit(node.left)
        self.visit(node.comparators[0])
        self._perhaps(*node.comparators[1:])

    def visit_Assert(self, node: ast.Assert) -> None:
        self.visit(node.test)
        self._perhaps(node.msg)

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
        for outside in evaluated_at_definition(node):
            self.visit(outside)
        inside = scope_of(node)
        self.deferred.update(inside.free)
        self.assigned_inside.update(inside.assigned_outside)
        if node.decorator_list:
            self._called()
        self._bind(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for outside in evaluated_at_definition(node):
            self.visit(outside)
        self.deferred.update(scope_of(node).free)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(outside)
        inside = _TopLevel()
        for statement in node.body:
            inside.visit(statement)
        if _calls(node):
            self._called()
        self._read(inside.used)
        self.deferred.update(inside.deferred)
        self.assigned_inside.update(inside.assigned_inside)
        if node.decorator_list:
            self._called()
        self._bind(node.name)

    def _visit_comprehension(self, node: ast.AST) -> None:
        self._read(scope_of(node).free)
        if _calls(node):
            self._called()
        self.defined.update(child.target.id for child in ast.walk(node) if isinstance(child, ast.NamedExpr))

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._perhaps(node.target, *node.body)
        self._perhaps(*node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._perhaps(*node.body)
        self._perhaps(*node.orelse)

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        before = set(self.bound)
        self._branches([*node.body, *node.orelse], *([handler] for handler in node.handlers))
        after, self.bound = self.bound, before & self.bound
        for statement in node.finalbody:
            self.visit(statement)
        self.bound |= after

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


def _calls(node: ast.AST) -> bool:
    return any(isinstance(child, ast.Call) for child in ast.walk(node))
