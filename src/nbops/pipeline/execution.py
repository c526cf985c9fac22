"""The record that an executed notebook keeps of its own execution: true, and written in step with the work.

Papermill's manager writes the whole notebook at each cell's start and end, and calls every cell completed that it
never ran. This one writes at most every two seconds and never spends more than a tenth of the time on it, through a
temporary file; and it says of each code cell, in ``metadata.nbops.status``, what happened: ok, failed, killed, timeout,
cancelled, not run. Papermill's own words stay as far as they are true: pending cells stay ``pending``, cells that died
are ``failed``.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal

from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager
from papermill.iorw import LocalHandler, papermill_io, write_ipynb

from nbops.notebook.document import write

CellStatus = Literal["ok", "failed", "killed", "timeout", "cancelled", "running", "not run"]
_SAVE_EVERY_S = 2.0
_SAVE_SHARE = 0.1


class ExecutionRecord(NotebookExecutionManager):  # type: ignore[misc]
    """Papermill's manager of an executing notebook, made truthful and linear in cost."""

    def __init__(self, nb: NotebookNode, **options: Any) -> None:
        super().__init__(nb, **options)
        self._last_save = float("-inf")
        self._save_cost = 0.0
        self.outcome: CellStatus = "not run"

    def notebook_start(self, **kwargs: Any) -> None:
        super().notebook_start(**kwargs)
        for cell in self.nb.cells:
            if cell.cell_type == "code":
                cell.metadata["nbops"] = {"status": "not run"}
        self.nb.metadata["nbops"] = {"status": "running"}

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **kwargs: Any) -> None:
        super().cell_start(cell, cell_index, **kwargs)
        self._mark(cell, "running")

    def cell_ended(self, cell: NotebookNode, index: int, status: CellStatus, reason: str = "") -> None:
        """Record how a cell ended, then save if it is time."""
        self._mark(cell, status, reason)
        if status != "ok":
            self.outcome = status
            cell.metadata.papermill["status"] = self.FAILED
            if status != "failed":
                cell.metadata.papermill["exception"] = True
        self.cell_complete(cell, cell_index=index)

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
        self._write()

    def save(self, **kwargs: Any) -> None:
        """Write the notebook, if the last time was long enough ago for what it cost."""
        if kwargs.get("nb"):
            self.nb = kwargs["nb"]
        pause = max(_SAVE_EVERY_S, self._save_cost / _SAVE_SHARE)
        if time.monotonic() - self._last_save >= pause:
            self._write()

    def autosave_cell(self, **kwargs: Any) -> None:
        """Save in the middle of a cell, unless papermill's caller turned that off."""
        if self.autosave_cell_every:
            self.save(**kwargs)

    def _mark(self, cell: NotebookNode, status: CellStatus, reason: str = "") -> None:
        if cell.cell_type == "code":
            cell.metadata["nbops"] = {"status": status, "reason": reason} if reason else {"status": status}

    def _write(self) -> None:
        if not self.output_path:
            return
        started = time.monotonic()
        handler = papermill_io.get_handler(self.output_path)
        if isinstance(handler, LocalHandler):
            write(Path(getattr(handler, "_cwd", None) or "", self.output_path), self.nb)
        else:
            write_ipynb(self.nb, self.output_path)
        self._last_save = time.monotonic()
        self._save_cost = self._last_save - started
