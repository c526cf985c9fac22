"""Processes of ours that work beside a kernel: the notebook comes first."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_NICE = 10


def give_way() -> None:
    """Let other processes come first, those of other sessions too.

    Where Linux groups processes by session (``sched_autogroup_enabled``, see sched(7)), niceness counts only within the
    group: a process that leads a session makes its group as nice as itself.
    """
    os.nice(_NICE)
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():
        with suppress(OSError):  # no Linux, or no groups
            Path("/proc/self/autogroup").write_text(str(_NICE), encoding="ascii")
