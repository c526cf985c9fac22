"""The record that an executed notebook keeps of its own execution: true, and written in step with the work.

Papermill's manager writes the whole notebook at each cell's start and end, and calls every cell completed that it
never ran. Here everything goes to a journal at once (see `nbops.pipeline.journal`), and the notebook is written whole at
the start, at the end, and in between for those who look on: at growing intervals, for a small share of the time. It says of
each code cell, in ``metadata.nbops.status``, what happened: ok, failed, killed, timeout, cancelled, not run; lost, if it
was recovered after its runner had been killed. Papermill's own words stay as far as they are true: pending cells stay
``pending``, cells that died are ``failed``.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import time
from pathlib import Path
from typing import Any, Literal

from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io, write_ipynb
from papermill.log import logger

from nbops.errors import StageFailed
from nbops.notebook.document import dumps, write, write_atomically
from nbops.pipeline.journal import Journal

CellStatus = Literal["ok", "failed", "killed", "timeout", "cancelled", "lost", "running", "not run"]
_SAVE_EVERY_S = (2.0, 60.0)  # at first, and at most
_SAVE_GROWTH = 0.1
_SAVE_SHARE = 0.05


class WholeFiles(LocalHandler):  # type: ignore[misc]
    """Papermill's handler of local files, but a file appears whole or not at all: papermill writes once more at the end."""

    def __init__(self, local: LocalHandler) -> None:
        super().__init__()
        self._local = local

    def place(self, path: str) -> Path:
        """Return where a path leads from where papermill was started."""
        return Path(self._local._cwd or "", path).absolute()

    def read(self, path: str) -> Any:
        """Read a file."""
        return self._local.read(path)

    def write(self, buf: str, path: str) -> None:
        """Write a file."""
        write_atomically(self.place(path), buf.encode())


class ExecutionRecord(NotebookExecutionManager):  # type: ignore[misc]
    """Papermill's manager of an executing notebook, made truthful and linear in cost.

    Attributes
    ----------
    execution
        The execution's id.
    journal
        Its journal; None if the notebook isn't a local file.
    outcome
        How it ended.
    """

    def __init__(self, nb: NotebookNode, **options: Any) -> None:
        super().__init__(nb, **options)
        self.execution = secrets.token_hex(8)
        self.journal: Journal | None = None
        self.outcome: CellStatus = "not run"
        self._path = _local_place(self.output_path)
        self._began = self._last_save = time.monotonic()
        self._save_cost = 0.0

    def notebook_start(self, **kwargs: Any) -> None:
        super().notebook_start(**kwargs)
        for cell in self.nb.cells:
            if cell.cell_type == "code":
                cell.metadata["nbops"] = {"status": "not run"}
        self.nb.metadata["nbops"] = {"status": "running", "execution": self.execution}
        try:
            self._write()
        except OSError as error:
            raise self._unwritable(error, remedy="give it a place that can be written") from error
        if self._path:
            self.journal = Journal(self._path, self.execution)

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        self._mark(cell, "running")
        if self.journal:
            self.journal.tell({"start": cell_index, "papermill": cell.metadata.papermill})

    def cell_ended(self, cell: NotebookNode, index: int, status: CellStatus, reason: str = "") -> None:
        """Record how a cell ended, then save if it is time."""
        self._mark(cell, status, reason)
        if status not in ("ok", "not run"):
            self.outcome = status
            cell.metadata.papermill["status"] = self.FAILED
            if status != "failed":
                cell.metadata.papermill["exception"] = True
        self.cell_complete(cell, cell_index=index)

    def cell_complete(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        super().cell_complete(cell, cell_index, **kwargs)
        if self.journal:
            metadata = cell.metadata
            self.journal.tell({"end": cell_index, "papermill": metadata.papermill, "nbops": metadata.get("nbops")})

    def notebook_complete(self, **kwargs: Any) -> None:
        self.end_time = self.now()
        self.nb.metadata.papermill["end_time"] = self.end_time.isoformat()
        self.nb.metadata.papermill["duration"] = (self.end_time - self.start_time).total_seconds()
        finished = self.outcome == "ok"
        if not finished and self.nb.metadata.papermill.get("exception") is None:
            self.nb.metadata.papermill["exception"] = True
        for cell in self.nb.cells:
            if finished and cell.metadata.papermill["status"] == self.PENDING:
                cell.metadata.papermill["status"] = self.COMPLETED
        self.nb.metadata["nbops"] = {"status": self.outcome}
        if finished:
            self.complete_pbar()
        self.cleanup_pbar()
        if self.journal:
            self.journal.tell({"finish": self.outcome, "papermill": self.nb.metadata.papermill})
        self._write_last()

    def save(self, **kwargs: Any) -> None:
        """Write the notebook, if the last time was long enough ago for what it cost."""
        if kwargs.get("nb"):
            self.nb = kwargs["nb"]
        now = time.monotonic()
        least, most = _SAVE_EVERY_S
        pause = min(max(least, (now - self._began) * _SAVE_GROWTH), most)
        if now - self._last_save < max(pause, self._save_cost / _SAVE_SHARE):
            return
        try:
            self._write()
        except OSError as error:  # there may be room again at the end
            logger.warning("%s can't be written now: %s", self.output_path, error)
        self._last_save = time.monotonic()
        self._save_cost = self._last_save - now

    def autosave_cell(self, **kwargs: Any) -> None:
        """Save in the middle of a cell, unless papermill's caller turned that off."""
        if self.autosave_cell_every:
            self.save(**kwargs)

    def _mark(self, cell: NotebookNode, status: CellStatus, reason: str = "") -> None:
        if cell.cell_type == "code":
            cell.metadata["nbops"] = {"status": status, "reason": reason} if reason else {"status": status}

    def _write(self) -> None:
        if self._path:
            write(self._path, self.nb)
        elif self.output_path:
            write_ipynb(self.nb, self.output_path)

    def _write_last(self) -> None:
        """Write the notebook for good, then let go of the journal, which a full disk may need first.

        Raises
        ------
        StageFailed
            If it can't be written.
        """
        try:
            try:
                self._write()
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self._is_room_without_journal():
                    raise
                assert self.journal is not None
                self.journal.remove()
                self._write()
        except OSError as error:
            kept = self.journal.path if self.journal and self.journal.path.exists() else None
            remedy = f"what it lacks is in {kept}" if kept else "make room and execute it again"
            raise self._unwritable(error, remedy) from error
        finally:
            if self.journal:
                self.journal.close()
        if self.journal:
            self.journal.remove()

    def _unwritable(self, error: OSError, remedy: str) -> StageFailed:
        why = error.strerror or error
        return StageFailed(f"the executed notebook {self.output_path} can't be written: {why}", remedy=remedy)

    def _is_room_without_journal(self) -> bool:
        if not self.journal or not self._path:
            return False
        return shutil.disk_usage(self._path.parent).free + self.journal.size > len(dumps(self.nb).encode())


def _local_place(output_path: str | None) -> Path | None:
    """Return where a local notebook lies, and have papermill write it whole as well; None if it isn't local."""
    handler = papermill_io.get_handler(output_path) if output_path else None
    if not isinstance(handler, LocalHandler):
        return None
    if not isinstance(handler, WholeFiles):
        handler = WholeFiles(handler)
        papermill_io.register(output_path, handler)
    return handler.place(str(output_path))
