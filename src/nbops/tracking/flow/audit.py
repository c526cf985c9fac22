"""What Python itself reports while a statement runs: code executed, files opened, processes started.

One hook for the life of the process (`sys.addaudithook` knows no way back) that hands a few kinds of events to whoever
listens. It never raises, and what it calls itself isn't reported again.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

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

_listener: Listener | None = None
_on_failure: Callable[[], None] | None = None
_hooked = False
_inside = threading.local()


def listen(listener: Listener | None, on_failure: Callable[[], None] | None = None) -> None:
    """Report events to `listener` from now on, and to no other; None: to nobody."""
    global _listener, _on_failure, _hooked
    _listener, _on_failure = listener, on_failure
    if not _hooked and listener is not None:
        _hooked = True
        sys.addaudithook(_hook)


def overlook(*, now: bool) -> None:
    """Report nothing that this thread does, until told otherwise: it's nbops' own work, or MLflow's."""
    _inside.now = now


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _listener is None or event not in EVENTS or getattr(_inside, "now", False):
        return
    _inside.now = True
    try:
        _listener(event, arguments)
    except Exception:  # noqa: BLE001  # an exception here would be raised into the user's call
        if _on_failure:
            _on_failure()
    finally:
        _inside.now = False
