"""Who started a run: the line of the cell, and the function of the notebook that did it.

The notebook's own code is what runs with the kernel's namespace as its globals. Seen from the call that starts the run, the
first function of that kind is the one that did it, and the module level beyond it tells the cell's line.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

from nbops.tracking.recording.records import Caller

_TOP = "<module>"


def caller_of(run_id: str, namespace: Mapping[str, Any]) -> Caller:
    """Return who starts a run on this thread now; `namespace` is the notebook's."""
    line: int | None = None
    function: str | None = None
    frame: FrameType | None = sys._getframe(1)
    while frame:
        if frame.f_globals is namespace:
            if frame.f_code.co_name == _TOP:
                line = frame.f_lineno
            elif line is None and function is None:
                function = frame.f_code.co_qualname
        frame = frame.f_back
    return Caller(run_id, line, function)
