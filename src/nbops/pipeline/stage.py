"""One stage, executed: its notebook in a kernel of its own, its outputs moved to their places only if all is well.

The notebook as it was keyed is written into the stage's work folder with the parameters injected (inputs as the paths
they lie at, outputs as paths in a staging folder) and executed by papermill through our engine. If it ran through and
left every output and metric that was declared, the outputs are kept in the cache and moved to their places; else
nothing outside the work folder has changed. The executed notebook is kept either way.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from nbops.errors import StageFailed
from nbops.notebook.document import Document, read, write
from nbops.notebook.parameters import inject
from nbops.pipeline.cache import Cache
from nbops.pipeline.hashing import Content
from nbops.pipeline.model import Stage
from nbops.pipeline.objects import put_in_place
from nbops.pipeline.policies import shown_size
from nbops.pipeline.session import KernelSession
from nbops.pipeline.workspace import EXECUTED_NOTEBOOK, Workspace
from nbops.tracking.redaction.notebooks import redact_notebook

RunStatus = Literal["FINISHED", "FAILED", "KILLED"]
SETUP = """
import nbops.tracking.recording.recorder, nbops.tracking.journal.moments, nbops.tracking.journal.sklearn_fits
from nbops.magics import load_ipython_extension as _load
_load(get_ipython())
del nbops, _load
"""  # it names what it loads, so that a warm kernel has it
_METRIC = "(lambda v: __import__('json').dumps(v if v is None or isinstance(v, str) else v.__float__()))({name})"
_NOBODY_ANSWERS = "the cell asks for input, which nobody can give in a pipeline: make it a parameter"
_OUT_OF_MEMORY = {"MemoryError", "_ArrayMemoryError", "ArrowMemoryError", "OutOfMemoryException"}
_NO_MEMORY = re.compile(r"bad_alloc|[Cc]annot allocate memory|[Oo]ut of memory|can't start new thread")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_AT_LINE = re.compile(r"(?:Cell In\[\d+\], line |^-+> )(\d+)", re.MULTILINE)


@dataclass(slots=True)
class StageExecution:
    """One execution of a stage, before, while and after it runs.

    Attributes
    ----------
    stage, key, run_id
        Which stage, the first digits of its key, and the tracked run that it is recorded in.
    inputs
        Where its inputs lie.
    kernel
        The kernel's session, to watch it or to stop it.
    session
        The name under which the kernel's cell records are written.
    status, error
        How it ended; an error if it isn't FINISHED.
    outputs, metrics
        What it made.
    notebook
        The executed notebook.
    seconds
        How long it took.
    timed_out
        Whether it was stopped because it took longer than it may.
    """

    stage: Stage
    key: str
    run_id: str
    inputs: Mapping[str, Path]
    kernel: KernelSession
    session: str
    staged: Mapping[str, Path]
    status: RunStatus = "FAILED"
    error: StageFailed | None = None
    outputs: dict[str, Content] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    notebook: Path | None = None
    seconds: float = 0.0
    timed_out: bool = False

    def time_out(self) -> None:
        """Stop it, because it took longer than it may."""
        self.timed_out = True
        self.kernel.cancel()


def prepare(
    workspace: Workspace,
    stage: Stage,
    key: str,
    *,
    run_id: str,
    inputs: Mapping[str, Path],
    environment: Mapping[str, str] | None = None,
) -> StageExecution:
    """Lay out a stage's work folder and return its execution, ready to be started."""
    project = workspace.project
    folder = workspace.stage_folder(stage.name)
    session = f"{time.strftime('%Y%m%d-%H%M%S')}-{stage.name}-{secrets.token_hex(3)}"
    staged = {}
    for position, (name, path) in enumerate(stage.outputs.items()):
        staged[name] = folder / "outputs" / str(position) / path.name
        staged[name].parent.mkdir(parents=True)
    values = {
        **stage.params,
        **_input_values(stage, inputs),
        **{name: _as_declared(stage, name, path) for name, path in staged.items()},
    }
    write(folder / "input.ipynb", inject(stage.document, values))
    shown = project.relative(workspace.executed(stage.name, key[:8]))
    # Stages share the cores: OpenMP threads that spin while they wait cost a busy machine several times the work itself.
    kernel = KernelSession(
        folder=stage.notebook.parent,
        scratch=folder / "kernel",
        environment={
            "NBOPS_PROJECT": str(project.root),
            "NBOPS_NOTEBOOK": project.relative(stage.notebook),
            "NBOPS_STAGE": stage.name,
            "NBOPS_RUN_ID": run_id,
            "NBOPS_SESSION": session,
            "MLFLOW_TRACKING_URI": project.tracking_uri,
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
            **(environment or {}),
        },
        setup=SETUP + memory_limit(stage),
        preload=project.preload,
        expressions={name: _METRIC.format(name=name) for name in stage.metrics},
        metadata={
            "input_path": project.relative(stage.notebook),
            "output_path": shown,
            "parameters": json.loads(json.dumps(values, default=str)),
        },
    )
    return StageExecution(stage, key, run_id, inputs, kernel, session, staged)


