"""Where a cell's outputs are seen on their way, in the thread that shows them: nothing is waited for, nothing is changed.

Printed text is seen at the streams' ``write``: in a kernel those that lead to the front end, whatever ``sys.stdout`` is
now, else those of the moment. What is displayed is seen in a kernel as a message of its session, elsewhere at the
publisher and the display hook. A message and a write carry the request that they belong to: what a thread of an earlier
cell shows isn't this cell's. What a cell captures (`%%capture`) is shown nowhere, and isn't seen.
"""

from __future__ import annotations

import os
import select
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from nbops.tracking.recording.outputs import Shown

if sys.platform != "win32":
    import resource

_Guard = Callable[[Callable[[], None]], None]
_SEEN = frozenset({"display_data", "update_display_data", "execute_result", "clear_output"})
_NAMES = ("stdout", "stderr")
_PATIENCE, _MOMENT = 0.05, 0.003


class Tap(ABC):
    """Leads what a shell shows to a cell's `Shown`.

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
        self._followed: list[tuple[Any, Any, Any]] = []

    @abstractmethod
    def start(self) -> None:
        """Begin to follow what is displayed."""

    @abstractmethod
    def stop(self) -> None:
        """Follow no more."""

    def begin(self, shown: Shown) -> None:
        """Lead to `shown` what is shown from now on."""
        self._shown = shown
        for name in _NAMES:
            self._guard(lambda name=name: self._follow(name, self._stream(name)))  # type: ignore[misc]

    def end(self) -> None:
        """Lead there no more."""
        for stream, write, before in self._followed:
            if stream.__dict__.get("write") is write:
                if before is None:
                    del stream.write
                else:
                    stream.write = before  # IPython's own, for this cell
        self._followed = []
        self._shown = None

    def _stream(self, name: str) -> Any:
        return getattr(sys, name, None)

    @abstractmethod
    def _belongs(self, stream: Any) -> bool:
        """Whether what is written to a stream now is the cell's own output."""

    def _follow(self, name: str, stream: Any) -> None:
        attributes = getattr(stream, "__dict__", None)
        inner = getattr(stream, "write", None)
        if attributes is None or inner is None:
            return

        def write(text: Any, *args: Any, **kw: Any) -> Any:
            answer = inner(text, *args, **kw)
            try:
                if (shown := self._shown) is not None and isinstance(text, str) and self._belongs(stream):
                    shown.write(name, text)
            except Exception:  # noqa: BLE001  # it's logged; the text has been written
                self._guard(_raise_again)
            return answer

        self._followed.append((stream, write, attributes.get("write")))
        stream.write = write


def tap_of(shell: Any, guard: _Guard) -> Tap:
    """Return the tap that fits a shell."""
    kernel = getattr(shell, "kernel", None)
    if callable(getattr(getattr(kernel, "session", None), "send", None)) and hasattr(kernel, "get_parent"):
        return KernelTap(shell, guard)
    return ShellTap(shell, guard)


class KernelTap(Tap):
    """Sees the streams that lead to the front end, and the messages that the kernel sends there."""

    def __init__(self, shell: Any, guard: _Guard) -> None:
        super().__init__(shell, guard)
        self._session = shell.kernel.session
        self._request: str | None = None
        self._children = 0
        found = {name: getattr(sys, name) for name in _NAMES}
        self._streams = {name: stream for name, stream in found.items() if hasattr(stream, "parent_header")}

    def start(self) -> None:
        self._send = self._session.send
        self._session.send = self._sending

    def stop(self) -> None:
        if self._session.__dict__.get("send") == self._sending:
            del self._session.send

    def begin(self, shown: Shown) -> None:
        self._request = _id_of(self._shell.kernel.get_parent("shell"))
        self._children = _children()
        super().begin(shown)

    def end(self) -> None:
        if _children() != self._children:
            time.sleep(_MOMENT)
        for stream in self._streams.values():
            _drain(stream)
        super().end()

    def _stream(self, name: str) -> Any:
        return self._streams.get(name)

    def _belongs(self, stream: Any) -> bool:
        return stream.parent_header.get("msg_id") == self._request and os.getpid() == self._pid

    def _sending(
        self, stream: Any, message: Any, content: Any = None, parent: Any = None, *args: Any, **kw: Any
    ) -> Any:
        if (shown := self._shown) is not None:
            self._guard(lambda: self._look(shown, message, content, parent))
        return self._send(stream, message, content, parent, *args, **kw)

    def _look(self, shown: Shown, message: Any, content: Any, parent: Any) -> None:
        if isinstance(message, dict):
            kind, content, parent = message["header"]["msg_type"], message["content"], message["parent_header"]
        else:
            kind = message
        if kind == "stream" and content["name"] not in self._streams:  # it was replaced before nbops came
            shown.write(content["name"], content["text"])
        elif kind not in _SEEN or _id_of(parent) != self._request or os.getpid() != self._pid:
            return
        elif kind == "clear_output":
            shown.clear(bool(content.get("wait")))
        else:
            shown.display(
                "result" if kind == "execute_result" else "display",
                content["data"],
                display_id=(content.get("transient") or {}).get("display_id"),
                update=kind == "update_display_data",
            )


class ShellTap(Tap):
    """Sees what is written, published and displayed in a shell without a kernel."""

    _METHODS = ("start_displayhook", "finish_displayhook", "write_format_data")

    def __init__(self, shell: Any, guard: _Guard) -> None:
        super().__init__(shell, guard)
        self._rich = 0

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
        self._rich = 0
        super().begin(shown)

    def _belongs(self, stream: Any) -> bool:
        return not self._rich and not getattr(self._shell, "showing_traceback", False) and os.getpid() == self._pid

    def _see(self, look: Callable[[Shown], None]) -> None:
        if (shown := self._shown) is not None and os.getpid() == self._pid:
            self._guard(lambda: look(shown))


def _id_of(message: Any) -> str | None:
    """Return the id of a message, or of its header."""
    header = (message or {}).get("header", message) or {}
    found = header.get("msg_id")
    return None if found is None else str(found)


def _children() -> int:
    """Return a number that changes when a child process has ended."""
    return 0 if sys.platform == "win32" else resource.getrusage(resource.RUSAGE_CHILDREN).ru_minflt


def _drain(stream: Any) -> None:
    """Wait for what a child process has written, which a thread of the kernel reads from a pipe."""
    pipe = getattr(stream, "_fid", None)
    if pipe is None or not hasattr(select, "poll"):
        return
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    deadline = time.monotonic() + _PATIENCE
    while waiting.poll(0) and time.monotonic() < deadline:
        time.sleep(0.0005)


def _raise_again() -> None:
    raise  # the exception being handled, for the guard
