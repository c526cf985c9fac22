"""A notebook executed by papermill in a copy of the project, watched through its own cell records.

Papermill runs in a process of its own with our engine, so that neither the caller's folder, environment nor event
loop is touched and Ctrl-C ends it tidily. The kernel loads nbops first and records into the copy; which cell it's at
is read from that session's file as it grows. When it has ended, the session and its outputs are moved to the project,
where they can be looked up like any other's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbops.errors import NotebookError, TrackingError
from nbops.notebook import document
from nbops.notebook.document import Document
from nbops.project import Project
from nbops.tracking.recording.records import SessionLog, read
from nbops.tracking.reproduction import kernels
from nbops.tracking.reproduction.scratch import Scratch
from nbops.tracking.reproduction.shown import outputs_folder

SETUP_ID = "nbops-replay-setup"
PROBE_ID = "nbops-replay-probe"
_SETUP = "__import__('nbops.tracking.reproduction.guard', fromlist=['begin']).begin(get_ipython())"
_FOLDER, _PREFIX = "executed", "reproduced-"
_LOOK_EVERY_S = 0.2
_PATIENCE_S = 15.0
_TAIL = 1500

Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Replayed:
    """A finished replay.

    Attributes
    ----------
    session
        The session's name, also of its file in the project.
    log
        Its records; None when the kernel never got to its first cell.
    executed
        The executed notebook; None when papermill left none.
    finished
        Whether all cells ran.
    said
        What papermill said where something other than a cell failed.
    seconds
        How long it took.
    """

    session: str
    log: SessionLog | None
    executed: Document | None
    finished: bool
    said: str
    seconds: float
    cells: dict[str, int] = field(default_factory=dict)


def replay(
    scratch: Scratch,
    notebook: Document,
    *,
    name: str,
    folder: Path,
    python: Path | None = None,
    variables: Mapping[str, str],
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Replayed:
    """Execute a notebook in a copy of the project.

    Parameters
    ----------
    scratch
        The copy.
    notebook
        What to execute.
    name
        The notebook's name in records and runs.
    folder
        The kernel's working directory, in the copy.
    python
        The interpreter of another environment to run the kernel in.
    variables
        Environment variables for the kernel.
    timeout
        The most seconds that a cell may take.
    progress
        Called with how many cells have begun, and how many there are.

    Raises
    ------
    KeyboardInterrupt
        When interrupted: the kernel is gone then.
    """
    began = time.monotonic()
    session = f"{time.strftime('%Y%m%d-%H%M%S')}-replay-{secrets.token_hex(4)}"
    work = scratch.folder / "replay"
    work.mkdir()
    given, executed = work / "input.ipynb", work / "executed.ipynb"
    setup = {"cell_type": "code", "id": SETUP_ID, "source": _SETUP, "metadata": {"tags": ["nbops"]}}
    content = {**notebook.content, "cells": [setup, *notebook.cells]}
    document.write(given, content)
    kernel = kernels.write_kernelspec(work / "jupyter", python) if python else _known_kernel(notebook.kernel)
    environment = {
        **_own_variables(python is not None),
        **variables,
        "NBOPS_PROJECT": str(scratch.project.root),
        "NBOPS_SESSION": session,
        "NBOPS_NOTEBOOK": name,
        "JUPYTER_PATH": os.pathsep.join(filter(None, [str(work / "jupyter"), os.environ.get("JUPYTER_PATH", "")])),
    }
    command = [sys.executable, "-m", "papermill", "--engine", "nbops", "-k", kernel, "--language", "python"]
    command += ["--cwd", str(folder), "--no-progress-bar", "--log-level", "ERROR"]
    command += ["--execution-timeout", str(int(timeout))] if timeout else []
    command += [_no_placeholders(given), _no_placeholders(executed)]
    log = scratch.project.sessions / f"{session}.jsonl"
    said = _run(command, environment, work / "said.txt", log, len(notebook.code_cells), progress)
    made = _read_executed(executed)
    finished = bool(made and made.content["metadata"].get("nbops", {}).get("status") == "ok")
    return Replayed(
        session=session,
        log=read(log) if log.is_file() else None,
        executed=made,
        finished=finished,
        said=scratch.led_back(said),
        seconds=time.monotonic() - began,
    )


def shown_as(project: Project, run_id: str) -> str:
    """Return the name that a run's reproduction has in records and runs: where its executed notebook is kept."""
    return project.relative(project.state / _FOLDER / f"{_PREFIX}{run_id[:8]}.ipynb")


