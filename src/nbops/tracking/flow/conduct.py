"""How one statement may act, told from its text: whether it can change what was there, only shows, or seeds."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any

from nbops.notebook.scopes import evaluated_at_definition

_SEEDS = frozenset({"seed", "manual_seed", "manual_seed_all", "set_state", "setstate", "set_rng_state", "set_seed"})
_QUIET = frozenset({"print", "len", "type", "isinstance", "issubclass", "repr", "str", "id", "display", "help", "hash"})
REFCOUNTS = frozenset(
    {"getrefcount", "get_referrers", "get_referents", "get_objects", "getweakrefcount", "getweakrefs"}
)
_LITERALS = (ast.Constant, ast.Name, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.expr_context)


def is_inert(node: ast.stmt) -> bool:
    """Whether executing the statement can't change an object that was there before."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return not node.decorator_list and all(_is_plain(each) for each in evaluated_at_definition(node))
        case ast.Assign(targets=targets, value=ast.Lambda() as function):
            return all(isinstance(each, ast.Name) for each in targets) and all(
                _is_plain(each) for each in evaluated_at_definition(function)
            )
        case ast.Assign(targets=targets, value=value):
            return all(isinstance(target, ast.Name) for target in targets) and _is_plain(value)
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.Global():
            return True
        case ast.Delete(targets=targets):
            return all(isinstance(target, ast.Name) for target in targets)
        case ast.Expr(value=value):
            return isinstance(value, ast.Constant)
    return False


def _is_plain(node: ast.AST) -> bool:
    return all(isinstance(child, _LITERALS) for child in walk([node]))


def is_quiet(node: ast.stmt) -> bool:
    """Whether the statement only shows things, by built-in functions that change nothing."""
    if not isinstance(node, ast.Expr):
        return False
    for child in walk([node.value]):
        if isinstance(child, ast.Call):
            named = child.func.attr if isinstance(child.func, ast.Attribute) else getattr(child.func, "id", "")
            if named not in (_QUIET if isinstance(child.func, ast.Name) else REFCOUNTS) or child.keywords:
                return False
        elif isinstance(child, ast.Await | ast.comprehension | ast.NamedExpr | ast.Starred):
            return False
    return True


def is_seed(node: ast.stmt) -> bool:
    """Whether the statement seeds a random generator, or sets its state, and does nothing else."""
    value = getattr(node, "value", None)
    if not isinstance(node, ast.Expr | ast.Assign) or not isinstance(value, ast.Call):
        return False
    called = value.func.attr if isinstance(value.func, ast.Attribute) else getattr(value.func, "id", "")
    calls = sum(isinstance(child, ast.Call) for child in walk([value]))
    return called in _SEEDS and calls == 1 and bool(value.args or value.keywords)


def walk(body: Iterable[ast.AST]) -> Iterator[Any]:
    """Go through all nodes, as `ast.walk` does, in half the time."""
    waiting: list[Any] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        held = node.__dict__
        for name in node._fields:  # tracebacks hang their own attributes on nodes
            value = held.get(name)
            if isinstance(value, ast.AST):
                waiting.append(value)
            elif type(value) is list:
                waiting += [each for each in value if isinstance(each, ast.AST)]
