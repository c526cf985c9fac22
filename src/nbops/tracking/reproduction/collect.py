"""What nbops has put aside in a project and nothing refers to any more, found and removed.

A session is kept while its kernel lives, a run in the store names it, it holds the last execution of a cell that is
still in its notebook, it's among the newest of its notebook, or it's younger than asked for. Outputs are kept while a
kept session refers to them, notebooks of reproductions while a run does, environments of reproductions and copies of
the project, and what stores refused, while they are young or in use. What the pipeline keeps is the pipeline's to
remove. What is journaled for the store is settled first and never touched. Runs are never touched here: see `purge`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nbops.errors import NotebookError, TrackingError
from nbops.notebook import document
from nbops.project import Project
from nbops.tracking.journal import refused
from nbops.tracking.recording.records import Session, SessionLog, read, read_session
from nbops.tracking.recording.sessions import is_alive
from nbops.tracking.reproduction.scratch import replay_folder
from nbops.tracking.reproduction.shown import outputs_folder
from nbops.tracking.schema import RunSummary
from nbops.tracking.store import Store

Kind = Literal[
    "session",
    "output",
    "journal",
    "refused entries",
    "executed notebook",
    "environment",
    "copy",
    "cached stage",
    "cached content",
    "facts file",
    "work folder",
]
_DAY = 24 * 3600.0
_HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Rubbish:
    """Something to remove: what it is, where, how many bytes it holds, and why nothing needs it."""

    kind: Kind
    path: Path
    bytes: int
    why: str


def collect(store: Store, *, older_than: float = 30 * _DAY, keep: int = 10, dry_run: bool = False) -> list[Rubbish]:
    """Remove what nothing refers to, and return it.

    Parameters
    ----------
    store
        The project's store, whose runs are asked.
    older_than
        In seconds: what is younger stays.
    keep
        How many of a notebook's newest sessions stay, however old.
    dry_run
        Only look.
    """
    from nbops.tracking import journal

    journal.settle(store.project)
    found = list(rubbish(store, older_than=older_than, keep=keep))
    discard([] if dry_run else found)
    return found


def discard(found: Iterable[Rubbish]) -> None:
    """Remove what was found; what is gone already is no error."""
    for one in found:
        if one.path.is_dir() and not one.path.is_symlink():
            shutil.rmtree(one.path, ignore_errors=True)
        else:
            one.path.unlink(missing_ok=True)


def rubbish(store: Store, *, older_than: float, keep: int) -> Iterator[Rubbish]:
    """Yield what nothing refers to; see `collect`."""
    project, limit = store.project, time.time() - older_than
    sessions = _sessions(project)
    gone = dict(_unneeded(store, sessions, limit, keep))
    for path, why in gone.items():
        yield Rubbish("session", path, size(path), why)
    yield from _outputs(project, [path for path in sessions if path not in gone])
    yield from _journals(project)
    yield from _refused(project, limit)
    yield from _reproduced(store, limit)
    yield from _environments(project, limit)
    yield from _copies(project)


def deleted_runs(store: Store) -> list[RunSummary]:
    """Return the runs that were deleted in MLflow, which keeps them until somebody purges them."""
    if not store.exists:
        return []
    from mlflow.entities import ViewType

    names = {found.experiment_id: found.name for found in store.client.search_experiments(view_type=ViewType.ALL)}
    page = store.client.search_runs(list(names), "", run_view_type=ViewType.DELETED_ONLY, max_results=50_000)
    return [
        RunSummary(
            run_id=run.info.run_id,
            name=run.info.run_name or run.info.run_id[:8],
            experiment=names[run.info.experiment_id],
            status=run.info.status,
            started=run.info.start_time / 1000,
        )
        for run in page
    ]


def purge(store: Store, runs: list[RunSummary]) -> None:
    """Remove deleted runs with their artifacts for good, by MLflow's own collector.

    Raises
    ------
    TrackingError
        If the store can't: a tracking server's runs are purged where the server is.
    """
    uri = store.project.tracking_uri
    if uri.startswith(("http:", "https:")):
        raise TrackingError(
            "a tracking server's runs can't be removed from here",
            where=uri,
            remedy="run `mlflow gc` where the server is",
        )
    ids = ",".join(run.run_id for run in runs)
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--run-ids", ids]
    variables = {**os.environ, "MLFLOW_TRACKING_URI": uri}
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if answer.returncode:
        raise TrackingError(f"mlflow gc: {answer.stderr.strip()[-500:]}", where=uri)


def _sessions(project: Project) -> dict[Path, Session]:
    found = ((path, read_session(path)) for path in sorted(project.sessions.glob("*.jsonl")))
    return {path: session for path, session in found if session is not None}


def _unneeded(store: Store, sessions: dict[Path, Session], limit: float, keep: int) -> Iterator[tuple[Path, str]]:
    newest: dict[str | None, int] = {}
    last = _last_of_notebooks(store.project, sessions)
    for path, session in sorted(sessions.items(), key=lambda item: -item[1].time):
        rank = newest[session.notebook] = newest.get(session.notebook, 0) + 1
        if is_alive(session, path) or max(session.time, path.stat().st_mtime) > limit:
            continue
        there = session.notebook is not None and (store.project.root / session.notebook).is_file()
        if (there and rank <= keep) or path in last or _has_run(store, session):
            continue
        yield path, "no run refers to it" + ("" if there else ", nor a notebook that is there")


def _last_of_notebooks(project: Project, sessions: dict[Path, Session]) -> set[Path]:
    """Return the sessions that hold the last execution of a cell that its notebook still has."""
    found: dict[tuple[str, str], tuple[float, Path]] = {}
    ids: dict[str, set[str]] = {}
    for path, session in sessions.items():
        name = session.notebook
        if name is None or session.stage:
            continue
        if name not in ids:
            ids[name] = _cell_ids(project.root / name)
        for cell in _log(path).cells if ids[name] else ():
            key = (name, cell.start.cell_id or "")
            if key[1] in ids[name]:
                found[key] = max(found.get(key, (0.0, path)), (cell.start.time, path))
    return {path for _, path in found.values()}


def _cell_ids(notebook: Path) -> set[str]:
    if not notebook.is_file():
        return set()
    try:
        return {cell.id for cell in document.read(notebook).code_cells}
    except NotebookError:  # in a merge, or cut off: the newest sessions are kept by their number
        return set()


def _log(path: Path) -> SessionLog:
    return read(path)


def _has_run(store: Store, session: Session) -> bool:
    if not store.exists:
        return False
    named = f"tags.`nbops.session` = '{session.session}'"
    if store.runs(limit=1, where=named):
        return True
    return bool(session.run_id and store.runs(limit=1, where=f"attributes.run_id = '{session.run_id}'"))


def _outputs(project: Project, kept: list[Path]) -> Iterator[Rubbish]:
    folder = outputs_folder(project)
    if not folder.is_dir():
        return
    needed = {output.digest for path in kept for cell in _log(path).cells if cell.end for output in cell.end.outputs}
    for path in sorted(folder.iterdir()):
        # a cell's outputs are written a moment before its record is
        if path.name not in needed and time.time() - path.stat().st_mtime > _HOUR:
            yield Rubbish("output", path, size(path), "no session refers to it")


def _journals(project: Project) -> Iterator[Rubbish]:
    """Yield what a removed journal left: a journal is there as long as anything of it isn't in the store."""
    folder = project.state / "journal"
    if not folder.is_dir():
        return
    there = {path.stem for path in folder.glob("*.jsonl")}
    for path in sorted(each for each in folder.iterdir() if each != refused.folder(project)):
        if path.name.partition(".")[0] not in there and time.time() - path.stat().st_mtime > _HOUR:
            yield Rubbish("journal", path, size(path), "its journal is in the store")


