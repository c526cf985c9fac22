"""Run a pipeline: what is cached first, the rest in kernels, independent stages at the same time.

The main thread walks the graph. A stage whose key the cache knows is done at once; so a run with nothing to do starts
no kernel and imports neither MLflow nor papermill. The first stage that must be executed opens the tracking store and
a parent run; each executed stage is a child run. Stages run in threads that each drive one kernel. A failed stage
skips what needs it and lets the rest go on; Ctrl-C stops the kernels and marks their runs KILLED.
"""

from __future__ import annotations

import ast
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nbops.pipeline.cache import Entry, Lookup
from nbops.pipeline.events import Event, PipelineResult, StageResult
from nbops.pipeline.graph import order, select, sorter
from nbops.pipeline.keys import Key
from nbops.pipeline.model import Pipeline, Stage
from nbops.pipeline.objects import ObjectMissing
from nbops.pipeline.overrides import override, settable
from nbops.pipeline.plan import Plan
from nbops.pipeline.spec import load
from nbops.pipeline.stage import RunStatus, StageExecution, execute, prepare
from nbops.pipeline.workspace import RUNNER_TAG, Workspace
from nbops.project import Project

if TYPE_CHECKING:
    from nbops.tracking.store import Store

STAGES_TAG = "nbops.stages"


def run(
    project: Project,
    *,
    targets: Iterable[str] = (),
    params: Mapping[str, object] | None = None,
    force: bool = False,
    on_event: Callable[[Event], None] | None = None,
    file: Path | None = None,
) -> PipelineResult:
    """Run a project's pipeline and return what became of each stage.

    Parameters
    ----------
    project
        The project.
    targets
        Stages that are wanted, with what is upstream of them; all when empty.
    params
        Values for parameters: ``{"cut_month": 8}`` or ``{"features.cut_month": 8}``.
    force
        Execute the targets (all stages when there are none) though they are cached.
    on_event
        Told what happens, one call at a time, from several threads.
    file
        The pipeline's file, when it isn't the project's own.

    Raises
    ------
    SpecError
        If the pipeline, a target or a parameter can't be meant.
    PipelineBusy
        If another run holds the project.
    KeyboardInterrupt
        If it was interrupted; kernels are stopped and runs are KILLED by then.
    """
    began = time.monotonic()
    pipeline = override(load(project, file), params or {})
    wanted = list(targets)
    chosen = select(pipeline, wanted)
    forced = set(wanted or chosen) if force else set()
    with Workspace(project).hold() as workspace:
        running = _Run(workspace, pipeline, chosen, forced, dict(params or {}), on_event)
        running.go()
    stages = tuple(running.results[name] for name in order(pipeline) if name in running.results)
    return PipelineResult(pipeline.name, stages, running.parent or "", time.monotonic() - began)


_LOOK_EVERY_S = 0.5


