"""What Python itself reports while a statement runs: code executed, files opened, processes started.

One hook for the life of the process (`sys.addaudithook` knows no way back, and each hook costs every event of an import)
that hands a few kinds of events to `flow`, and files opened to `reads`. It never raises, and what `flow` calls isn't reported
again. Libraries' own code and files, some thousands at an import, aren't reported.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from nbops.tracking.flow.places import is_library_file, library_folders, package_of

Listener = Callable[[str, tuple[Any, ...]], None]

EVENTS = frozenset(
    {
        "exec",
        "open",
        "os.listdir",
        "os.scandir",
        "glob.glob",
        "glob.glob/2",
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "os.truncate",
        "shutil.rmtree",
        "shutil.move",
        "shutil.copytree",
        "sqlite3.connect",
        "subprocess.Popen",
        "os.system",
        "os.posix_spawn",
        "os.fork",
        "os.forkpty",
        "os.exec",
        "pty.spawn",
    }
)
_OF_ONE_PATH = frozenset({"open", "os.listdir", "os.scandir"})
_MAKERS = frozenset({"attr", "collections", "dataclasses", "numpy", "scipy"})
"""They make functions and classes from texts of their own, hundreds at an import, and execute no text of the user's."""

_listener: Listener | None = None
_on_open: Callable[[tuple[Any, ...]], None] | None = None
_on_failure: Callable[[], None] | None = None
_hooked = False
_inside = threading.local()


def listen(listener: Listener | None, on_failure: Callable[[], None] | None = None) -> None:
    """Report events to `listener` from now on, and to no other; None: to nobody."""
    global _listener, _on_failure
    _listener, _on_failure = listener, on_failure
    if listener is not None:
        _begin()


def listen_to_opens(listener: Callable[[tuple[Any, ...]], None]) -> None:
    """Report files that are opened (path, mode, flags) to `listener` as well, for good; it must not raise."""
    global _on_open
    _on_open = listener
    _begin()


def _begin() -> None:
    global _hooked
    if not _hooked:
        _hooked = True
        sys.addaudithook(_hook)


def overlook(*, now: bool) -> None:
    """Report nothing that this thread does, until told otherwise: it's nbops' own work, or MLflow's."""
    _inside.now = now


def _hook(event: str, arguments: tuple[Any, ...], events: frozenset[str] = EVENTS) -> None:
    if event not in events or not _hooked:  # the interpreter's end takes a module's names away
        return
    if event == "exec":
        file = getattr(arguments[0], "co_filename", "")
        if file.startswith("<frozen") or file.startswith(library_folders()):  # nearly all, at imports
            return
        if file == "<string>" and package_of(str(sys._getframe(1).f_globals.get("__name__"))) in _MAKERS:
            return
    elif event in _OF_ONE_PATH and is_library_file(arguments[0]):
        return
    if event == "open" and _on_open is not None:
        _on_open(arguments)
    if _listener is None or getattr(_inside, "now", False):
        return
    _inside.now = True
    try:
        _listener(event, arguments)
    except Exception:  # noqa: BLE001  # an exception here would be raised into the user's call
        if _on_failure:
            _on_failure()
    finally:
        _inside.now = False
