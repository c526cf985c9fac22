"""A run made again from its recipe, and compared: *reproduced*, *close*, or *differs* and where first.

The recipe is laid out as a notebook and executed by papermill in a copy of the project (see `scratch` and `replay`),
in the present environment or a fresh one made from the run's lock, under the thread and hash-seed settings that the
run had. It makes a run of its own, tagged ``nbops.reproduces``. Then inputs, cells, outputs, params, models and
metrics are compared (see `judge`). By default two numbers are the same within 1e-9 and close within 1e-2 of each
other, relatively; texts are compared without addresses, durations, dates and paths. The verdict stays on the run that
was reproduced: the tag ``nbops.reproduced`` and the artifact ``nbops/reproduction.json``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nbops.errors import TrackingError
from nbops.notebook import document
from nbops.notebook.document import Document
from nbops.notebook.parameters import INJECTED_ID, read_parameters
from nbops.tracking.journal import settle
from nbops.tracking.recording.records import Cell
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.redaction.notebooks import redact_notebook
from nbops.tracking.reproduction import guard, kernels
from nbops.tracking.reproduction.judge import Check, Evidence, checks
from nbops.tracking.reproduction.layout import lay_out, piece_ids, sources_of
from nbops.tracking.reproduction.origin import Origin, origin_of
from nbops.tracking.reproduction.places import recorded_root
from nbops.tracking.reproduction.replay import PROBE_ID, Replayed, keep_records, probe, probed, replay, shown_as
from nbops.tracking.reproduction.safety import outside_reads, refuse_unsafe
from nbops.tracking.reproduction.scratch import MAX_COPY, Scratch, scratch_of
from nbops.tracking.reproduction.tolerance import Tolerance
from nbops.tracking.reproduction.traces import kept_trace, made_run
from nbops.tracking.reproduction.verdict import (
    REPRODUCED_TAG,
    REPRODUCTION_ARTIFACT,
    Reproduction,
    record,
)
from nbops.tracking.store import Store
from nbops.tracking.store.search import REPRODUCES_TAG

__all__ = ["REPRODUCED_TAG", "REPRODUCES_TAG", "REPRODUCTION_ARTIFACT", "Reproduction", "reproduce"]

_SETTLED_WITHIN_S = 300.0
_FAILED = ("failed", "killed", "timeout", "cancelled")


def reproduce(
    store: Store,
    run: str,
    *,
    fresh_environment: bool = False,
    tolerance: Tolerance | None = None,
    timeout: float | None = None,
    max_copy: int = MAX_COPY,
    write_outside: bool = False,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Reproduction:
    """Run a run's recipe again and compare what it gives.

    Parameters
    ----------
    store
        Where the run is.
    run
        Its id, the beginning of one, its name, or ``latest``.
    fresh_environment
        Whether to install the run's recorded lock in an environment of its own, instead of using the present one.
    tolerance
        What counts as the same and as close; by default 1e-9 and 1e-2, relatively.
    timeout
        The most seconds that a cell may take.
    max_copy
        The most bytes of the project that may be copied.
    write_outside
        Whether files outside of the project, which the run is known to have written, may be written over.
    say, progress
        Told what takes time; called with how many cells have begun, and how many there are.

    Raises
    ------
    TrackingError
        If the run can't be run again: nothing is known of it, a secret was masked, it's too large to be copied, or its
        environment can't be made.
    """
    say = say or (lambda text: None)
    tolerance = tolerance or Tolerance()
    origin = origin_of(store, run)
    refuse_unsafe(store, origin, write_outside)
    python = _fresh(store, origin, say) if fresh_environment else None
    run_id = origin.run.summary.run_id
    name = shown_as(store.project, run_id)
    with scratch_of(store.project, reads=outside_reads(origin), limit=max_copy) as scratch:
        notebook = _notebook(store, origin, scratch)
        stage_run = _start_stage_run(store, origin, name) if origin.stage else None
        try:
            replayed = replay(
                scratch,
                notebook,
                name=name,
                folder=_working_folder(scratch, origin),
                python=python,
                variables=_variables(store, origin, stage_run),
                timeout=timeout,
                progress=progress,
            )
            settle(scratch.project, timeout=_SETTLED_WITHIN_S)
            keep_records(scratch, store.project.state, replayed.session)
            kept_trace(store, replayed, stage_run, origin)
        except BaseException:
            _tidy_up(store, scratch, stage_run)
            raise
        found = _compare(store, origin, notebook, replayed, stage_run, scratch, tolerance)
    if replayed.executed:
        document.write(store.project.root / name, redact_notebook(replayed.executed))
    return record(store, origin, replayed, found, tolerance, python, name)


def _notebook(store: Store, origin: Origin, scratch: Scratch) -> Document:
    """Return the recipe as a notebook whose paths into the project lead to the copy."""
    commit = origin.run.snapshot.get("code", {}).get("commit")
    made = lay_out(origin.recipe.pieces, sources=sources_of(store.project.root, origin.notebook, commit))
    then = recorded_root(origin.recipe, store.project.root)  # another clone may lie elsewhere
    cells = [
        {**cell, "source": scratch.led_here(cell["source"].replace(then, str(store.project.root)))}
        for cell in made.cells
        if cell["cell_type"] == "code"
    ]
    if origin.stage:
        for cell in cells:
            if cell["id"] == INJECTED_ID:
                _make_staging_folders(cell["source"], scratch)
        names = [name for name in origin.run.summary.metrics if name.isidentifier()]
        cells.append(probe({name: name for name in names}))
    return document.new(cells, kernel=made.kernel)


def _make_staging_folders(source: str, scratch: Scratch) -> None:
    """Make the folders that a stage's outputs were staged in: the runner had made them."""
    for parameter in read_parameters(source).values():
        text = parameter.default.strip("\"'")
        path = Path(text.rpartition("Path('")[2].rstrip("')") if "Path('" in text else text)
        if path.is_absolute() and path.is_relative_to(scratch.project.state):
            path.parent.mkdir(parents=True, exist_ok=True)


