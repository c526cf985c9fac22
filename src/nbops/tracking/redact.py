"""Secrets never reach a record.

Code is read as a syntax tree: the strings that a secret-sounding name is given (by assignment, keyword, dictionary, default,
comparison, or as the argument after that name) are masked, however they are quoted, joined or broken over lines. In what
isn't code (magics, comments, strings, messages, URLs, queries) ``name=value`` with such a name is masked, and everywhere
credentials in URLs and tokens whose prefix tells what they are. All else stays as it is, byte by byte.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterable, Iterator

from nbops.notebook.normalise import parse

MASK = "***"
_WORD = (
    r"(?:passwords?|passwd|passphrase|passcode|pwd|pass|secrets?|token|api_?keys?|access_?keys?|account_?key|private_?key|"
    r"secret_?key|credentials?|auth|authorization|signature|connection_?string|dsn)"
)
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_\-.]){_WORD}(?:$|[_\-.\d])")
_NO_SECRET = re.compile(
    r"(?i)(?:^|_)(?:pad|eos|bos|unk|sep|cls|mask|stop|start|end|special|image|video)_token|"
    r"_(?:resource|type|method|ur[il]|endpoint|field|path|file|column|scheme|provider|class|length|count|size)s?$"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_QUOTED = re.compile(  # name = "value", for text that isn't whole Python
    r"""(?x) (?<![\w\-]) (?P<name> [A-Za-z_][\w\-]{0,80} ) ["']? \s? \]? \s? (?: = | : | , ) \s? [rbufRBUF]{0,2}
    (?P<quote> ["'] ) (?P<value> [^"'\n]+ ) (?P=quote)"""
)
_INLINE = re.compile(  # name=value, --name value and Name: scheme value
    r"""(?x) (?<![\w\-]) (?P<name> -{0,2} [A-Za-z_][\w\-]{0,80} )
    (?P<between> \s?=\s? | \s?:\s? (?:Bearer|Basic|token)\s | :\s?(?=\S*\d) | (?<=\w)\s+ )
    (?P<quote> ['"]? ) (?P<value> [^\s'"&;,()\[\]{}<>%$\\]{3,} )"""
)
_URL = re.compile(r"(?P<scheme>\b[A-Za-z][\w+.\-]{0,30}://)[^\s:/@'\"]{0,200}:[^\s/@'\"]{1,200}@")
_BARE = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|sk-|xox[abprs]-|AKIA|ASIA|hf_|glpat-|dapi|npm_|pypi-|AIza|eyJ[\w\-]{10,400}\.)"
    r"[\w\-.]{12,}"
)
_SUSPECT = re.compile(r"(?i)pass|pwd|secret|token|key|credential|auth|signature|string|dsn|://|" + _BARE.pattern)
_ENV_LINE = re.compile(r"^\s*%(?:set_)?env\s")
_WRAPPERS = frozenset(
    {"SecretStr", "Secret", "bytes", "bytearray", "b64decode", "encode", "format", "join", "quote", "str"}
)


def sounds_secret(name: str) -> bool:
    """Whether a variable or parameter of this name is likely to hold a secret."""
    spread = _HUMP.sub("_", name)
    return bool(_SECRET_NAME.search(spread)) and not _NO_SECRET.search(spread)


def redact_source(source: str) -> str:
    """Return code with secrets masked."""
    if not _SUSPECT.search(source):
        return source
    tree = parse(source)
    if tree is None:
        return redact_text(source)
    source = _replace(source, [*_literals_of_secrets(tree, source), *_texts(source)])
    return _BARE.sub(MASK, _URL.sub(rf"\g<scheme>{MASK}@", source))


def redact_text(text: str) -> str:
    """Return a message, a query, a difference, or any other text that isn't code, with secrets masked."""
    text = _QUOTED.sub(_mask_value, _mask_inline(text))
    return _BARE.sub(MASK, _URL.sub(rf"\g<scheme>{MASK}@", text))


def redact_value(name: str, value: object) -> object:
    """Return `value`; text is masked when its name sounds like a secret or it carries credentials."""
    if not isinstance(value, str):
        return value
    return MASK if sounds_secret(name) else _BARE.sub(MASK, _URL.sub(rf"\g<scheme>{MASK}@", value))


_Span = tuple[int, int, str]


def _literals_of_secrets(tree: ast.Module, source: str) -> Iterator[_Span]:
    starts = _line_starts(source)
    for value in _values_of_secrets(tree):
        for literal in _literals(value):
            start = _offset(source, starts, literal.lineno, literal.col_offset)
            end = _offset(source, starts, literal.end_lineno or 0, literal.end_col_offset or 0)
            opening = re.match(r"(?i)[rbuft]{0,3}[\"']", source[start:end])
            if opening:  # else it's on a magic's line, which is text
                yield start, end, f"{opening[0]}{MASK}{opening[0][-1]}"


def _values_of_secrets(tree: ast.AST) -> Iterator[ast.AST]:
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
            case ast.Call():
                pairs = zip(node.args, node.args[1:], strict=False)
            case ast.Tuple() | ast.List():
                pairs = zip(node.elts, node.elts[1:], strict=False) if len(node.elts) == 2 else ()
            case ast.Compare():
                pairs = [(node.left, node.comparators[0]), (node.comparators[0], node.left)]
        yield from (value for name, value in pairs if value and (said := _said(name)) and sounds_secret(said))


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
        case ast.Attribute():
            return name.attr
        case ast.Subscript():
            return _said(name.slice)
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
        case ast.Call():
            called = value.func.attr if isinstance(value.func, ast.Attribute) else _said(value.func)
            on_text = isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Constant)
            if on_text or called in _WRAPPERS:
                parts = [value.func.value] if isinstance(value.func, ast.Attribute) else []
                for child in [*parts, *value.args]:
                    yield from _literals(child)


def _texts(source: str) -> Iterator[_Span]:
    """Find ``name=value`` in comments, strings and on the lines of magics."""
    starts = _line_starts(source)
    for number, line in enumerate(source.split("\n")):
        if line.lstrip()[:1] in ("%", "!"):
            yield starts[number], starts[number] + len(line), _mask_inline(line)
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT or "STRING" in tokenize.tok_name[token.type]:
                masked = _mask_inline(token.string)
                if masked != token.string:
                    start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
                    yield start, end, masked
    except (tokenize.TokenError, SyntaxError):  # magics: their lines are done
        return


def _replace(source: str, spans: Iterable[_Span]) -> str:
    """Put in the replacements; of overlapping ones the first that was found counts."""
    done: list[_Span] = []
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


def _mask_value(match: re.Match[str]) -> str:
    if not sounds_secret(match["name"]):
        return match[0]
    return f"{match[0][: match.start('value') - match.start()]}{MASK}{match['quote']}"


def _mask_inline(text: str) -> str:
    parts, done, at = [], 0, 0
    spaced = bool(_ENV_LINE.match(text))
    while match := _INLINE.search(text, at):
        at = match.end("name")
        by_space = match["between"].isspace() and not (spaced or match["name"].startswith("-"))
        if sounds_secret(match["name"].lstrip("-")) and not by_space:
            parts += [text[done : match.start("value")], MASK]
            done = at = match.end()
    return "".join([*parts, text[done:]])
