"""Secrets in a difference between versions of files.

A difference is text, of which single lines are masked like any other. A secret that is written over several lines shows
only in code that is whole: so each side of each hunk is read as code, and what is found to be secret there is masked in
the difference, line by line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from nbops.tracking.redaction import masks
from nbops.tracking.redaction.redact import redact_source, redact_text

_HUNK = re.compile(r"^@@ .*$", re.MULTILINE)


def redact_diff(diff: str) -> str:
    """Return a difference, as Git writes it, with secrets masked."""
    with masks.noting() as told:
        for code in _codes(diff):
            redact_source(code)
    return redact_text(masks.mask_these(diff, told))


def _codes(diff: str) -> Iterator[str]:
    """Yield both sides of each hunk, and the changed lines by themselves, which may parse where a side doesn't."""
    for hunk in _HUNK.split(diff)[1:]:
        lines = hunk.split("\n")[1:]
        for side in "+-":
            yield _joined(line for line in lines if line[:1] in (side, " "))
        for side, block in groupby(lines, lambda line: line[:1]):
            if side in ("+", "-"):
                yield _joined(block)


def _joined(lines: Iterator[str]) -> str:
    code = "\n".join(line[1:] for line in lines)
    return f"if 1:\n{code}" if code.startswith((" ", "\t")) else code  # from within a class or function
