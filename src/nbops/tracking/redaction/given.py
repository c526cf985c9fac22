"""What code gives to names that sound like secrets, wherever Python lets it: the pairs of a name and a value.

By assignment, keyword, dictionary, default, loop, ``with``, comparison, pattern, what a function of such a name returns, as
the argument or item after that name, and as what a login takes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from itertools import pairwise

from nbops.tracking.redaction.masks import is_weak, sounds_secret

_LOGINS = frozenset({"login", "HTTPBasicAuth", "HTTPDigestAuth", "HTTPProxyAuth", "BasicAuth"})
_OPTIONS_OF_USERS = ("-u", "--user", "--proxy-user")

Pair = tuple[ast.AST | str | None, ast.AST | None]


def values_of_secrets(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Find what is given to a name that sounds like a secret."""
    for node in ast.walk(tree):
        pairs: Iterable[Pair] = ()
        match node:
            case ast.Assign():
                pairs = [pair for target in node.targets for pair in _unpacked(target, node.value)]
            case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
                pairs = [(node.target, node.value)]
            case ast.keyword():
                pairs = [(node.arg, node.value)]
            case ast.Dict():
                pairs = zip(node.keys, node.values, strict=True)
            case ast.arguments():
                named = [*node.posonlyargs, *node.args]
                given = list(zip(reversed(named), reversed(node.defaults), strict=False))
                pairs = [(argument.arg, default) for argument, default in given]
                pairs += [(a.arg, default) for a, default in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
            case ast.For() | ast.AsyncFor() | ast.comprehension() if not is_weak(_said(node.target) or ""):
                pairs = _looped(node.target, node.iter)
            case ast.With() | ast.AsyncWith():
                pairs = [
                    (name, item.context_expr)
                    for item in node.items
                    for name, _ in _unpacked(item.optional_vars, item.context_expr, each=True)
                ]
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                pairs = [(node.name, inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Return)]
            case ast.Match():
                pairs = [pair for case in node.cases for pair in _matched(node.subject, case.pattern)]
            case ast.Call():
                pairs = [*zip(node.args, node.args[1:], strict=False), *_logins(node), *_options(node)]
            case ast.Tuple() | ast.List():
                pairs = _items(node.elts)
            case ast.Compare():
                pairs = [(node.left, node.comparators[0]), (node.comparators[0], node.left)]
        yield from ((said, value) for name, value in pairs if value and (said := _said(name)) and sounds_secret(said))


def _logins(call: ast.Call) -> list[tuple[str, ast.AST]]:
    """Return what a login takes last, or as its key: a password."""
    if called(call) not in _LOGINS:
        return []
    keys = [keyword.value for keyword in call.keywords if keyword.arg == "key"]
    return [("password", value) for value in [*call.args[-1:], *keys]]


def _options(call: ast.Call) -> list[Pair]:
    """Return the defaults of what is declared by its name, as ``add_argument("--password", default=…)`` does."""
    return [(name, given.value) for given in call.keywords if given.arg == "default" for name in call.args]


def _items(items: list[ast.expr]) -> Iterator[Pair]:
    """Yield a pair's two items, and what follows an option in a command's words."""
    for name, value in pairwise(items):
        if _is_option(value):
            continue
        if len(items) == 2 or _is_option(name):
            yield name, value
        if isinstance(name, ast.Constant) and name.value in _OPTIONS_OF_USERS:
            yield "password", value


def _is_option(word: ast.AST) -> bool:
    return isinstance(word, ast.Constant) and isinstance(word.value, str) and word.value.startswith("-")


def _looped(target: ast.expr, source: ast.expr) -> list[Pair]:
    if isinstance(source, ast.Call) and called(source) == "items" and isinstance(source.func, ast.Attribute):
        held = source.func.value
        if isinstance(held, ast.Dict) and isinstance(target, ast.Tuple) and len(target.elts) == 2:
            return [(target.elts[1], value) for value in held.values]
    if isinstance(target, ast.Tuple | ast.List) and isinstance(source, ast.Tuple | ast.List | ast.Set):
        return [pair for item in source.elts for pair in _unpacked(target, item)]
    return [(target, source)]


def _matched(subject: ast.AST | str, pattern: ast.AST | None) -> Iterator[Pair]:
    """Yield what a pattern compares to each name that it names."""
    match pattern:
        case ast.MatchValue():
            yield subject, pattern.value
        case ast.MatchOr() | ast.MatchSequence():
            parts = subject.elts if isinstance(subject, ast.Tuple) else ()
            several = isinstance(pattern, ast.MatchSequence) and len(parts) == len(pattern.patterns)
            for number, one in enumerate(pattern.patterns):
                yield from _matched(parts[number] if several else subject, one)
        case ast.MatchAs():
            yield from _matched(subject, pattern.pattern)
        case ast.MatchMapping():
            for key, one in zip(pattern.keys, pattern.patterns, strict=True):
                yield from _matched(key, one)
        case ast.MatchClass():
            for name, one in zip(pattern.kwd_attrs, pattern.kwd_patterns, strict=True):
                yield from _matched(name, one)


def called(call: ast.Call) -> str | None:
    """Return the name of what a call calls."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else _said(call.func)


def _unpacked(target: ast.AST | None, value: ast.AST, *, each: bool = False) -> list[Pair]:
    """Return the pairs of an assignment; of a value that isn't spelled out all targets get the whole, if `each`."""
    both = ast.Tuple | ast.List
    if not isinstance(target, both):
        return [(target, value)]
    if isinstance(value, both) and len(target.elts) == len(value.elts):
        pairs = zip(target.elts, value.elts, strict=True)
        return [pair for one, given in pairs for pair in _unpacked(one, given, each=each)]
    return [pair for one in target.elts for pair in _unpacked(one, value, each=True)] if each else [(target, value)]


def _said(name: ast.AST | str | None) -> str | None:
    """Return the name that a target, key or argument says."""
    match name:
        case str():
            return name
        case ast.Name():
            return name.id
        case ast.Starred() | ast.Attribute(attr="value"):
            return _said(name.value)
        case ast.Attribute():
            return name.attr
        case ast.NamedExpr():
            return _said(name.target)
        case ast.Subscript():
            key = _said(name.slice)
            return key if key and sounds_secret(key) else _said(name.value)
        case ast.Constant(value=str()):
            return str(name.value).strip("- :=")
    return None