def _refused(project: Project, limit: float) -> Iterator[Rubbish]:
    for path in sorted(refused.folder(project).glob("*")):
        if path.stat().st_mtime <= limit:
            yield Rubbish("refused entries", path, size(path), "no store took it")


def _reproduced(store: Store, limit: float) -> Iterator[Rubbish]:
    """Yield notebooks of reproductions whose run is gone; those of the pipeline's stages are the pipeline's to remove."""
    for path in sorted((store.project.state / "executed").glob("reproduced-*.ipynb")):
        run = path.stem.removeprefix("reproduced-")
        if path.stat().st_mtime > limit:
            continue
        if not (store.exists and store.runs(limit=1, where=f"attributes.run_id LIKE '{run}%'")):
            yield Rubbish("executed notebook", path, size(path), "no run refers to it")


def _environments(project: Project, limit: float) -> Iterator[Rubbish]:
    for path in sorted((project.state / "environments").glob("run-*")):
        if path.is_dir() and path.stat().st_mtime <= limit:
            yield Rubbish("environment", path, size(path), "`nbops reproduce --env` makes it again")


def _copies(project: Project) -> Iterator[Rubbish]:
    import psutil

    folder = replay_folder(project)
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        parts = path.name.split("-")
        holder = int(parts[2]) if len(parts) > 2 and parts[2].isdigit() else 0
        if not holder or not psutil.pid_exists(holder):
            yield Rubbish("copy", path, size(path), "the reproduction that made it is gone")


def size(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file() and not one.is_symlink())
