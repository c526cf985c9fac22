"""One run at a time in a project, and nothing left behind by a run that died.

A run holds a file lock, which the system gives back however the process ends; the holder's process id stands beside
it for whoever finds it taken. What a run has under way lies in a folder of its own, ``.nbops/work/<run>``: found by the
next holder of the lock, it can only be a dead run's. Its half-executed notebooks are kept, its tracked runs that still
say RUNNING are set to KILLED, and it is removed.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nbops.errors import NotebookError, PipelineBusy
from nbops.notebook.document import write, write_atomically
from nbops.pipeline.objects import put_in_place, remove
from nbops.project import Project

if TYPE_CHECKING:
    from nbops.tracking.store import Store

RUNNER_TAG = "nbops.runner"
EXECUTED_NOTEBOOK = "executed.ipynb"
_logger = logging.getLogger("nbops.pipeline")


class Workspace:
    """The folder of one pipeline run.

    Attributes
    ----------
    project
        Whose pipeline is run.
    runner
        The run's own name, unique; its tracked runs carry it as a tag.
    folder
        Where it keeps what is under way.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.runner = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
        self._work = project.state / "work"
        self.folder = self._work / self.runner

    @contextmanager
    def hold(self) -> Iterator[Workspace]:
        """Hold the project's run lock.

        Raises
        ------
        PipelineBusy
            If another run holds it; says which process.
        """
        from filelock import FileLock, Timeout

        self.project.state.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.project.state / "run.lock")
        holder = self.project.state / "run.json"
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise PipelineBusy(
                f"another run is under way{_holder(holder)}",
                where=str(self.project.root),
                remedy="wait for it to end, or stop it with Ctrl-C",
            ) from error
        try:
            write_atomically(holder, json.dumps({"pid": os.getpid(), "started": time.time()}).encode())
            yield self
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def clear(self) -> None:
        """Remove the run's folder; a run that doesn't get to it is taken for dead by the next."""
        remove(self.folder)

    def stale(self) -> list[Path]:
        """Return the folders that dead runs left; to be called while holding the lock."""
        if not self._work.is_dir():
            return []
        return sorted(path for path in self._work.iterdir() if path.name != self.runner)

    def clean(self, store: Store) -> list[str]:
        """Clear away what dead runs left, and return the ids of the tracked runs that are KILLED now."""
        killed: list[str] = []
        for folder in self.stale():
            for notebook in sorted(folder.glob(f"*/{EXECUTED_NOTEBOOK}")):
                self._keep_killed(notebook)
            killed += self.kill_runs(store, folder.name)
            remove(folder)
        return killed

    def _keep_killed(self, notebook: Path) -> None:
        """Keep a half-executed notebook with all that its journal says, and end what its kernel left."""
        from nbops.pipeline.journal import execution_of, journal_of, recover
        from nbops.pipeline.offspring import Offspring
        from nbops.tracking.redaction.notebooks import redact_notebook

        journal, kept = journal_of(notebook), self.executed(notebook.parent.name, "killed")
        if execution := execution_of(journal):
            Offspring(execution).end(0.0)
        try:
            write(kept, redact_notebook(recover(journal, notebook)))
        except NotebookError as error:
            _logger.warning("a killed stage's notebook isn't completed from its journal: %s", error)
            put_in_place(notebook, kept)

    def kill_runs(self, store: Store, runner: str) -> list[str]:
        """Set the tracked runs of a runner that still say RUNNING to KILLED, and return their ids."""
        where = f"tags.`{RUNNER_TAG}` = '{runner}' and attributes.status = 'RUNNING'"
        running = [run.run_id for run in store.runs(limit=1000, where=where)]
        for run_id in running:
            store.end_run(run_id, "KILLED")
        return running

    def stage_folder(self, stage: str) -> Path:
        """Return a stage's folder, made empty."""
        folder = self.folder / stage
        remove(folder)
        folder.mkdir(parents=True)
        return folder

    def executed(self, stage: str, key: str) -> Path:
        """Return where an executed notebook is kept."""
        return self.project.state / "executed" / f"{stage}-{key}.ipynb"


def _holder(path: Path) -> str:
    try:
        return f" (process {json.loads(path.read_text(encoding='utf-8'))['pid']})"
    except (OSError, ValueError, LookupError, TypeError):
        return ""  # it has just begun, or has just ended