def is_reproduction(notebook: str | None) -> bool:
    """Whether a session or a run of this notebook is a reproduction's."""
    return notebook is not None and f"/{_FOLDER}/{_PREFIX}" in notebook


def keep_records(scratch: Scratch, original: Path, session: str) -> None:
    """Move a replay's session and outputs from the copy to the project, and what isn't in the store yet."""
    source, target = scratch.project.sessions / f"{session}.jsonl", original / "sessions"
    if source.is_file():
        target.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target / source.name)
    kept = outputs_folder(scratch.project)
    if kept.is_dir():
        (original / "outputs").mkdir(parents=True, exist_ok=True)
        for path in kept.iterdir():
            if not (original / "outputs" / path.name).exists():
                path.replace(original / "outputs" / path.name)
    log = scratch.project.state / "nbops.log"
    if log.is_file():
        with (original / "nbops.log").open("ab") as whole:
            whole.write(log.read_bytes())
    journal = scratch.project.state / "journal"
    if (journal / f"{session}.jsonl").exists():  # the store couldn't be reached: it's replayed from here when it can
        (original / "journal").mkdir(exist_ok=True)
        for path in journal.glob(f"{session}*"):
            path.replace(original / "journal" / path.name)


def _run(
    command: list[str],
    environment: Mapping[str, str],
    sink: Path,
    session: Path,
    total: int,
    progress: Progress | None,
) -> str:
    with sink.open("wb") as said:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            seen = -1
            while process.poll() is None:
                time.sleep(_LOOK_EVERY_S)
                count = min(_begun(session), total)
                if progress and count != seen:
                    progress(count, total)
                    seen = count
        finally:
            _end(process)
    return sink.read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs: papermill's engine kills the kernel when it's interrupted."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _begun(session: Path) -> int:
    try:
        return session.read_bytes().count(b'{"type":"start"')
    except OSError:  # not begun yet
        return 0


def _own_variables(other_environment: bool) -> dict[str, str]:
    """Return this process's environment variables without those that stand for the notebook or stage around it."""
    around = ("NBOPS_", "JPY_", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT", "PYDEVD")
    found = {name: value for name, value in os.environ.items() if not name.startswith(around)}
    return kernels.without_foreign(found) if other_environment else found


def _known_kernel(name: str) -> str:
    from jupyter_client.kernelspec import find_kernel_specs

    return name if name in find_kernel_specs() else "python3"


def _read_executed(path: Path) -> Document | None:
    try:
        return document.read(path) if path.is_file() else None
    except NotebookError as error:
        raise TrackingError(f"papermill left no whole notebook: {error}", where=str(path)) from error


def _no_placeholders(path: Path) -> str:
    return str(path).replace("{", "{{").replace("}", "}}")


def probe(expressions: Mapping[str, str]) -> dict[str, Any]:
    """Return a cell that shows, as JSON, what expressions give: the metrics of a stage, which are variables."""
    pairs = ", ".join(f"{name!r}: lambda: {code}" for name, code in expressions.items())
    source = (
        "%%nbops skip\n"
        "def _nbops_probe(found):\n"
        "    import json\n"
        "    values = {}\n"
        "    for name, look in found.items():\n"
        "        try:\n"
        "            values[name] = look().__float__()\n"
        "        except Exception:\n"
        "            values[name] = None\n"
        "    print(json.dumps(values))\n"
        f"_nbops_probe({{{pairs}}})"
    )
    return {"cell_type": "code", "id": PROBE_ID, "source": source, "metadata": {"tags": ["nbops"]}}


def probed(executed: Document | None) -> dict[str, float]:
    """Return the numbers that the probe of an executed notebook showed."""
    for cell in reversed(executed.cells if executed else []):
        if cell["id"] == PROBE_ID:
            texts = ["".join(one.get("text", "")) for one in cell["outputs"] if one.get("name") == "stdout"]
            content = json.loads(texts[-1]) if texts else {}
            return {name: value for name, value in content.items() if isinstance(value, int | float)}
    return {}
