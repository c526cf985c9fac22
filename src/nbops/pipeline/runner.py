"""Run a pipeline: what is cached first, the rest in kernels, independent stages at the same time.

The main thread walks the graph. A stage whose key the cache knows is done at once; so a run with nothing to do starts
no kernel and imports neither MLflow nor papermill. The first stage that must be executed opens the tracking store and
a parent run; each executed stage is a child run. Stages run in threads that each drive one kernel, as many
as the machine has room for, higher priorities first. A failed stage skips what needs it and lets the rest go on, unless
it says that everything is to stop; Ctrl-C stops the kernels and marks their runs KILLED.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nbops.pipeline.alone import alone
from nbops.pipeline.cache import Entry, Lookup
from nbops.pipeline.capacity import Capacity, this_machine, threads
from nbops.pipeline.events import Event, PipelineResult, StageResult
from nbops.pipeline.graph import named, order, select, sorter
from nbops.pipeline.keys import Key
from nbops.pipeline.model import Pipeline, Stage
from nbops.pipeline.objects import ObjectMissing
from nbops.pipeline.overrides import override
from nbops.pipeline.plan import Plan
from nbops.pipeline.schema import publish
from nbops.pipeline.spec import load
from nbops.pipeline.workspace import RUNNER_TAG, Workspace
from nbops.project import Project

if TYPE_CHECKING:
    from nbops.pipeline.attempts import Attempts
    from nbops.pipeline.stage import RunStatus
    from nbops.tracking.store import Store

_NOT_IN_METRICS = re.compile(r"[^\w\-./: ]")  # which MLflow takes in the name of a metric
STAGES_TAG = "nbops.stages"
_LOOK_EVERY_S = 0.5


def run(
    project: Project,
    *,
    targets: Iterable[str] = (),
    params: Mapping[str, object] | None = None,
    force: bool = False,
    stage: str = "",
    inputs: Mapping[str, Path] | None = None,
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
    stage, inputs
        Run this stage by itself, without what is upstream of it; and where its inputs lie, when they lie elsewhere.
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
    if stage:
        pipeline = alone(pipeline, stage, inputs)
    wanted = list(targets)
    chosen = select(pipeline, wanted)
    forced = set(named(pipeline, wanted) or chosen) if force else set()
    with Workspace(project).hold() as workspace:
        publish(project)
        running = _Run(workspace, pipeline, chosen, forced, dict(params or {}), on_event)
        running.go()
    stages = tuple(running.results[name] for name in order(pipeline) if name in running.results)
    return PipelineResult(pipeline.name, stages, running.parent or "", time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A stage that is to be executed as soon as there is room."""

    stage: Stage
    key: Key
    reason: str


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
        self._attempts: dict[str, Attempts] = {}
        self.capacity = Capacity(this_machine())
        self.position = {name: index for index, name in enumerate(pipeline.stages)}
        self.stopped_by = ""

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
        for name in self.chosen:
            self.capacity.check(self.pipeline.stages[name])
        pool = ThreadPoolExecutor(max_workers=self.capacity.machine.cpu, thread_name_prefix="stage")
        status: RunStatus = "FAILED"
        try:
            self._walk(pool)
            if all(result.ok for result in self.results.values()):
                status = "FINISHED"
        except KeyboardInterrupt:
            status = "KILLED"
            raise
        finally:
            for attempts in list(self._attempts.values()):
                attempts.cancel()
            pool.shutdown(wait=True, cancel_futures=True)
            self._end(status)
            self.plan.remember()
            self.workspace.clear()

    def _walk(self, pool: ThreadPoolExecutor) -> None:
        graph = sorter(self.pipeline, self.chosen)
        graph.prepare()
        under_way: dict[Future[StageResult], str] = {}
        waiting: list[_Waiting] = []
        while graph.is_active():
            for name in graph.get_ready():
                one = self._settle(self.pipeline.stages[name])
                if one is None:
                    graph.done(name)
                else:
                    waiting.append(one)
            for one in self._fitting(waiting):
                under_way[self._start(pool, one)] = one.stage.name
            if not under_way:
                continue
            # a wait without end isn't broken off by Ctrl-C when a library (polars) restarts interrupted calls
            done, _ = wait(under_way, timeout=_LOOK_EVERY_S, return_when=FIRST_COMPLETED)
            for future in done:
                name = under_way.pop(future)
                self.capacity.give_back(name)
                self.results[name] = future.result()
                if not self.results[name].ok and self.pipeline.stages[name].policy.on_failure == "stop":
                    self.stopped_by = self.stopped_by or name
                graph.done(name)
            if self.stopped_by:
                for one in waiting:
                    self._skip(one.stage, f"stopped, because {self.stopped_by} failed")
                    graph.done(one.stage.name)
                waiting.clear()

    def _settle(self, stage: Stage) -> _Waiting | None:
        """Settle a stage at once if it is cached or can't run; else say with what it is to be started."""
        if self.stopped_by:
            self._skip(stage, f"stopped, because {self.stopped_by} failed")
            return None
        lacking = sorted(stage.upstream - self.made.keys())
        if lacking:
            self._skip(stage, f"needs {', '.join(lacking)}", excused=all(self.results[one].excused for one in lacking))
            return None
        unmet = self.plan.unmet(stage, self.made)
        if unmet:
            self._skip(stage, unmet, excused=True)
            return None
        key = self.plan.key(stage, self.made)
        if stage.name in self.forced:
            answer = Lookup(None, "forced")
        elif not stage.policy.cache:
            answer = Lookup(None, "it is never cached")
        else:
            answer = self.plan.cache.find(stage, key)
        if answer.entry is not None:
            try:
                self._use(stage, answer.entry)
                return None
            except ObjectMissing as missing:
                answer = Lookup(None, str(missing))
        return _Waiting(stage, key, answer.reason)

    def _skip(self, stage: Stage, text: str, excused: bool = False) -> None:
        self.results[stage.name] = StageResult(stage.name, "skipped", error=text, excused=excused)
        self.tell(Event(stage.name, "skipped", text=text))

    def _fitting(self, waiting: list[_Waiting]) -> Iterator[_Waiting]:
        """Take from those that wait, by priority, what can start now; nobody overtakes one of a higher priority."""
        waiting.sort(key=lambda one: (-one.stage.policy.priority, self.position[one.stage.name]))
        held: int | None = None
        for one in list(waiting):
            if held is not None and one.stage.policy.priority < held:
                return
            if self.capacity.fits(one.stage):
                waiting.remove(one)
                yield one
            else:
                held = one.stage.policy.priority

    def _start(self, pool: ThreadPoolExecutor, one: _Waiting) -> Future[StageResult]:
        self.tell(Event(one.stage.name, "started", text=one.reason))
        self._begin()
        self.capacity.take(one.stage)
        unsettled = [name for name in self.chosen if name not in self.results]
        share = threads(self.pipeline, one.stage, unsettled, self.capacity.machine.cpu)
        from nbops.pipeline.attempts import Attempts

        attempts = self._attempts[one.stage.name] = Attempts(
            self.workspace,
            self.store,
            self.plan,
            one.stage,
            one.key,
            one.reason,
            self.parent,
            self.made,
            self.capacity.environment(one.stage, share),
            self.tell,
        )
        return pool.submit(attempts.make)

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
            f"{_NOT_IN_METRICS.sub('_', name.replace('@', ':'))}.{metric}": value
            for name, result in self.results.items()
            for metric, value in result.metrics.items()
        }
        self.store.log(self.parent, metrics=metrics, tags={STAGES_TAG: json.dumps(stages)})
        self.store.end_run(self.parent, status)
        if status != "FINISHED":
            # stages that had a run, but no thread yet when the end came
            self.workspace.kill_runs(self.store, self.workspace.runner)
        mirroring.start(self.workspace.project)
