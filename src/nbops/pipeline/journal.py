"""What an executing notebook does, appended line by line beside it, so that no kill loses an output.

``<notebook>.journal`` holds JSON lines: a head with the format's number and the execution's id, then the start and the end
of each cell and what each message of the kernel did to the outputs (see `nbops.pipeline.following`). A line costs what is
new, never what is there already, so the whole is linear. The notebook written at the start names the same execution;
`recover` replays the journal over it, or over any later state of it. A torn last line doesn't count. After a clean end the
notebook says everything and the journal is removed.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from nbops.errors import NotebookError
from nbops.notebook.document import Document, read

FORMAT = 1
_logger = logging.getLogger("nbops.kernels")
_WIDGETS = "application/vnd.jupyter.widget-state+json"


def journal_of(notebook: Path) -> Path:
    """Return where the journal of an executing notebook lies."""
    return notebook.with_name(f"{notebook.name}.journal")


class Journal:
    """The journal of one execution; when it can't be written it ends, and the execution goes on without.

    Parameters
    ----------
    notebook
        The notebook that is written; an older journal of it is replaced.
    execution
        The execution's id, which the notebook's metadata names as well.

    Attributes
    ----------
    path
        Where it lies.
    size
        How many bytes it holds.
    """

    def __init__(self, notebook: Path, execution: str) -> None:
        self.path = journal_of(notebook)
        self.size = 0
        self._execution = execution
        self._file: int | None = None
        try:
            self.path.unlink(missing_ok=True)
            # as private as a notebook may be
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except OSError as error:
            _logger.warning("%s can't be made: %s", self.path, error)
        self.tell({"nbops_journal": FORMAT, "execution": execution, "runner": os.getpid()})

    def tell(self, entry: Mapping[str, Any]) -> None:
        """Append a line; it has left this process when this returns."""
        if self._file is None:
            return
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
            self.size += len(line)
        except OSError as error:
            _logger.warning("%s ends here: %s", self.path, error)
            with suppress(OSError):  # a torn line is left then, which readers stop at
                os.ftruncate(self._file, self.size)
            self.close()

    def close(self) -> None:
        """End the journal; it stays."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """End the journal and remove it, unless another execution has put its own in its place."""
        self.close()
        if execution_of(self.path) == self._execution:
            self.path.unlink()


def recover(journal: Path, notebook: Path) -> Document:
    """Return an executed notebook as it was when its runner was killed.

    The cell that ran then is ``lost`` and has the outputs that it had; cells after it are ``not run``. A journal that isn't
    there or belongs to another execution changes nothing.

    Parameters
    ----------
    journal
        The journal (`journal_of`).
    notebook
        The notebook, as it was written last.

    Raises
    ------
    NotebookError
        If the notebook can't be read, or the journal is of a newer format.
    """
    document = read(notebook)
    entries = _entries(journal)
    head = next(entries, None)
    execution = document.content["metadata"].get("nbops", {}).get("execution")
    if head is None or execution is None or head.get("execution") != execution:
        return document
    if head["nbops_journal"] > FORMAT:
        raise NotebookError(
            f"the journal's format {head['nbops_journal']} is newer than this nbops reads ({FORMAT})",
            where=str(journal),
            remedy="upgrade nbops",
        )
    replay = _Replay(document)
    for entry in entries:
        replay.take(entry)
    replay.finish()
    return document


def execution_of(journal: Path) -> str | None:
    """Return the id of the execution that a journal belongs to; None if there is no journal."""
    head = next(_entries(journal), None)
    return str(head["execution"]) if head else None


def is_under_way(journal: Path) -> bool:
    """Whether the process that writes a journal lives."""
    import psutil

    head = next(_entries(journal), None)
    if head is None:
        return False
    try:  # another process that has got its number since was made after the last line
        return psutil.Process(int(head["runner"])).create_time() <= journal.stat().st_mtime
    except psutil.Error:
        return False


def _entries(journal: Path) -> Iterator[dict[str, Any]]:
    """Read the whole lines."""
    if not journal.exists():
        return
    with journal.open("rb") as file:
        for number, line in enumerate(file):
            try:
                entry = json.loads(line.decode("utf-8", "surrogatepass")) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if not isinstance(entry, dict) or (number == 0 and "nbops_journal" not in entry):
                return
            yield entry


class _Replay:
    """Does to a notebook what its execution did, as nbclient does it."""

    def __init__(self, document: Document) -> None:
        self._notebook = document.content
        self._cells = document.cells
        self._shown: dict[str, dict[int, list[int]]] = {}  # by display id: in which cells, at which places
        self._widgets: dict[str, dict[str, Any]] = {}
        self._buffers: dict[str, dict[tuple[Any, ...], Any]] = {}
        self._captured: dict[str, list[dict[str, Any]]] = {}
        self._running: int | None = None
        self._outcome = "lost"
        for cell in self._cells:
            if cell["cell_type"] == "code":
                cell |= {"outputs": [], "execution_count": None}
                cell["metadata"]["nbops"] = {"status": "not run"}

    def take(self, entry: dict[str, Any]) -> None:
        """Replay one entry; kinds that are unknown here are passed over."""
        match entry:
            case {"start": int(at)}:
                self._running = at
                self._cells[at]["metadata"]["papermill"] = entry["papermill"]
            case {"end": int(at)}:
                self._end(at, entry)
            case {"output": int(at)}:
                self._show(at, entry)
            case {"outputs": int(at)}:
                self._cells[at]["outputs"] = entry["are"]
            case {"clear": int(at)}:
                self._clear(at)
            case {"update": str(display_id)}:
                for at, places in self._shown.get(display_id, {}).items():
                    for place in places:
                        self._cells[at]["outputs"][place] |= {"data": entry["data"], "metadata": entry["metadata"]}
            case {"count": int(count), "of": int(at)}:
                self._cells[at]["execution_count"] = count
            case {"widget": str(comm)}:
                self._change_widget(comm, entry)
            case {"captured": str(comm)}:
                self._capture(comm, entry)
            case {"finish": str(outcome)}:
                self._outcome = outcome
                self._notebook["metadata"]["papermill"] = entry["papermill"]

    def finish(self) -> None:
        """Say what became of the cell that ran last and of the notebook."""
        metadata = self._notebook["metadata"]
        if self._running is not None:
            cell = self._cells[self._running]
            if cell["cell_type"] == "code":
                cell["metadata"]["nbops"] = {"status": "lost", "reason": "the process that ran the notebook ended"}
            cell["metadata"].setdefault("papermill", {}).update(status="failed", exception=True)
        metadata["nbops"] = {"status": self._outcome}
        if self._outcome != "ok":
            metadata.setdefault("papermill", {})["exception"] = True
        if self._widgets:
            metadata["widgets"] = {_WIDGETS: {"state": self._widget_states(), "version_major": 2, "version_minor": 0}}

    def _end(self, at: int, entry: dict[str, Any]) -> None:
        self._running = None
        cell = self._cells[at]
        cell["metadata"]["papermill"] = entry["papermill"]
        if cell["cell_type"] == "code":
            cell["metadata"]["nbops"] = entry["nbops"]
            if entry["nbops"]["status"] not in ("ok", "not run"):
                self._outcome = entry["nbops"]["status"]

    def _show(self, at: int, entry: dict[str, Any]) -> None:
        if entry.get("clears"):
            self._clear(at)
        outputs = self._cells[at]["outputs"]
        if entry.get("id"):
            self._shown.setdefault(entry["id"], {}).setdefault(at, []).append(len(outputs))
        outputs.append(entry["as"])

    def _clear(self, at: int) -> None:
        self._cells[at]["outputs"] = []
        for places in self._shown.values():
            places.pop(at, None)

    def _change_widget(self, comm: str, entry: dict[str, Any]) -> None:
        self._widgets.setdefault(comm, {}).update(entry["state"])
        self._captured.setdefault(comm, list(entry["state"].get("outputs", ())))
        for buffer in entry.get("buffers", ()):
            self._buffers.setdefault(comm, {})[tuple(buffer["path"])] = buffer

    def _capture(self, comm: str, entry: dict[str, Any]) -> None:
        outputs = self._captured.setdefault(comm, [])
        if entry.get("clears"):
            outputs.clear()
        if new := entry.get("as"):
            last = outputs[-1] if outputs else {}
            if new["output_type"] == "stream" == last.get("output_type") and new["name"] == last["name"]:
                last["text"] += new["text"]
            else:
                outputs.append(new)
        self._widgets.setdefault(comm, {})["outputs"] = outputs

    def _widget_states(self) -> dict[str, Any]:
        states: dict[str, Any] = {}
        for comm, state in self._widgets.items():
            if "_model_name" in state:
                named = {name: state.get(f"_{name}") for name in ("model_name", "model_module", "model_module_version")}
                states[comm] = {**named, "state": state}
                if buffers := self._buffers.get(comm):
                    states[comm]["buffers"] = list(buffers.values())
        return states
