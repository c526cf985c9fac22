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
    r"^(?P<indent>\s*)(?P<head>(?:[A-Za-z_][\w, ]*=\s*)?)"
    r"(?P<magic>[%!][^=].*|\?{1,2}[%\w.*\[\]]+|[%\w.*\[\]]+\?{1,2});?\s*$"
)
_SHORT = 8
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)  # the last two: nested too deeply
_PYTHON_MAGICS = ("capture", "memray_flamegraph", "memit", "mprun", "nbops", "prun", "scalene", "time", "timeit")


def split_cell_magic(source: str) -> tuple[str, str]:
    """Return a cell's ``%%magic`` line (empty if there is none) and the rest of the cell."""
    stripped = source.lstrip()
    if not stripped.startswith("%%"):
        return "", source
    head, _, body = stripped.partition("\n")
    return head.strip(), body


def is_python(magic: str) -> bool:
    """Whether the body of a cell with this ``%%`` line (empty: none) is Python that runs in the notebook."""
    return not magic or magic.removeprefix("%%").split()[0:1] in ([name] for name in _PYTHON_MAGICS)


def without_magics(source: str) -> str:
    """Return `source` as plain Python: magics and shell lines become calls of ``get_ipython()`` on the same line."""
    _, body = split_cell_magic(source)
    try:
        ast.parse(body)
    except _UNREADABLE:
        return "\n".join(_plain(line) for line in body.split("\n"))
    return body


def parse(source: str) -> ast.Module | None:
    """Return the syntax tree of a cell, or None when it isn't Python even without its magics."""
    if not is_python(split_cell_magic(source)[0]):
        return None
    try:
        return ast.parse(without_magics(source))
    except _UNREADABLE:
        return None


def normalise(source: str) -> str:
    """Return the one spelling of a cell's code; cells that normalise alike do alike."""
    magic, body = split_cell_magic(source)
    tree = parse(body) if is_python(magic) else None
    code = _stripped(body) if tree is None else ast.unparse(tree)
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


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").rstrip().split("\n"))


def _plain(line: str) -> str:
    match = _MAGIC_LINE.match(line)
    if not match or line.lstrip().startswith("#"):
        return line
    return f"{match['indent']}{match['head']}get_ipython().run_line_magic({match['magic'].strip()!r}, '')"
