"""What a cell shows, collected while it runs and kept by reference.

As in a saved notebook there is one text for standard output and one for standard error, an updated display replaces what
it updates, and a cleared output is gone. Of a text that is too long the beginning and the end are held, so that a
gigabyte printed costs two megabytes; of other content that is too large only its size. Each content is written once,
under the digest of what is kept, when the cell has ended.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from nbops.tracking.recording.records import Output

_RICHEST = (
    "application/vnd.jupyter.widget-view+json",
    "text/html",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "application/pdf",
    "text/markdown",
    "text/latex",
    "application/json",
)
_PLAIN = "text/plain"
_BINARY = ("image/", "audio/", "video/", "application/pdf")
_MOST_OUTPUTS = 200
_PIECES = 5000
_MOST_BYTES = 16  # times the limit of one output, for all of a cell's displays
_CUT = "\n[… {} bytes are not kept …]\n"


class Text:
    """The beginning and the end of a text that comes in pieces.

    Parameters
    ----------
    limit
        How many characters are held; as many again for a while.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head: list[str] = []
        self._room = self._half
        self._tail: list[str] = []
        self._held = 0
        self.size = 0

    def add(self, piece: str) -> None:
        """Append a piece."""
        self.size += len(piece) if piece.isascii() else len(piece.encode("utf-8", "replace"))
        if self._room > 0:
            self._head.append(piece[: self._room])
            self._room -= len(self._head[-1])
            piece = piece[len(self._head[-1]) :]
            if len(self._head) > _PIECES:
                self._head = ["".join(self._head)]
        if len(piece) >= self._half:
            self._tail, self._held = [piece[len(piece) - self._half :]], self._half
        elif piece:
            self._tail.append(piece)
            self._held += len(piece)
            if self._held > 2 * self._half or len(self._tail) > _PIECES:
                self._tail = ["".join(self._tail)[-self._half :]]
                self._held = len(self._tail[0])

    def kept(self, masked: Callable[[str], str]) -> tuple[bytes, int]:
        """Return what is kept, redacted, and how many bytes of it are the text's own."""
        head, tail = "".join(self._head), "".join(self._tail)
        if self.size <= 2 * self._half:
            content = masked(head + tail).encode("utf-8", "replace")
            return content, len(content)
        first = masked(head).encode("utf-8", "replace")[: self._half].decode("utf-8", "ignore").encode()
        last = masked(tail).encode("utf-8", "replace")[-self._half :].decode("utf-8", "ignore").encode()
        missing = _CUT.format(max(0, self.size - len(first) - len(last))).encode()
        return first + missing + last, len(first) + len(last)


@dataclass(slots=True)
class Display:
    """Something rich that was shown: the richest of its types, None where it's too large to be kept."""

    kind: str
    mime: str
    content: str | bytes | None
    size: int
    display_id: str | None = None


@dataclass(slots=True)
class Shown:
    """What one cell has shown so far; usable from several threads."""

    limit: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    items: dict[int | str, Text | Display] = field(default_factory=dict)
    clearing: bool = False
    count: int = 0
    left_out: int = 0
    held: int = 0

    def write(self, stream: str, text: str) -> None:
        """Add text of a stream."""
        with self.lock:
            self._clear_if_due()
            found = self.items.get(stream)
            if found is None:
                found = self.items[stream] = Text(self.limit)
            if isinstance(found, Text):
                found.add(text)

    def display(
        self, kind: str, data: Mapping[str, Any], *, display_id: str | None = None, update: bool = False
    ) -> None:
        """Add a display or a result, or put one in the place of an earlier one with the same id."""
        if not data:
            return
        with self.lock:
            if not update:
                self._clear_if_due()
            shown = self._made(kind, data, display_id)
            if update:
                for key, item in self.items.items():
                    if isinstance(item, Display) and display_id and item.display_id == display_id:
                        self.held -= len(item.content or b"")
                        shown.kind = item.kind
                        self.items[key] = shown
                        self.held += len(shown.content or b"")
                return
            if len(self.items) >= _MOST_OUTPUTS:
                self.left_out += shown.size
                return
            self.count += 1
            self.items[self.count] = shown
            self.held += len(shown.content or b"")

    def clear(self, wait: bool) -> None:
        """Forget what was shown, at once or when something new comes."""
        with self.lock:
            self.clearing = True
            if not wait:
                self._clear_if_due()

    def _clear_if_due(self) -> None:
        if self.clearing:
            self.clearing = False
            self.items.clear()
            self.held = 0

    def _made(self, kind: str, data: Mapping[str, Any], display_id: str | None) -> Display:
        mime = next((mime for mime in _RICHEST if mime in data), None) or _fallback(data)
        content, size = _content(mime, data[mime], self.limit)
        if content is not None and self.held + len(content) > _MOST_BYTES * self.limit:
            content = None
        return Display(kind, mime, content, size, display_id)