def _working_folder(scratch: Scratch, origin: Origin) -> Path:
    """Return the kernel's folder in the copy, also where the notebook's own is gone by now."""
    folder = scratch.project.root / (origin.folder or "")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _variables(store: Store, origin: Origin, stage_run: str | None) -> dict[str, str]:
    recorded = origin.run.snapshot.get("environment", {}).get("threads") or {}
    variables = {str(name): str(value) for name, value in recorded.items()}
    variables |= {
        "MLFLOW_TRACKING_URI": store.project.tracking_uri,
        guard.VARIABLE: guard.settings(store.project),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if stage_run:
        variables |= {"NBOPS_RUN_ID": stage_run, "NBOPS_STAGE": origin.run.summary.stage or ""}
    return variables


def _fresh(store: Store, origin: Origin, say: Callable[[str], None]) -> Path:
    run_id = origin.run.summary.run_id
    if kernels.LOCK_ARTIFACT not in origin.run.artifacts:
        raise TrackingError(
            "its environment wasn't recorded",
            where=f"run {run_id[:8]}",
            remedy="without --env it runs in the present environment",
        )
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="nbops-") as folder:
        lock = store.download(run_id, kernels.LOCK_ARTIFACT, Path(folder)).read_text(encoding="utf-8")
    recorded = origin.run.snapshot.get("environment", {}).get("python") or ""
    return kernels.fresh(store.project, lock, recorded, say)


def _start_stage_run(store: Store, origin: Origin, notebook: str) -> str:
    run = origin.run.summary
    tags = {REPRODUCES_TAG: run.run_id, "nbops.notebook": notebook}
    return store.start_run(f"{run.name} again", experiment=run.experiment, tags=tags)


def _tidy_up(store: Store, scratch: Scratch, stage_run: str | None) -> None:
    """After an interrupt: what was recorded stays, and no run stays RUNNING."""
    settle(scratch.project, timeout=_SETTLED_WITHIN_S)
    for path in list(scratch.project.sessions.glob("*.jsonl")):
        keep_records(scratch, store.project.state, path.stem)
    if stage_run:
        store.end_run(stage_run, "KILLED")
    close_dead(store)


def _compare(
    store: Store,
    origin: Origin,
    notebook: Document,
    replayed: Replayed,
    stage_run: str | None,
    scratch: Scratch,
    tolerance: Tolerance,
) -> tuple[list[Check], str | None]:
    positions = {name: at for at, name in enumerate(piece_ids(notebook), 1) if name != PROBE_ID}
    cells: dict[int, Cell] = {}
    for cell in replayed.log.cells if replayed.log else ():
        if cell.start.cell_id in positions:
            cells[positions[cell.start.cell_id]] = cell
    again = stage_run or made_run(store, origin, cells, replayed.session)
    evidence = Evidence(
        origin=origin,
        run=store.run(again) if again else None,
        cells=cells,
        store=store,
        project=store.project,
        again=store.project,
        places=_places(store, scratch),
        metrics=probed(replayed.executed),
    )
    found = checks(evidence, tolerance)
    stopped = None if replayed.finished else _stopped(origin, notebook, replayed)
    if stopped:
        found = sorted([*found, stopped], key=lambda check: check.order)
    elif again is None:
        targets = [at for at, piece in enumerate(origin.recipe.pieces, 1) if piece.target]
        at = targets[0] if targets else None
        name = origin.run.summary.name
        found.append(Check("cell", "run", "differs", f"made the run {name}", "made no run", at))
    return found, again


def _places(store: Store, scratch: Scratch) -> Mapping[str, str]:
    return {str(scratch.project.root): "<project>", str(store.project.root): "<project>", str(scratch.folder): "<copy>"}


def _stopped(origin: Origin, notebook: Document, replayed: Replayed) -> Check:
    """Return where and why a replay ended before its last cell."""
    ids = piece_ids(notebook)
    for cell in replayed.executed.cells if replayed.executed else ():
        told: Mapping[str, Any] = cell["metadata"].get("nbops", {})
        if told.get("status") in _FAILED and cell["id"] in ids:
            position = ids.index(cell["id"]) + 1
            piece = origin.recipe.pieces[position - 1] if position <= len(origin.recipe.pieces) else None
            why = str(told.get("reason") or told["status"])
            return Check("cell", "outcome", "differs", "ok", why, position, piece.cell_id if piece else None)
    why = replayed.said or "the kernel ended"
    return Check("cell", "start", "differs", "ran", why.splitlines()[-1] if why else why, 1)
