"""One stage, executed and recorded, and tried again when it fails as often as its retries say.

Each attempt is a tracked run of its own, tagged with its number, and keeps its executed notebook. Nobody's cancelling
is tried again. Between attempts the stage keeps what it has of the machine, and can be cancelled while it waits.
"""

from __future__ import annotations

import ast
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from nbops.pipeline.cache import Entry
from nbops.pipeline.events import Event, Outcome, StageResult
from nbops.pipeline.keys import Key
from nbops.pipeline.model import Stage
from nbops.pipeline.overrides import settable
from nbops.pipeline.plan import Plan
from nbops.pipeline.stage import StageExecution, execute, prepare
from nbops.pipeline.workspace import RUNNER_TAG, Workspace
from nbops.tracking.store import Store

ATTEMPT_TAG = "nbops.attempt"
ENDED_TAG = "nbops.ended"


@dataclass(slots=True)
class Attempts:
    """The attempts at one stage, made in the thread that calls `make`.

    Attributes
    ----------
    workspace, store, plan
        Where it is executed, recorded, and what its key is made of.
    stage, key, reason
        Which stage, its key, and why it is executed.
    parent
        The parent run.
    made
        What the stages upstream made; a success is added.
    environment
        Environment variables of its kernel.
    tell
        Told what happens.
    """

    workspace: Workspace
    store: Store
    plan: Plan
    stage: Stage
    key: Key
    reason: str
    parent: str | None
    made: dict[str, Entry]
    environment: Mapping[str, str]
    tell: Callable[[Event], None]
    _under_way: StageExecution | None = None
    _cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Stop; from any thread, whether an attempt is under way or not."""
        self._cancelled.set()
        if self._under_way is not None:
            self._under_way.kernel.cancel()

    def make(self) -> StageResult:
        """Execute the stage, as often as it needs and may, and return how that ended."""
        retries = self.stage.policy.retries
        number = 1
        while True:
            result = self._attempt(number)
            if result.outcome not in ("failed", "timeout") or number > retries.times:
                break
            pause = retries.pause(number)
            text = (
                f"attempt {number} of {retries.times + 1} failed, next in {pause:g} s: {result.error.splitlines()[0]}"
            )
            self.tell(Event(self.stage.name, "note", text=text))
            if self._cancelled.wait(pause):
                break
            number += 1
        self.tell(Event(self.stage.name, result.outcome, seconds=result.seconds, text=result.error))
        return result

    def _attempt(self, number: int) -> StageResult:
        stage, policy = self.stage, self.stage.policy
        run_id = self.store.start_run(stage.name, parent=self.parent, tags=self._tags(number))
        inputs = self.plan.input_paths(stage)
        execution = prepare(
            self.workspace, stage, self.key.digest, run_id=run_id, inputs=inputs, environment=self.environment
        )
        execution.kernel.on_cell = lambda cell, cells: self.tell(Event(stage.name, "cell", cell, cells))
        self._under_way = execution
        if self._cancelled.is_set():
            execution.kernel.cancel()
        ending = execution.status
        try:
            self.store.log(run_id, params=_shown_params(stage))
            last = number > policy.retries.times
            execute(self.workspace, execution, self.plan.cache, "" if last else f".attempt{number}")
            self._record(execution)
            ending = execution.status
            return self._result(execution, number)
        finally:
            self.store.end_run(run_id, ending)

    def _result(self, execution: StageExecution, number: int) -> StageResult:
        notebook = self.workspace.project.relative(execution.notebook) if execution.notebook else ""
        if execution.error is None:
            self._keep(execution, notebook)
        return StageResult(
            self.stage.name,
            _outcome(execution),
            seconds=execution.seconds,
            run_id=execution.run_id,
            key=self.key.digest,
            notebook=notebook,
            metrics=execution.metrics,
            error=str(execution.error) if execution.error else "",
            reason=self.reason,
            attempts=number,
        )

    def _keep(self, execution: StageExecution, notebook: str) -> None:
        """Put what was made into the cache, unless what it was keyed on changed meanwhile."""
        stage = self.stage
        entry = Entry(
            key=self.key.digest,
            stage=stage.name,
            run_id=execution.run_id,
            outputs=execution.outputs,
            metrics=execution.metrics,
            notebook=notebook,
            created=time.time(),
            seconds=execution.seconds,
            parts=self.key.parts,
            cells=self.key.cells,
        )
        if self.plan.key(stage, self.made).digest == entry.key:
            self.plan.cache.put(entry, self.plan.facts(stage, self.made))
        else:
            text = "an input or module changed while it ran: it will be executed again next time"
            self.tell(Event(stage.name, "note", text=text))
        self.made[stage.name] = entry

    def _record(self, execution: StageExecution) -> None:
        """Attach to the run what the stage made and was made of."""
        from nbops.tracking.snapshots import attach

        tags = {ENDED_TAG: "timeout"} if execution.timed_out and execution.error else {}
        self.store.log(execution.run_id, metrics=execution.metrics, tags=tags)
        if (self.workspace.project.sessions / f"{execution.session}.jsonl").exists():
            attach(self.store, execution.run_id, session=execution.session, inputs=execution.inputs)
        if execution.notebook:
            # the artifact has one name in all runs, whatever the kept file is called
            text = execution.notebook.read_text(encoding="utf-8")
            self.store.log_text(execution.run_id, text, "nbops/executed.ipynb")

    def _tags(self, number: int) -> dict[str, str]:
        return {
            "nbops.pipeline": self.plan.pipeline.name,
            "nbops.stage": self.stage.name,
            "nbops.notebook": self.workspace.project.relative(self.stage.notebook),
            "nbops.cache_key": self.key.digest,
            ATTEMPT_TAG: str(number),
            RUNNER_TAG: self.workspace.runner,
        }


def _outcome(execution: StageExecution) -> Outcome:
    if execution.error is None:
        return "executed"
    if execution.timed_out:
        return "timeout"
    return "cancelled" if execution.kernel.cancelled else "failed"


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
