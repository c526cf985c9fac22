"""One spelling for code that means the same.

Code is compared by its syntax tree: comments, blank lines, quotes and line breaks don't count. IPython's magics and
shell lines aren't Python, so each is turned into a call of the same line before parsing; a cell that still doesn't
parse is compared by its stripped text.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable

_MAGIC_LINE = re.compile(
    r"^(?P<indent>\s*)(?P<head>(?:[A-Za-z_][\w, ]*=\s*)?)(?P<magic>[%!?][^=].*|.*[^?]\?{1,2})$"
)
_SHORT = 8


def split_cell_magic(source: str) -> tuple[str, str]:
    """Return a cell's ``%%magic`` line (empty if there is none) and the rest of the cell."""
    stripped = source.lstrip()
    if not stripped.startswith("%%"):
        return "", source
    head, _, body = stripped.partition("\n")
    return head.strip(), body


def without_magics(source: str) -> str:
    """Return `source` as plain Python: magics and shell lines become calls of ``get_ipython()`` on the same line."""
    _, body = split_cell_magic(source)
    try:
        ast.parse(body)
    except (SyntaxError, ValueError):
        return "\n".join(_plain(line) for line in body.split("\n"))
    return body


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, or None when it isn't Python even without its magics."""
    try:
        return ast.parse(without_magics(source))
    except (SyntaxError, ValueError, RecursionError):
        return None


def normalise(source: str) -> str:
    """Return the one spelling of a cell's code; cells that normalise alike do alike."""
    magic, body = split_cell_magic(source)
    tree = parse(body)
    code = (
        "\n".join(line.rstrip() for line in body.strip().split("\n")) if tree is None else ast.unparse(tree)
    )
    return f"{' '.join(magic.split())}\n{code}" if magic else code


def digest(sources: Iterable[str]) -> str:
    """Return the SHA-256 (hex) of cells' normalised code, chained in order; cells without code don't count."""
    running = hashlib.sha256()
    for source in sources:
        code = normalise(source)
        if code:
            running.update(hashlib.sha256(code.encode()).digest())
    return running.hexdigest()


def short_digest(sources: Iterable[str]) -> str:
    """Return the first eight hex digits of `digest`: enough to tell versions apart at a glance."""
    return digest(sources)[:_SHORT]


def _plain(line: str) -> str:
    match = _MAGIC_LINE.match(line)
    if not match or line.lstrip().startswith("#"):
        return line
    return f"{match['indent']}{match['head']}get_ipython().run_line_magic({match['magic'].strip()!r}, '')"
