"""Where failures of tracking go: ``.nbops/nbops.log``, never the user's cell.

What goes wrong in a hook is appended with its traceback. A full or read-only disk can't be told of there, so it's left at
that; the file is cut to its newer half when it has grown past a megabyte: a hook that fails does so for each cell.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable

from nbops.project import Project

_MOST = 1_000_000


def log_failure(project: Project) -> None:
    """Append the exception being handled to ``.nbops/nbops.log``; a full disk can't stop a cell."""
    note(project, traceback.format_exc())


def note(project: Project, text: str) -> None:
    """Append a text to ``.nbops/nbops.log``, without the secrets in it."""
    from nbops.tracking.redaction.redact import redact_text

    try:
        path = project.state / "nbops.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > _MOST:
            path.write_bytes(path.read_bytes()[-_MOST // 2 :])
        with path.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {redact_text(text)}\n")
    except OSError:  # nothing can be written: there is no place left to tell of it
        return


def guarded(project: Project, job: Callable[[], None]) -> None:
    """Do a job; its failure is written to ``.nbops/nbops.log``."""
    try:
        job()
    except Exception:  # noqa: BLE001  # the law: tracking never raises into a user's cell
        log_failure(project)
