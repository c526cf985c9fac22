"""What stages printed: read from the executed notebooks that are kept, or from the one that is executing.

A run that is under way writes its notebooks, with a journal beside each, in its work folder; secrets are masked in the
kept ones, and here in the others. The engine counts code cells as Jupyter does, the injected one too, and so do the
errors and this.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbops.errors import NotebookError, PipelineError, nearest
from nbops.notebook.document import Document, read
from nbops.notebook.parameters import INJECTED_TAG
from nbops.pipeline.cache import Cache
from nbops.pipeline.outlook import executed_notebooks
from nbops.pipeline.workspace import EXECUTED_NOTEBOOK
from nbops.project import Project

_ARTIFACT = "nbops/executed.ipynb"


@dataclass(frozen=True, slots=True)
class CellLog:
    """What a cell printed.

    Attributes
    ----------
    number, status, seconds
        Which code cell (from 1), how it ended (``running``: it hasn't), and how long it took.
    source, text
        Its code, and all that it printed and showed, an error's traceback too.
    """

    number: int
    status: str
    seconds: float
    source: str
    text: str


@dataclass(frozen=True, slots=True)
class StageLog:
    """What a stage printed in one execution.

    Attributes
    ----------
    stage, status
        Which stage, and how it ended (``running``: it hasn't).
    notebook
        The executed notebook that says so.
    cells
        Its code cells that were executed.
    """

    stage: str
    status: str
    notebook: str
    cells: tuple[CellLog, ...]


def newest(project: Project, stage: str = "") -> StageLog:
    """Return the log of a stage's newest execution, or of the newest of all.

    Raises
    ------
    PipelineError
        If nothing was executed yet.
    """
    live = [log for log in under_way(project) if stage in ("", log.stage)]
    if live:
        return next((log for log in live if log.status == "running"), live[-1])
    if stage:
        found = executed_notebooks(project, stage)
    else:
        every = [path for name in known_stages(project) for path in executed_notebooks(project, name)[:1]]
        found = sorted(every, key=lambda path: path.stat().st_mtime, reverse=True)
    if not found:
        known = known_stages(project)
        what = f"stage '{stage}' was never executed" if stage else "no stage was executed yet"
        raise PipelineError(
            what, where=str(project.root), remedy=nearest(stage, known) if stage and known else "nbops run"
        )
    return log_of(read(found[0]), found[0].stem.rpartition("-")[0], project.relative(found[0]))


def known_stages(project: Project) -> list[str]:
    """Return the stages of which executed notebooks are kept."""
    folder = project.state / "executed"
    names = {path.stem.rpartition("-")[0] for path in folder.glob("*.ipynb")} - {"reproduced"}
    return sorted(name for name in names if name)


def under_way(project: Project) -> Iterator[StageLog]:
    """Yield the logs of the run that is under way, in the order in which its stages began."""
    folder = live_folder(project)
    found = list(folder.glob(f"*/{EXECUTED_NOTEBOOK}")) if folder else []
    for notebook in sorted(found, key=lambda path: (path.parent / "input.ipynb").stat().st_mtime):
        document = _executing(notebook)
        if document is not None:
            yield log_of(document, notebook.parent.name, project.relative(notebook), running=True)


def live_folder(project: Project) -> Path | None:
    """Return the work folder of the run that is under way; None if there is none."""
    try:
        holder = json.loads((project.state / "run.json").read_text(encoding="utf-8"))
        os.kill(int(holder["pid"]), 0)
    except PermissionError:
        pass  # it's another user's, but it's there
    except (OSError, ValueError, LookupError, TypeError):
        return None
    folders = [path for path in (project.state / "work").glob("*") if path.is_dir()]
    return max(folders, key=lambda path: path.name, default=None)


def of_run(project: Project, run: str, stage: str = "") -> StageLog:
    """Return the log of a tracked run: a stage's, or with `stage` one of a pipeline run's.

    Raises
    ------
    TrackingError
        If there is no such run, or it has no executed notebook.
    """
    for _, entry in Cache(project.state / "cache").entries():
        if entry and len(run) >= 4 and entry.run_id.startswith(run) and (project.root / entry.notebook).is_file():
            return log_of(read(project.root / entry.notebook), entry.stage, entry.notebook)
    from tempfile import TemporaryDirectory

    from nbops.tracking.store import Store

    store = Store(project)
    detail = store.run(run)
    if detail.summary.stage is None:
        children = {child.stage: child.run_id for child in store.children(detail.summary.run_id) if child.stage}
        wanted = stage or next((name for name in children), "")
        if wanted not in children:
            raise PipelineError(
                f"run {run} executed no stage '{stage}'" if stage else f"run {run} executed no stage",
                remedy=nearest(stage, children),
            )
        detail = store.run(children[wanted])
    summary = detail.summary
    with TemporaryDirectory(prefix="nbops-") as folder:
        document = read(store.download(summary.run_id, _ARTIFACT, Path(folder)))
    return log_of(document, summary.stage or stage, f"run {summary.run_id[:8]}, {_ARTIFACT}")


def log_of(document: Document, stage: str, notebook: str, *, running: bool = False) -> StageLog:
    """Return the log that an executed notebook holds; in one that is `running`, no cell is lost yet."""
    status = str(document.content["metadata"].get("nbops", {}).get("status", "unknown"))
    cells = []
    for number, cell in enumerate((one for one in document.cells if _has_code(one)), 1):
        told = cell["metadata"].get("nbops", {}).get("status", "not run")
        ended = "running" if running and told == "lost" else str(told)
        if ended == "not run" or (INJECTED_TAG in cell["metadata"].get("tags", []) and not cell["outputs"]):
            continue
        seconds = float(cell["metadata"].get("papermill", {}).get("duration") or 0.0)
        text = "".join(_texts(cell["outputs"]))
        cells.append(CellLog(number, ended, seconds, cell["source"], text))
    if running and status in ("lost", "not run", "running", "unknown"):
        status = "running"
    return StageLog(stage, status, notebook, tuple(cells))


def _has_code(cell: dict[str, Any]) -> bool:
    return cell["cell_type"] == "code" and bool(cell["source"].strip())


def _texts(outputs: list[dict[str, Any]]) -> Iterator[str]:
    for output in outputs:
        match output["output_type"]:
            case "stream":
                yield _joined(output["text"])
            case "error":
                trace = "\n".join(output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"])
                yield trace.rstrip("\n") + "\n"
            case _:
                data = output.get("data", {})
                plain = _joined(data["text/plain"]) if "text/plain" in data else f"[{', '.join(sorted(data))}]"
                yield plain.rstrip("\n") + "\n"


def _joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def _executing(notebook: Path) -> Document | None:
    from nbops.pipeline.journal import journal_of, recover
    from nbops.tracking.redaction.notebooks import redact_notebook

    try:
        return redact_notebook(recover(journal_of(notebook), notebook))
    except NotebookError:
        return None  # it ended in between
