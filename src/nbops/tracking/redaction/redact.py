"""Secrets never reach a record.

Code is read as a syntax tree (see `literals`). In what isn't code (magics, comments, strings, messages, outputs, URLs,
queries) ``name=value`` with a secret-sounding name is masked, and everywhere credentials in URLs, tokens whose prefix
tells what they are, and the values that secret variables and environment variables hold (see `masks`). All else stays as
it is, byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nbops.notebook.normalise import is_python, parse
from nbops.tracking.redaction import masks
from nbops.tracking.redaction.literals import literals_of_secrets, replace, texts
from nbops.tracking.redaction.masks import MASK, sounds_secret

__all__ = ["MASK", "redact_source", "redact_text", "redact_value", "sounds_secret"]

_QUOTED = re.compile(  # name = "value", for text that isn't whole Python
    r"""(?x) (?<![\w\-]) (?P<name> [A-Za-z_][\w\-]{0,80} ) (?: \\?["'] )? \s? \]? \s? (?: <- | = | : | , ) \s?
    [rbufRBUF]{0,2} (?P<quote> \\?["'] ) (?P<value> [^"'\n\\]+ ) (?P=quote)"""
)
_WHOLE = re.compile(r"""(?P<quote>["'])(?P<name>[A-Za-z_][\w\-]{0,80})=(?P<value>[^"'\n;&]*\s[^"'\n;&]*)(?P=quote)""")
_COMMANDS = (  # the passwords of SQL, curl and MySQL's clients
    re.compile(r"""(?i)\b(?P<name>password|identified\s+by)\s+\\?["'](?P<value>[^"'\n\\]+)"""),
    re.compile(r"""\s(?P<name>-u|--(?:proxy-)?user)[\s=]*["']?[^\s:'"]+:(?P<value>(?!\d+\b)[^\s'":]+)"""),
    re.compile(r"""\b(?P<name>mysql\w*|mariadb\w*|sshpass)\s(?:[^\n]{0,200}\s)?-p ?(?P<value>[^\s\-'"][^\s'"]+)"""),
)
_INLINE = re.compile(  # name=value, --name value and Name: scheme value
    r"""(?x) (?<![\w\-]) (?P<name> -{0,2} [A-Za-z_][\w\-]{0,80} )
    (?P<between> \s?=\s? | \s?:\s? (?:Bearer|Basic|token)\s | :\s?(?=\S*\d) | (?<=\w)\s+ )
    (?P<quote> ['"]? ) (?P<value> [^\s'"&;,()\[\]{}<>%$\\]{3,} )"""
)
_URL = re.compile(
    r"(?P<scheme>\b[A-Za-z][\w+.\-]{0,30}://)(?:[^\s:/@'\"]{0,200}:[^\s/@'\"]{1,200}|(?<=https://)(?=\D{0,200}\d)[\w.~%\-]{12,200})@"
)
_SIGNED = re.compile(r"(?<=[?&]sig=)[^&\s'\"]{8,}")
_BARE = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|sk-|xox[abprs]-|AKIA|ASIA|hf_|glpat-|dapi|npm_|pypi-|AIza|eyJ[\w\-]{10,400}\.)"
    r"[\w\-.]{12,}"
)
_WORDS = (
    *("pass", "pwd", "secret", "token", "key", "sig=", "credential", "auth", "signature", "string", "dsn", "://"),
    *("identified", "login", "curl", "mysql", "mariadb"),
)
_SUSPECT = re.compile(f"(?i){'|'.join(_WORDS)}|{_BARE.pattern}")
_CELL_MAGIC = re.compile(r"\s*(?P<magic>%%[^\n]*)(?:\n|\Z)")
_ENV_LINE = re.compile(r"^\s*%(?:set_)?env\s")
_LONG = 4000
_BEFORE, _AFTER = 100, 500


def redact_source(source: str) -> str:
    """Return code with secrets masked."""
    suspect = masks.lists_names() or bool(_SUSPECT.search(source))
    if not suspect and not masks.masks_anything():
        return source
    if found := _CELL_MAGIC.match(source):
        magic, body = found["magic"], source[found.end() :]
        start, end = found.span("magic")
        redacted = redact_source(body)
        if not is_python(magic):  # a file, of Python or of anything else, or another language
            redacted = redact_text(redacted)
        return source[:start] + redact_text(_mask_line(magic)) + source[end : found.end()] + redacted
    tree = parse(source)
    if tree is None:
        return redact_text(source)
    if suspect:
        source = replace(source, [*literals_of_secrets(tree, source), *texts(source, _mask_line, _mask_string)])
        source = _mask_marked(source)
    if masks.masks_anything():
        source = replace(source, texts(source, masks.mask, masks.mask))
    return source


def redact_text(text: str) -> str:
    """Return a message, a query, a difference, an output, or any other text that isn't code, with secrets masked."""
    text = masks.mask(text)
    if masks.lists_names():
        return _redact(text)
    if not _SUSPECT.search(text):
        return text
    if len(text) <= _LONG:
        return _redact(text)
    parts, done = [], 0
    for start, end in _windows(text):
        parts += [text[done:start], _redact(text[start:end])]
        done = end
    return "".join([*parts, text[done:]])


def redact_value(name: str, value: object) -> object:
    """Return `value`; text is masked when its name sounds like a secret or it carries credentials."""
    if not isinstance(value, str):
        return MASK if masks.is_listed(name) and value is not None else value
    if sounds_secret(name):
        return MASK
    return masks.mask(_mask_marked(value))


def _redact(text: str) -> str:
    return _mask_marked(_QUOTED.sub(_mask_value, _mask_said(text)))


def _mask_marked(text: str) -> str:
    """Mask what is a secret by its looks: credentials in URLs, tokens with a known prefix."""
    return _SIGNED.sub(MASK, _BARE.sub(MASK, _URL.sub(rf"\g<scheme>{MASK}@", text)))


def _mask_line(text: str) -> str:
    """Mask a magic's line, whose quotes may hold a name with its value."""
    return _mask_said(_WHOLE.sub(_mask_value, text))


def _mask_string(text: str) -> str:
    """Mask a string or comment, which may hold JSON or settings."""
    return _mask_said(_QUOTED.sub(_mask_value, text))


def _mask_said(text: str) -> str:
    for pattern in _COMMANDS:
        text = pattern.sub(_masked, text)
    return _mask_inline(text)


def _windows(text: str) -> list[tuple[int, int]]:
    """Return the parts of a long text in which there may be a secret."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(_suspects(text)):
        start, end = max(0, first - _BEFORE), min(len(text), last + _AFTER)
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return found


def _suspects(text: str) -> Iterator[tuple[int, int]]:
    """Yield where a long text has what `_SUSPECT` looks for; one word after the other is ten times as quick."""
    lowered = text.lower()
    if len(lowered) != len(text):  # some letters of some languages become two
        yield from (match.span() for match in _SUSPECT.finditer(text))
        return
    for word in _WORDS:
        at = lowered.find(word)
        while at >= 0:
            yield at, at + len(word)
            at = lowered.find(word, at + 1)
    yield from (match.span() for match in _BARE.finditer(text))


def _mask_value(match: re.Match[str]) -> str:
    if not sounds_secret(match["name"]):
        return match[0]
    return _masked(match)


def _masked(match: re.Match[str]) -> str:
    start, end = (at - match.start() for at in match.span("value"))
    _note(match)
    return f"{match[0][:start]}{MASK}{match[0][end:]}"


def _note(match: re.Match[str]) -> None:
    if not match["value"].isalpha():  # a word, which may be in any text
        masks.note(match["name"].lstrip("-"), match["value"])


def _mask_inline(text: str) -> str:
    parts, done, at = [], 0, 0
    spaced = bool(_ENV_LINE.match(text))
    while match := _INLINE.search(text, at):
        at = match.end("name")
        by_space = match["between"].isspace() and not (spaced or match["name"].startswith("-"))
        if sounds_secret(match["name"].lstrip("-")) and not by_space:
            _note(match)
            parts += [text[done : match.start("value")], MASK]
            done = at = match.end()
    return "".join([*parts, text[done:]])
