"""Where the secrets in a cell's code are: what `given` names are given there, comments and magics, replaced in its text.

The strings that a secret-sounding name is given are masked, however they are quoted, joined or broken over lines. Of what
is handed to a function whose result such a name gets, only what looks like a secret is one: prompts, paths, and names of
variables stay. Everything else stays byte by byte.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator

from nbops.tracking.redaction.given import called, values_of_secrets
from nbops.tracking.redaction.masks import MASK, is_listed, note

_WRAPPERS = frozenset(
    {
        *("SecretStr", "Secret", "bytes", "bytearray", "dict", "b64decode", "b64encode", "encode", "format", "join"),
        *("quote", "str"),
    }
)
_READERS = frozenset({"get", "getenv", "pop", "setdefault"})
_FIELDS = frozenset({"Field", "attrib", "field", "ib"})
_DEFAULTS = frozenset({"default", "default_factory", "fallback"})
_NO_SECRET = re.compile(r"[A-Z][A-Z\d_]*|.*[\s/\\].*|.*\.[A-Za-z]\w{0,6}|.*[:?]|[a-z_.\-]+\d{0,2}", re.DOTALL)
_NUMBERS = re.compile(r"(?i)password|passwd|passcode|passphrase|pwd|secret")

_FORMATTED = re.compile(r"""(?i)^(?:[ft]r?|r[ft])(?=["'])""")
_MAGIC = re.compile(r"\s*(?:[A-Za-z_][\w, ]*=\s*)?[%!](?!=)")

Span = tuple[int, int, str]


def literals_of_secrets(tree: ast.Module, source: str) -> Iterator[Span]:
    """Find the strings (of some names the numbers, too) that secrets are given."""
    starts = _line_starts(source)
    for name, value in values_of_secrets(tree):
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
        case ast.Lambda():
            yield from _literals(value.body)
        case ast.Call():
            for child in _handed_over(value):
                yield from _literals(child)


def _handed_over(call: ast.Call) -> list[ast.AST]:
    """Return the parts of a call that its result is made of."""
    name, func = called(call), call.func
    keywords = [keyword.value for keyword in call.keywords]
    given = [] if name == "encode" else call.args  # the codec's name
    if name in _WRAPPERS or (isinstance(func, ast.Attribute) and isinstance(func.value, ast.Constant)):
        return [*([func.value] if isinstance(func, ast.Attribute) else []), *given, *keywords]
    if name == "compile":  # an expression that finds secrets isn't one
        return []
    inner: list[ast.AST] = [func] if isinstance(func, ast.Lambda) else []
    if isinstance(func, ast.Attribute) and isinstance(func.value, ast.Call):
        inner.append(func.value)
    inner += [keyword.value for keyword in call.keywords if keyword.arg in _DEFAULTS]
    if name in _READERS:
        return [*inner, *call.args[1:]]
    if name in _FIELDS:
        return [*inner, *call.args[:1]]
    return [*inner, *(value for value in [*call.args, *keywords] if _looks_secret(value))]


def _looks_secret(value: ast.AST) -> bool:
    match value:
        case ast.Constant(value=str() | bytes() as text):
            said = text.decode(errors="replace") if isinstance(text, bytes) else text
            return len(said) > 5 and not _NO_SECRET.fullmatch(said)
    return isinstance(value, ast.Call | ast.Lambda)


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