def execute(workspace: Workspace, execution: StageExecution, cache: Cache, kept_as: str = "") -> None:
    """Execute a prepared stage; how it ended is in `execution`, and no failure of the stage is raised.

    The executed notebook of an attempt that fails, and isn't the last, is kept under the key with `kept_as` behind it.
    """
    began = time.monotonic()
    folder = workspace.folder / execution.stage.name
    clock = threading.Timer(execution.stage.policy.timeout or 0, execution.time_out)
    clock.daemon = True
    if execution.stage.policy.timeout is not None:
        clock.start()
    try:
        _run_notebook(execution, folder)
        execution.metrics = _metrics(execution)
        _take_outputs(execution, cache)
        execution.status = "FINISHED"
    except StageFailed as error:
        execution.error = error
    finally:
        clock.cancel()
        executed = folder / EXECUTED_NOTEBOOK
        if executed.exists():
            again = kept_as if execution.error and (execution.timed_out or not execution.kernel.cancelled) else ""
            execution.notebook = workspace.executed(execution.stage.name, execution.key[:8] + again)
            document = read(executed)
            if execution.timed_out:
                _say_timeout(document, execution.stage)
            write(execution.notebook, redact_notebook(document))
            if execution.error:
                execution.error.remedy = f"see {workspace.project.relative(execution.notebook)}"
        execution.seconds = time.monotonic() - began


def _run_notebook(execution: StageExecution, folder: Path) -> None:
    from asyncio import CancelledError

    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines

    from nbops.pipeline.engine import NotebookEngine

    papermill_engines.register("nbops", NotebookEngine)
    executed = folder / EXECUTED_NOTEBOOK
    try:
        done = papermill.execute_notebook(
            # papermill formats paths: braces in one are no placeholders
            _no_placeholders(folder / "input.ipynb"),
            _no_placeholders(executed),
            engine_name="nbops",
            kernel_name=_kernel_name(execution.stage),
            language="python",
            progress_bar=False,
            session=execution.kernel,
        )
    except papermill.PapermillExecutionError as error:
        raise _cell_failed(execution, error) from error
    except (DeadKernelError, CancelledError) as error:
        execution.status = "KILLED"
        if execution.timed_out:
            message = f"took longer than its timeout of {execution.stage.policy.timeout:g} s"
        elif execution.kernel.cancelled:
            message = "cancelled"
        else:
            message = (str(error) or "the kernel died") + _about_memory(execution.stage)
        raise StageFailed(message, where=_place(execution, executed)) from error
    except CellTimeoutError as error:
        raise StageFailed("a cell took too long", where=_place(execution, executed)) from error
    except RuntimeError as error:
        raise StageFailed(f"the kernel didn't start: {error}", where=_place(execution, None)) from error
    except StageFailed as error:
        error.where = _place(execution, None)
        raise
    if done.metadata["nbops"]["status"] != "ok":  # papermill takes sys.exit(0) for success
        raise StageFailed(
            "the cell called sys.exit(), so the cells after it weren't executed: "
            "leave them out with an if, or raise an error",
            where=_place(execution, executed),
        )


