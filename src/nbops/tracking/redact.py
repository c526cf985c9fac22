"""Secrets never reach a record.

A string assigned to a name that sounds like a secret, and the credentials in a URL, are replaced before anything
is written; values of params with such names are masked.
"""

from __future__ import annotations

import re

MASK = "***"
_SECRET_WORD = r"(?:password|passwd|passphrase|pwd|secret|token|api_?key|access_?key|private_?key|credential|auth)s?"
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_\-.]){_SECRET_WORD}(?:$|[_\-.])")
_ASSIGNED = re.compile(
    r"""(?x)
    (?P<name> [A-Za-z_][\w\-]* ) ["']? \s* \]? \s*
    (?: :\s*[A-Za-z_][\w.\[\]|\ ]* )? \s* (?: = | : | , ) \s* [rbufRBUF]{0,2}
    (?P<quote> "{3} | '{3} | " | ' )
    (?P<value> .+? )
    (?P=quote)
    """,
    re.DOTALL,
)
_URL = re.compile(r"(?P<scheme>\b[a-zA-Z][\w+.-]*://)(?P<user>[^\s:/@'\"]*):(?P<password>[^\s/@'\"]+)@")
_BARE_TOKEN = re.compile(r"\b(?:gh[pousr]_|sk-|xox[abprs]-|AKIA|hf_|glpat-)[A-Za-z0-9_\-]{12,}")


def sounds_secret(name: str) -> bool:
    """Whether a variable or parameter of this name is likely to hold a secret."""
    return bool(_SECRET_NAME.search(name))


def redact_source(source: str) -> str:
    """Return code with secret literals, credentials in URLs and well-known tokens masked."""
    source = _ASSIGNED.sub(_mask, source)
    source = _URL.sub(rf"\g<scheme>{MASK}@", source)
    return _BARE_TOKEN.sub(MASK, source)


def redact_value(name: str, value: object) -> object:
    """Return `value`; text is masked when its name sounds like a secret or it carries credentials."""
    if not isinstance(value, str):
        return value
    return MASK if sounds_secret(name) else redact_source(value)


def _mask(match: re.Match[str]) -> str:
    if not sounds_secret(match["name"]):
        return match[0]
    quoted = match.start("value") - match.start(), match.end("value") - match.start()
    return match[0][: quoted[0]] + MASK + match[0][quoted[1] :]
