"""Where a cell's outputs are seen on their way: in a kernel at its session, in a plain shell at the streams.

A kernel sends everything that it shows as messages, each with the request that it belongs to: the session's ``send`` is
followed by a look at the message. Printed text comes in large pieces from the kernel's own thread, so printing costs
nothing more; before a cell's end that thread is waited for if something was printed. In a plain shell the streams'
``write``, the publisher and the display hook are followed. What a cell captures (`%%capture`, another ``sys.stdout``) is
shown nowhere, and isn't seen.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from nbops.tracking.outputs import Shown

_Guard = Callable[[Callable[[], None]], None]
_SEEN = frozenset({"stream", "display_data", "update_display_data", "execute_result", "clear_output"})


class Tap:
    """Leads what a shell shows to a cell's `Shown`; the base sees nothing.

    Parameters
    ----------
    shell
        The IPython shell.
    guard
        Does a job; its failure isn't raised.
    """

    def __init__(self, shell: Any, guard: _Guard) -> None:
        self._shell = shell
        self._guard = guard
        self._shown: Shown | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Begin to follow."""

    def stop(self) -> None:
        """Follow no more."""

    def begin(self, shown: Shown) -> None:
        """Lead to `shown` what is shown from now on."""
        self._shown = shown

    def end(self) -> None:
        """Return when all that was shown is in `shown`, and lead there no more."""
        self._shown = None


def tap_of(shell: Any, guard: _Guard) -> Tap:
    """Return the tap that fits a shell."""
    kernel = getattr(shell, "kernel", None)
    if callable(getattr(getattr(kernel, "session", None), "send", None)) and hasattr(kernel, "get_parent"):
        return KernelTap(shell, guard)
    return ShellTap(shell, guard)


class KernelTap(Tap):
    """Sees the messages that a kernel sends."""

    def __init__(self, shell: Any, guard: _Guard) -> None:
        super().__init__(shell, guard)
        self._session = shell.kernel.session
        self._request: str | None = None
        self._streams = [_Flag(name) for name in ("stdout", "stderr")]

    def start(self) -> None:
        self._send = self._session.send
        self._session.send = self._sending

    def stop(self) -> None:
        if self._session.__dict__.get("send") == self._sending:
            del self._session.send

    def begin(self, shown: Shown) -> None:
        self._request = _id_of(self._shell.kernel.get_parent("shell"))
        for stream in self._streams:
            stream.watch()
        super().begin(shown)

    def end(self) -> None:
        for stream in self._streams:
            stream.settle()
        super().end()

    def _sending(
        self, stream: Any, message: Any, content: Any = None, parent: Any = None, *args: Any, **kw: Any
    ) -> Any:
        sent = self._send(stream, message, content, parent, *args, **kw)
        if (shown := self._shown) is not None:
            self._guard(lambda: self._look(shown, message, content, parent))
        return sent

    def _look(self, shown: Shown, message: Any, content: Any, parent: Any) -> None:
        if isinstance(message, dict):
            kind, content, parent = message["header"]["msg_type"], message["content"], message["parent_header"]
        else:
            kind = message
        if kind not in _SEEN or _id_of(parent) != self._request or os.getpid() != self._pid:
            return
        if kind == "stream":
            shown.write(content["name"], content["text"])
        elif kind == "clear_output":
            shown.clear(bool(content.get("wait")))
        else:
            shown.display(
                "result" if kind == "execute_result" else "display",
                content["data"],
                display_id=(content.get("transient") or {}).get("display_id"),
                update=kind == "update_display_data",
            )


def _id_of(message: Any) -> str | None:
    """Return the id of a message, or of its header."""
    header = (message or {}).get("header", message) or {}
    found = header.get("msg_id")
    return None if found is None else str(found)


class _Flag:
    """Tells whether a kernel's stream was written to since the cell began, and waits for what was."""

    def __init__(self, name: str) -> None:
        self._stream = getattr(sys, name)
        self._written = False
        self._write: Callable[[str], Any] | None = None
        self._own: Any = None

    def watch(self) -> None:
        if self._own is not None or not hasattr(self._stream, "pub_thread"):  # replaced before nbops came
            return
        self._written = False
        self._own = self._stream.__dict__.get("write", self)
        self._write = inner = self._stream.write

        def write(text: str) -> Any:
            self._written = True
            return inner(text)

        self._mine = write
        self._stream.write = write

    def settle(self) -> None:
        if self._own is None:
            return
        before, self._own = self._own, None
        if self._stream.__dict__.get("write") is self._mine:
            if before is self:
                del self._stream.write
            else:
                self._stream.write = before  # IPython's own, for this cell
        if self._written:
            self._stream.flush()


class ShellTap(Tap):
    """Sees what is written, published and displayed in a shell without a kernel."""

    _METHODS = ("start_displayhook", "finish_displayhook", "write_format_data")

    def __init__(self, shell: Any, guard: _Guard) -> None:
        super().__init__(shell, guard)
        self._rich = 0
        self._replaced: list[tuple[Any, Any, bool]] = []

    def start(self) -> None:
        hook, publisher = self._shell.displayhook, self._shell.display_pub
        self._hook, self._publisher = hook, publisher
        publish, write_data = publisher.publish, hook.write_format_data
        begin, finish = hook.start_displayhook, hook.finish_displayhook

        def published(data: Any, metadata: Any = None, *args: Any, **kw: Any) -> Any:
            ident, update = (kw.get("transient") or {}).get("display_id"), bool(kw.get("update"))
            self._see(lambda shown: shown.display("display", data, display_id=ident, update=update))
            self._rich += 1
            try:
                return publish(data, metadata, *args, **kw)
            finally:
                self._rich -= 1

        def written(data: Any, *args: Any, **kw: Any) -> Any:
            self._see(lambda shown: shown.display("result", data))
            return write_data(data, *args, **kw)

        def begun() -> Any:
            self._rich += 1
            return begin()

        def finished() -> Any:
            try:
                return finish()
            finally:
                self._rich = max(0, self._rich - 1)

        publisher.publish, hook.write_format_data = published, written
        hook.start_displayhook, hook.finish_displayhook = begun, finished

    def stop(self) -> None:
        self._publisher.__dict__.pop("publish", None)
        for name in self._METHODS:
            self._hook.__dict__.pop(name, None)

    def begin(self, shown: Shown) -> None:
        super().begin(shown)
        self._rich = 0
        for name in ("stdout", "stderr"):
            self._guard(lambda name=name: self._follow(name, getattr(sys, name)))  # type: ignore[misc]

    def end(self) -> None:
        for stream, before, own in self._replaced:
            if own:
                stream.write = before
            else:
                stream.__dict__.pop("write", None)
        self._replaced = []
        super().end()

    def _follow(self, name: str, stream: Any) -> None:
        inner = getattr(stream, "write", None)
        attributes = getattr(stream, "__dict__", None)
        if inner is None or attributes is None:
            return
        own = "write" in attributes

        def write(text: Any, *args: Any, **kw: Any) -> Any:
            answer = inner(text, *args, **kw)
            if not self._rich and isinstance(text, str) and not getattr(self._shell, "showing_traceback", False):
                self._see(lambda shown: shown.write(name, text))
            return answer

        stream.write = write
        self._replaced.append((stream, inner, own))

    def _see(self, look: Callable[[Shown], None]) -> None:
        if (shown := self._shown) is not None and os.getpid() == self._pid:
            self._guard(lambda: look(shown))