def _cell_failed(execution: StageExecution, error: Exception) -> StageFailed:
    source, ename, evalue = (getattr(error, name, "") for name in ("source", "ename", "evalue"))
    traceback = _ANSI.sub("", "\n".join(getattr(error, "traceback", None) or ()))
    found = _AT_LINE.search(traceback)
    lines = str(source).split("\n")
    at = min(int(found[1]), len(lines)) if found else 1
    excerpt = "\n".join(
        f"  {'>' if number == at else ' '} {number:>3} │ {lines[number - 1]}"
        for number in range(max(1, at - 2), min(len(lines), at + 1) + 1)
    )
    count = getattr(error, "exec_count", None)
    limit = execution.stage.policy.resources.memory
    if limit and (ename in _OUT_OF_MEMORY or _NO_MEMORY.search(str(evalue))):
        ename, evalue = (
            "out of memory",
            f"the stage may use {shown_size(limit)} ({ename}: {evalue})".replace(": )", ")"),
        )
    what = _NOBODY_ANSWERS if ename == "StdinNotImplementedError" else f"{ename}: {evalue}".rstrip(": ")
    return StageFailed(f"{what}\n{excerpt}", where=f"{_place(execution, None)}, cell {count}")


def memory_limit(stage: Stage) -> str:
    """Return code that holds a kernel to its stage's memory; empty when the stage has no limit.

    The limit is on data (heap and private mappings), not on the address space: libraries reserve far more addresses
    than they ever use, and files mapped into memory aren't the stage's.
    """
    limit = stage.policy.resources.memory
    if limit is None or sys.platform != "linux":
        return ""
    return f"import resource as _r\n_r.setrlimit(_r.RLIMIT_DATA, ({limit}, _r.getrlimit(_r.RLIMIT_DATA)[1]))\ndel _r\n"


def _about_memory(stage: Stage) -> str:
    limit = stage.policy.resources.memory
    return f"; out of memory, perhaps: the stage may use {shown_size(limit)}" if limit else ""


def _say_timeout(document: Document, stage: Stage) -> None:
    """Have the executed notebook say that it was stopped by the clock, and not by somebody."""
    reason = f"after {stage.policy.timeout:g} s"
    for cell in document.cells:
        if cell["metadata"].get("nbops", {}).get("status") == "cancelled":
            cell["metadata"]["nbops"] = {"status": "timeout", "reason": reason}
    whole = document.content["metadata"].get("nbops", {})
    if whole.get("status") == "cancelled":
        whole.update({"status": "timeout"})


def _metrics(execution: StageExecution) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in execution.stage.metrics:
        if name in execution.kernel.problems:
            problem = execution.kernel.problems[name]
        else:
            value = json.loads(execution.kernel.values.get(name, "null"))
            if isinstance(value, int | float):
                found[name] = float(value)
                continue
            problem = f"it holds {value!r}"
        raise StageFailed(
            f"metric '{name}' isn't a number when the notebook ends: {problem}", where=_place(execution, None)
        )
    return found


def _take_outputs(execution: StageExecution, cache: Cache) -> None:
    """Keep the outputs in the cache and move them to their places, once all of them are there."""
    missing = [name for name, path in execution.staged.items() if not path.exists()]
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise StageFailed(
            f"the notebook ran through, but didn't write its output{'s' * (len(missing) > 1)} {names}: "
            "it must write to the path in the parameter of that name",
            where=_place(execution, None),
        )
    for name, path in execution.staged.items():
        content = cache.hasher.content(path)
        assert content is not None
        cache.objects.keep(path, content)
        execution.outputs[name] = content
    for name, path in execution.staged.items():
        put_in_place(path, execution.stage.outputs[name])


def _place(execution: StageExecution, executed: Path | None) -> str:
    place = f"stage '{execution.stage.name}', {execution.stage.notebook.name}"
    if executed is None or not executed.exists():
        return place
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    ran = [i for i, cell in enumerate(code, 1) if cell["metadata"].get("nbops", {}).get("status") != "not run"]
    return f"{place}, cell {ran[-1]}" if ran else place


def _kernel_name(stage: Stage) -> str:
    from jupyter_client.kernelspec import find_kernel_specs

    # notebooks travel between machines, names of kernels don't: Python's own is always there
    return stage.document.kernel if stage.document.kernel in find_kernel_specs() else "python3"


def _input_values(stage: Stage, inputs: Mapping[str, Path]) -> dict[str, object]:
    """Return what is injected for inputs: a path each, and a list of paths for what a fanned-out stage made."""
    found: dict[str, object] = {
        name: _as_declared(stage, name, path) for name, path in inputs.items() if name in stage.parameters
    }
    return found | {fan: [str(inputs[name]) for name in names] for fan, names in stage.fans.items()}


def _as_declared(stage: Stage, name: str, path: Path) -> object:
    return path if stage.parameters[name].types == {"Path"} else str(path)


def _no_placeholders(path: Path) -> str:
    return str(path).replace("{", "{{").replace("}", "}}")
