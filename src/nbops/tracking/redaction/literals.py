"""Where the secrets in a cell's code are: found in its syntax tree, comments and magics, replaced in its text.

The strings that a secret-sounding name is given (by assignment, keyword, dictionary, default, comparison, or as the
argument after that name) are masked, however they are quoted, joined or broken over lines. Everything else stays byte by
byte.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator

from nbops.tracking.redaction.masks import MASK, is_listed, is_weak, note, sounds_secret

_WRAPPERS = frozenset(
    {"SecretStr", "Secret", "bytes", "bytearray", "dict", "b64decode", "encode", "format", "join", "quote", "str"}
)
_LOGINS = frozenset({"login", "HTTPBasicAuth", "HTTPDigestAuth", "HTTPProxyAuth", "BasicAuth"})
_NUMBERS = re.compile(r"(?i)password|passwd|passcode|passphrase|pwd|secret")

_FORMATTED = re.compile(r"""(?i)^(?:[ft]r?|r[ft])(?=["'])""")
_MAGIC = re.compile(r"\s*(?:[A-Za-z_][\w, ]*=\s*)?[%!](?!=)")

Span = tuple[int, int, str]


def literals_of_secrets(tree: ast.Module, source: str) -> Iterator[Span]:
    """Find the strings (of some names the numbers, too) that secrets are given."""
    starts = _line_starts(source)
    for name, value in _values_of_secrets(tree):
        if isinstance(value, ast.Constant) and _is_secret_number(name, value.value):
            start = _offset(source, starts, value.lineno, value.col_offset)
            yield start, _offset(source, starts, value.end_lineno or 0, value.end_col_offset or 0), f'"{MASK}"'
        for literal in _literals(value):
            start = _offset(source, starts, literal.lineno, literal.col_offset)
            end = _offset(source, starts, literal.end_lineno or 0, literal.end_col_offset or 0)
            opening = re.match(r"(?i)[rbuft]{0,3}[\"']", source[start:end])
            if opening:  # else it's on a magic's line, which is text
                for said in _said_by(source[start:end]):
                    note(name, said)
                yield start, end, f"{opening[0]}{MASK}{opening[0][-1]}"


def _is_secret_number(name: str, value: object) -> bool:
    if type(value) not in (int, float):
        return False
    return is_listed(name) or (bool(_NUMBERS.search(name)) and len(str(value)) >= 4)


def _said_by(literal: str) -> Iterator[str]:
    """Return what a literal says: each of the strings that it's joined of."""
    for token in tokenize.generate_tokens(io.StringIO(f"({literal})").readline):
        if token.type == tokenize.STRING:
            value = ast.literal_eval(_FORMATTED.sub("", token.string))
            yield value.decode(errors="replace") if isinstance(value, bytes) else str(value)
        elif tokenize.tok_name[token.type] in ("FSTRING_MIDDLE", "TSTRING_MIDDLE"):
            yield token.string


def _values_of_secrets(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Find what is given to a name that sounds like a secret."""
    for node in ast.walk(tree):
        pairs: Iterable[tuple[ast.AST | str | None, ast.AST | None]] = ()
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
                pairs = [(node.target, node.iter)]
            case ast.Match():
                patterns = [case.pattern for case in node.cases]
                pairs = [(node.subject, pattern.value) for pattern in patterns if isinstance(pattern, ast.MatchValue)]
            case ast.Call():
                pairs = [*zip(node.args, node.args[1:], strict=False), *_logins(node)]
            case ast.Tuple() | ast.List():
                pairs = zip(node.elts, node.elts[1:], strict=False) if len(node.elts) == 2 else ()
            case ast.Compare():
                pairs = [(node.left, node.comparators[0]), (node.comparators[0], node.left)]
        yield from ((said, value) for name, value in pairs if value and (said := _said(name)) and sounds_secret(said))


def _logins(call: ast.Call) -> list[tuple[str, ast.AST]]:
    """Return what a login takes last, or as its key: a password."""
    if _called(call) not in _LOGINS:
        return []
    keys = [keyword.value for keyword in call.keywords if keyword.arg == "key"]
    return [("password", value) for value in [*call.args[-1:], *keys]]


def _called(call: ast.Call) -> str | None:
    return call.func.attr if isinstance(call.func, ast.Attribute) else _said(call.func)


def _unpacked(target: ast.AST, value: ast.AST) -> list[tuple[ast.AST, ast.AST]]:
    both = (ast.Tuple, ast.List)
    if isinstance(target, both) and isinstance(value, both) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


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
        case ast.Subscript():
            key = _said(name.slice)
            return key if key and sounds_secret(key) else _said(name.value)
        case ast.Constant(value=str()):
            return str(name.value)
    return None


def _literals(value: ast.AST) -> Iterator[ast.expr]:
    """Find the strings that make up a value; arguments of calls such as ``getpass("Token: ")`` aren't part of it."""
    match value:
        case ast.Constant(value=str() | bytes() as text) if text:
            yield value
        case ast.JoinedStr():
            fixed = "".join(str(part.value) for part in value.values if isinstance(part, ast.Constant))
            if len(re.sub(r"(?i)bearer|basic|token|\W", "", fixed)) > 4:
                yield value
        case (
            ast.BinOp()
            | ast.BoolOp()
            | ast.IfExp()
            | ast.Tuple()
            | ast.List()
            | ast.Set()
            | ast.Await()
            | ast.NamedExpr()
        ):
            for child in ast.iter_child_nodes(value):
                yield from _literals(child)
        case ast.Dict():
            for child in value.values:
                yield from _literals(child)
        case ast.Subscript():
            yield from _literals(value.value)
        case ast.Call():
            on_text = isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Constant)
            if on_text or _called(value) in _WRAPPERS:
                parts = [value.func.value] if isinstance(value.func, ast.Attribute) else []
                for child in [*parts, *value.args, *(keyword.value for keyword in value.keywords)]:
                    yield from _literals(child)


def texts(source: str, of_magics: Callable[[str], str], masked: Callable[[str], str]) -> Iterator[Span]:
    """Mask texts: the lines of magics, comments and strings."""
    starts = _line_starts(source)
    for number, line in enumerate(source.split("\n")):
        if _MAGIC.match(line):
            yield starts[number], starts[number] + len(line), of_magics(line)
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT or "STRING" in tokenize.tok_name[token.type]:
                told = masked(token.string)
                if told != token.string:
                    start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
                    yield start, end, told
    except (tokenize.TokenError, SyntaxError):  # magics: their lines are done
        return


def replace(source: str, spans: Iterable[Span]) -> str:
    """Put in the replacements; of overlapping ones the first that was found counts."""
    done: list[Span] = []
    for start, end, text in spans:
        if all(end <= other[0] or start >= other[1] for other in done):
            done.append((start, end, text))
    for start, end, text in sorted(done, reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for line in source.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    return starts


def _offset(source: str, starts: list[int], line: int, column: int) -> int:
    """Return where a place of a syntax tree, which counts bytes, is in the text."""
    begin = starts[line - 1]
    return begin + len(source[begin : starts[line] - 1].encode()[:column].decode(errors="ignore"))
