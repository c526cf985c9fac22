"""Whether what a cell showed is the same again: texts by their words and numbers, pictures by their pixels.

Outputs are compared in order, kind by kind: what the cell printed, and what it displayed. What it wrote to stderr
(warnings, progress) doesn't count. What a type can't be compared by is compared by its bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from nbops.project import Project
from nbops.tracking.recording.records import Output
from nbops.tracking.reproduction.shown import content_of, is_binary
from nbops.tracking.reproduction.tolerance import Level, Tolerance, first_difference, normalised, without_markup

_MARKED_UP = ("text/html", "image/svg+xml")
_PIXELS_CLOSE = 0.02
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Difference:
    """How one output compares."""

    name: str
    level: Level
    before: str = ""
    after: str = ""
    counts: bool = True
    note: str = ""


def compare_outputs(
    before: tuple[Project, Sequence[Output]],
    after: tuple[Project, Sequence[Output]],
    places: Mapping[str, str],
    tolerance: Tolerance,
) -> Iterator[Difference]:
    """Yield how each output of a cell compares with what the cell showed again.

    Parameters
    ----------
    before, after
        Where outputs are kept, and which there are.
    places
        What stands for paths in texts.
    tolerance
        What counts as the same.
    """
    for kind in ("stdout", "display", "result", "error", "stderr"):
        old = [output for output in before[1] if output.kind == kind]
        new = [output for output in after[1] if output.kind == kind]
        for number, (one, other) in enumerate(zip_longest(old, new), 1):
            name = kind if max(len(old), len(new)) == 1 else f"{kind} {number}"
            counts = kind != "stderr"
            if one is None or other is None:
                there, gone = ("nothing", other.mime) if one is None else (one.mime, "nothing")
                yield Difference(name, "differs", there, gone, counts)
            elif one.digest == other.digest:
                yield Difference(name, "same", counts=counts)
            else:
                yield _compared(name, (before[0], one), (after[0], other), places, tolerance, counts)


def _compared(
    name: str,
    before: tuple[Project, Output],
    after: tuple[Project, Output],
    places: Mapping[str, str],
    tolerance: Tolerance,
    counts: bool,
) -> Difference:
    old, new = content_of(*before), content_of(*after)
    if old is None or new is None:
        return Difference(name, "close", counts=False, note="not compared: its content isn't kept")
    if before[1].mime != after[1].mime:
        return Difference(name, "differs", before[1].mime, after[1].mime, counts)
    mime = before[1].mime
    if is_binary(mime):
        level = _pixels(old, new)
        note = "" if level else "not compared: no way to read it"
        return Difference(
            name, level or "close", f"{len(old):,} bytes", f"{len(new):,} bytes", counts and bool(level), note
        )
    texts = []
    for content in (old, new):
        text = content.decode("utf-8", "replace")
        texts.append(normalised(without_markup(text) if mime in _MARKED_UP else text, places))
    level = tolerance.texts(*texts)
    one, other = first_difference(*texts) if level != "same" else ("", "")
    return Difference(name, level, one[:_LONGEST], other[:_LONGEST], counts)


def _pixels(before: bytes, after: bytes) -> Level | None:
    """Compare pictures; None where they can't be read."""
    import io

    try:
        import numpy as np
        from PIL import Image, UnidentifiedImageError
    except ImportError:  # comes with matplotlib: who has no plots may not have it
        return None
    try:
        old, new = (
            np.asarray(Image.open(io.BytesIO(_raw(content))).convert("RGBA"), dtype="int16")
            for content in (before, after)
        )
    except (UnidentifiedImageError, OSError, ValueError):
        return None
    if old.shape != new.shape:
        return "differs"
    apart = float(np.abs(old - new).mean()) / 255
    return "same" if apart == 0 else "close" if apart <= _PIXELS_CLOSE else "differs"


def _raw(content: bytes) -> bytes:
    import base64
    import binascii

    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error:
        return content