def _fallback(data: Mapping[str, Any]) -> str:
    rich = [mime for mime in data if mime != _PLAIN]
    return rich[0] if rich else _PLAIN


def _content(mime: str, value: Any, limit: int) -> tuple[str | bytes | None, int]:
    """Return a type's content as text or bytes, None if it's too large, and its size in bytes."""
    if isinstance(value, bytes | bytearray):
        return (bytes(value), len(value)) if len(value) <= limit else (None, len(value))
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if mime.startswith(_BINARY) and mime != "image/svg+xml":
        size = len(text) * 3 // 4
        if size > limit:
            return None, size
        try:
            raw = base64.b64decode(text, validate=False)
        except (binascii.Error, ValueError):  # not what its type says: then it's text
            return text, len(text.encode("utf-8", "replace"))
        return raw, len(raw)
    held = Text(limit)
    held.add(text)
    if held.size <= limit:
        return text, held.size
    if mime.endswith("json"):
        return None, held.size
    return held.kept(lambda part: part)[0].decode("utf-8", "replace"), held.size


class Kept:
    """The folder of outputs: each content once, under its digest.

    Parameters
    ----------
    folder
        Made when the first output comes.
    masked
        Redacts a text.
    guard
        Does a job; its failure isn't raised.
    """

    def __init__(self, folder: Path, masked: Callable[[str], str], guard: Callable[[Callable[[], None]], None]) -> None:
        self._folder = folder
        self._masked = masked
        self._guard = guard

    def keep(self, shown: Shown) -> list[Output]:
        """Write what a cell has shown and return the references to it, in the order of their beginning."""
        with shown.lock:
            outputs = list(self._references(shown))
        if shown.left_out:
            outputs.append(Output("display", "", "", shown.left_out, 0))
        return outputs

    def _references(self, shown: Shown) -> Iterator[Output]:
        for key, item in shown.items.items():
            if isinstance(item, Text):
                content, kept = item.kept(self._masked)
                yield self._written(str(key), _PLAIN, content, item.size, kept)
            elif item.content is None:
                yield Output(item.kind, item.mime, "", item.size, 0)
            else:
                text = item.content
                content = text if isinstance(text, bytes) else self._masked(text).encode("utf-8", "replace")
                yield self._written(item.kind, item.mime, content, item.size, len(content))

    def _written(self, kind: str, mime: str, content: bytes, size: int, kept: int) -> Output:
        digest = xxhash.xxh3_128_hexdigest(content)
        path = self._folder / digest
        try:
            os.utime(path)  # young again: what a record refers to isn't collected meanwhile
        except OSError:
            self._guard(lambda: self._write(path, content))
            if not path.exists():  # the disk is full or read-only: that there was something is told
                return Output(kind, mime, "", size, 0)
        return Output(kind, mime, digest, size, kept)

    def _write(self, path: Path, content: bytes) -> None:
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            try:
                stream = partial.open("wb")
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                stream = partial.open("wb")
            with stream:
                stream.write(content)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise
