"""What functions, lambdas, classes and comprehensions take from outside of themselves.

Within a function Python decides by its whole body which names are local, so here the order of statements doesn't count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator


def evaluated_at_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """Return the parts of a definition that are evaluated where it stands: defaults, decorators, annotations."""
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


def scope_of(node: ast.AST) -> Scope:
    """Return the scope of one function, lambda, class or comprehension."""
    collector = Scope()
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
    return collector


class Scope(ast.NodeVisitor):
    """Collects what one function reads and binds; nested scopes are asked for their own free names."""

    def __init__(self) -> None:
        self.local: set[str] = set()
        self.read: set[str] = set()
        self.declared_global: set[str] = set()
        self.assigned_outside: set[str] = set()

    @property
    def free(self) -> set[str]:
        return (self.read - self.local) | (self.declared_global & self.read)

    def _store(self, name: str) -> None:
        (self.assigned_outside if name in self.declared_global else self.local).add(name)

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Store):
            self.read.add(node.id)
        if not isinstance(node.ctx, ast.Load):
            self._store(node.id)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.generic_visit(node)
        if isinstance(node.target, ast.Name):
            self.read.add(node.target.id)

    def visit_Global(self, node: ast.Global) -> None:
        self.declared_global.update(node.names)
        self.local.difference_update(node.names)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for outside in evaluated_at_definition(node):
            self.visit(outside)
        inside = scope_of(node)
        self.read.update(inside.free)
        self.assigned_outside.update(inside.assigned_outside)
        self._store(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        for outside in evaluated_at_definition(node):
            self.visit(outside)
        self.read.update(scope_of(node).free)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for outside in [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]:
            self.visit(outside)
        inside = Scope()
        for statement in node.body:
            inside.visit(statement)
        self.read.update(inside.read)  # what the class body binds is no local of its methods
        self.assigned_outside.update(inside.assigned_outside)
        self._store(node.name)

    def _visit_comprehension(self, node: ast.AST) -> None:
        self.read.update(scope_of(node).free)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _visit_comprehension

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._store(alias.asname or alias.name.partition(".")[0])

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._store(alias.asname or alias.name)

    def _bind_and_go_on(self, node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> None:
        if node.name:
            self._store(node.name)
        self.generic_visit(node)

    visit_ExceptHandler = visit_MatchAs = visit_MatchStar = _bind_and_go_on

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        if node.rest:
            self._store(node.rest)
        self.generic_visit(node)