class _Run:
    """The state of one run."""

    def __init__(
        self,
        workspace: Workspace,
        pipeline: Pipeline,
        chosen: list[str],
        forced: set[str],
        params: dict[str, object],
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self.workspace = workspace
        self.pipeline = pipeline
        self.chosen = chosen
        self.forced = forced
        self.params = params
        self.plan = Plan(workspace.project, pipeline)
        self.results: dict[str, StageResult] = {}
        self.made: dict[str, Entry] = {}
        self.parent: str | None = None
        self._on_event = on_event
        self._telling = threading.Lock()
        self._executions: dict[str, StageExecution] = {}

    @cached_property
    def store(self) -> Store:
        from nbops.tracking.store import Store

        return Store(self.workspace.project, say=lambda text: self.tell(Event("", "note", text=text)))

    def tell(self, event: Event) -> None:
        if self._on_event:
            with self._telling:
                self._on_event(event)

    def go(self) -> None:
        if self.workspace.stale():
            killed = self.workspace.clean(self.store)
            text = "cleared away what a run that died had left"
            self.tell(Event("", "note", text=f"{text}; {len(killed)} of its runs are KILLED now" if killed else text))
        pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="stage")
        status: RunStatus = "FAILED"
        try:
            self._walk(pool)
            if all(result.outcome in ("executed", "cached") for result in self.results.values()):
                status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            for execution in list(self._executions.values()):
                execution.kernel.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            self._end(status)
            self.plan.remember()
            self.workspace.clear()

    def _walk(self, pool: ThreadPoolExecutor) -> None:
        graph = sorter(self.pipeline, self.chosen)
        graph.prepare()
        under_way: dict[Future[StageResult], str] = {}
        while graph.is_active():
            for name in graph.get_ready():
                future = self._start(pool, self.pipeline.stages[name])
                if future is None:
                    graph.done(name)
                else:
                    under_way[future] = name
            if not under_way:
                continue
            # a wait without end isn't broken off by Ctrl-C when a library (polars) restarts interrupted calls
            done, _ = wait(under_way, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                name = under_way.pop(future)
                self.results[name] = future.result()
                graph.done(name)

    def _start(self, pool: ThreadPoolExecutor, stage: Stage) -> Future[StageResult] | None:
        """Settle a stage at once if it is cached or can't run; else start it."""
        lacking = sorted(stage.upstream - self.made.keys())
        if lacking:
            text = f"needs {', '.join(lacking)}"
            self.results[stage.name] = StageResult(stage.name, "skipped", error=text)
            self.tell(Event(stage.name, "skipped", text=text))
            return None
        key = self.plan.key(stage, self.made)
        answer = Lookup(None, "forced") if stage.name in self.forced else self.plan.cache.find(stage, key)
        if answer.entry is not None:
            try:
                self._use(stage, answer.entry)
                return None
            except ObjectMissing as missing:
                answer = Lookup(None, str(missing))
        self.tell(Event(stage.name, "started", text=answer.reason))
        self._begin()
        run_id = self.store.start_run(stage.name, parent=self.parent, tags=self._tags(stage, key))
        inputs = self.plan.input_paths(stage)
        execution = prepare(self.workspace, stage, key.digest, run_id=run_id, inputs=inputs)
        execution.kernel.on_cell = lambda cell, cells: self.tell(Event(stage.name, "cell", cell, cells))
        self._executions[stage.name] = execution
        return pool.submit(self._execute, execution, key, answer.reason)

    def _use(self, stage: Stage, entry: Entry) -> None:
        restored = self.plan.cache.restore(stage, entry)
        self.plan.cache.mark_latest(entry)
        self.made[stage.name] = entry
        self.results[stage.name] = StageResult(
            stage.name,
            "cached",
            run_id=entry.run_id,
            key=entry.key,
            notebook=entry.notebook,
            metrics=entry.metrics,
        )
        text = f"restored {', '.join(restored)}" if restored else ""
        self.tell(Event(stage.name, "cached", text=text))

    def _begin(self) -> None:
        """Make the parent run, once there is something to execute."""
        if self.parent is None:
            # the folder is there before any run: whoever finds it knows whose runs to look for
            self.workspace.folder.mkdir(parents=True, exist_ok=True)
            tags = {"nbops.pipeline": self.pipeline.name, RUNNER_TAG: self.workspace.runner}
            self.parent = self.store.start_run(self.pipeline.name, tags=tags)
            if self.params:
                self.store.log(self.parent, params=self.params)

    def _execute(self, execution: StageExecution, key: Key, reason: str) -> StageResult:
        """Execute a stage in this thread and record how it ended."""
        ending: RunStatus = "FAILED"
        try:
            name, run_id = execution.stage.name, execution.run_id
            self.store.log(run_id, params=_shown_params(execution.stage))
            execute(self.workspace, execution, self.plan.cache)
            self._record(execution)
            ending = execution.status
            notebook = self.workspace.project.relative(execution.notebook) if execution.notebook else ""
            if execution.error is None:
                entry = Entry(
                    key=key.digest,
                    stage=name,
                    run_id=run_id,
                    outputs=execution.outputs,
                    metrics=execution.metrics,
                    notebook=notebook,
                    created=time.time(),
                    seconds=execution.seconds,
                    parts=key.parts,
                    cells=key.cells,
                )
                self._keep(execution.stage, entry)
            cancelled = execution.kernel.cancelled and execution.error is not None
            outcome = "cancelled" if cancelled else "failed" if execution.error else "executed"
            error = str(execution.error) if execution.error else ""
            self.tell(Event(name, outcome, seconds=execution.seconds, text=error))  # type: ignore[arg-type]
            return StageResult(
                name,
                outcome,  # type: ignore[arg-type]
                seconds=execution.seconds,
                run_id=run_id,
                key=key.digest,
                notebook=notebook,
                metrics=execution.metrics,
                error=error,
                reason=reason,
            )
        finally:
            self.store.end_run(execution.run_id, ending)

    def _keep(self, stage: Stage, entry: Entry) -> None:
        """Put an entry into the cache, unless what it was keyed on changed meanwhile."""
        if self.plan.key(stage, self.made).digest == entry.key:
            self.plan.cache.put(entry, self.plan.facts(stage, self.made))
        else:
            text = "an input or module changed while it ran: it will be executed again next time"
            self.tell(Event(stage.name, "note", text=text))
        self.made[stage.name] = entry

    def _record(self, execution: StageExecution) -> None:
        """Attach to the run what the stage made and was made of."""
        from nbops.tracking.snapshots import attach

        self.store.log(execution.run_id, metrics=execution.metrics)
        if (self.workspace.project.sessions / f"{execution.session}.jsonl").exists():
            attach(self.store, execution.run_id, session=execution.session, inputs=execution.inputs)
        if execution.notebook:
            # the artifact has one name in all runs, whatever the kept file is called
            text = execution.notebook.read_text(encoding="utf-8")
            self.store.log_text(execution.run_id, text, "nbops/executed.ipynb")

    def _tags(self, stage: Stage, key: Key) -> dict[str, str]:
        return {
            "nbops.pipeline": self.pipeline.name,
            "nbops.stage": stage.name,
            "nbops.notebook": self.workspace.project.relative(stage.notebook),
            "nbops.cache_key": key.digest,
            RUNNER_TAG: self.workspace.runner,
        }

    def _end(self, status: RunStatus) -> None:
        if self.parent is None:
            return
        from nbops.tracking.mirrors import mirroring

        stages = {
            name: {"run_id": result.run_id, "key": result.key[:16], "cached": result.outcome == "cached"}
            for name, result in self.results.items()
            if result.run_id
        }
        metrics = {
            f"{name}.{metric}": value
            for name, result in self.results.items()
            for metric, value in result.metrics.items()
        }
        self.store.log(self.parent, metrics=metrics, tags={STAGES_TAG: json.dumps(stages)})
        self.store.end_run(self.parent, status)
        if status != "FINISHED":
            # stages that had a run, but no thread yet when the end came
            self.workspace.kill_runs(self.store, self.workspace.runner)
        mirroring.start(self.workspace.project)


def _shown_params(stage: Stage) -> dict[str, object]:
    """Return the values of all parameters of a stage: those given, and the defaults of the others."""
    shown: dict[str, object] = {}
    for name, parameter in settable(stage).items():
        if name in stage.params:
            shown[name] = stage.params[name]
            continue
        try:
            shown[name] = ast.literal_eval(parameter.default)
        except ValueError:
            shown[name] = parameter.default
    return shown
