"""Starting a worker: in its own session, with none of our files open, and with the least of our settings.

It must outlive the kernel and the terminal that the kernel belongs to, and must not take the notebook's modules for
its own: ``-P`` keeps the working directory off its path.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nbops.tracking.journal.entries import Head
from nbops.tracking.journal.file import Journal

_NOT_ITS_OWN = (
    "MLFLOW_RUN_ID", "NBOPS_RUN_ID", "NBOPS_STAGE", "NBOPS_SESSION", "NBOPS_NOTEBOOK", "NBOPS_KERNEL", "PYTHONWARNINGS",
)  # fmt: skip
_started: list[subprocess.Popen[bytes]] = []


def start_worker(journal: Journal, head: Head | None = None) -> None:
    """Start a worker for a journal; one that isn't needed, because another is at work, ends by itself."""
    python = head.python if head and Path(head.python).exists() else sys.executable
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_ITS_OWN}
    if head:
        environment["MLFLOW_TRACKING_URI"] = head.uri
    else:
        environment["MLFLOW_TRACKING_URI"] = journal.project.tracking_uri
    _started[:] = [process for process in _started if process.poll() is None]  # no zombies
    journal.folder.mkdir(parents=True, exist_ok=True)
    _started.append(
        subprocess.Popen(
            [python, "-P", "-m", "nbops.tracking.journal.worker", str(journal.project.root), journal.session],
            cwd=journal.project.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    )
