"""`Flow`: traces, statement by statement, what each one read and wrote.

IPython compiles every top-level statement of a cell by itself and awaits `shell.run_code` for each. That attribute is
wrapped: before a statement everything that its names lead to is looked at; after it, what changed is written to the
ledger. The statement needs whoever wrote last what it saw. What a cell's last statement did is looked at when the cell's
steps are asked for, which may be when the kernel has replied. What goes wrong in here ends in the log, and the statement
then needs everything before it.
"""

from __future__ import annotations

import linecache
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from nbops.notebook.names import NOTHING, Names
from nbops.project import Project
from nbops.tracking import audit
from nbops.tracking.flow.files import Files
from nbops.tracking.flow.ledger import At, Ledger
from nbops.tracking.flow.namespace import is_large
from nbops.tracking.flow.plan import Plan, plan_of
from nbops.tracking.flow.settings import Randomness
from nbops.tracking.flow.statements import Span, spans
from nbops.tracking.flow.step import RunningStep
from nbops.tracking.recording.records import Step

_CACHED = 64


class Flow:
    """Traces the statements of one kernel.

    Parameters
    ----------
    shell
        The kernel's IPython shell.
    project
        Where files lie that count as the notebook's.
    on_failure
        Called within the handling of an exception that tracing raised.

    Attributes
    ----------
    seconds
        Time spent on tracing since `start`.
    """

    def __init__(self, shell: Any, project: Project, on_failure: Callable[[], None] | None = None) -> None:
        self.shell = shell
        self.project = project
        self.seconds = 0.0
        self.ledger = Ledger()
        self.files = Files(project.state, project.root)
        self.randomness = Randomness()
        self.extra_roots: list[Any] = []
        self.settings: dict[str, Any] | None = None  # as the last statement left them
        self.looked = False  # at random states, since the last statement that changes them unseen
        self._large: set[str] | None = None
        self._on_failure = on_failure
        self._wrapped: Callable[..., Any] | None = None
        self._plans: OrderedDict[str, list[tuple[Span, Plan]]] = OrderedDict()
        self._clear()

    def start(self) -> None:
        """Begin to trace."""
        if self._wrapped is not None:
            return
        original = self.shell.run_code

        async def run_code(code_obj: Any, result: Any = None, *, async_: bool = False) -> Any:
            step = self._enter(code_obj)
            if step is None:
                return await original(code_obj, result, async_=async_)
            failed: Any = True
            try:
                failed = await original(code_obj, result, async_=async_)
            finally:
                self._leave(step, bool(failed))
            return failed

        self._wrapped = run_code
        self.shell.run_code = run_code
        audit.listen(self._on_event, self._failed)
        self._guarded(self.randomness.look)

    def stop(self) -> None:
        """Trace no more."""
        if self._wrapped is None:
            return
        audit.listen(None)
        if self.shell.__dict__.get("run_code") is self._wrapped:
            del self.shell.run_code
        self._wrapped = None

    def begin(self, seq: int, source: str) -> None:
        """Begin a cell."""
        self._settle()
        self._clear()
        self._seq, self._source, self._thread = seq, source, threading.get_ident()
        self._tracing = True

    def ended(self) -> None:
        """Take note that the cell has ended: what a front end has executed silently from now on isn't its doing."""
        self._tracing = False

    def end(self) -> list[Step]:
        """Return what the cell's statements read and wrote; statements that weren't executed are left out at its end."""
        if self._step is not None:  # the recorder asks while a statement still runs, at the session's end
            self._leave(self._step, failed=False)
        self._settle()
        self._tracing = False
        if not self._steps:
            return []
        found = []
        for index in range(max(self._steps) + 1):
            span = self._body[index][0] if index < len(self._body) else None
            first, last = (span.first, span.last) if span else (1, self._source.count("\n") + 1)
            found.append(self._steps.get(index) or Step(first, last))
        return found

    def seen(self) -> Names:
        """Return the names that the cell defined, used and changed, as it was seen to do."""
        return (
            Names(frozenset(self._defined), frozenset(self._used), frozenset(self._changed)) if self._steps else NOTHING
        )

    def large(self) -> Iterable[str]:
        """Return the names of values that are too large to be held beyond what the user does."""
        if self._large is None:
            self._large = set()
            self.measure(self.shell.user_ns)
        return self._large

    def measure(self, names: Iterable[str]) -> None:
        """Find out which of some names have large values now."""
        if self._large is not None:
            namespace, names = self.shell.user_ns, list(names)
            self._large.difference_update(names)
            self._large.update(name for name in names if is_large(namespace.get(name)))

    def _clear(self) -> None:
        self._seq, self._source, self._thread = 0, "", 0
        self._tracing = False
        self._body: list[tuple[Span, Plan]] = []
        self._parsed = False
        self._index = -1
        self._step: RunningStep | None = None
        self._left: tuple[RunningStep, bool] | None = None  # a statement that was executed, and whether it failed
        self._steps: dict[int, Step] = {}
        self._defined: set[str] = set()
        self._used: set[str] = set()
        self._changed: set[str] = set()

    def _enter(self, code: Any) -> RunningStep | None:
        """Look at what a statement may read; None for one within another, whose effects are the outer one's."""
        if self._step is not None or threading.get_ident() != self._thread:
            return None
        self._settle()
        if not self._tracing:
            return None
        began = time.perf_counter()
        step: RunningStep | None = None
        try:
            self._index = self._place(code)
            known = self._index < len(self._body)
            span, plan = self._body[self._index] if known else (None, Plan(everything=True))
            step = RunningStep(self, (self._seq, self._index), span, plan, code)
            self._step = step
            step.before()
        except Exception:  # noqa: BLE001  # the law: tracking never raises into a user's cell
            self._failed()
            if step is not None:
                step.broken = True
        self.seconds += time.perf_counter() - began
        return step

    def _leave(self, step: RunningStep, failed: bool) -> None:
        """Take note that a statement was executed; what it did is looked at at once, unless it's the cell's last."""
        if self._step is not step:
            return
        self._step, self._left = None, (step, failed)
        if failed or step.plan.counts_references or self._index < len(self._body) - 1:
            self._settle()

    def _settle(self) -> None:
        """Write down what the statement did that was executed last, if that isn't done yet."""
        if self._left is None:
            return
        (step, failed), self._left = self._left, None
        began = time.perf_counter()
        try:
            record = step.after(failed)
            self._defined |= step.defined
            self._used |= step.used - self._defined
            self._changed |= step.changed
        except Exception:  # noqa: BLE001
            self._failed()
            record = step.given_up(failed)
        self._steps[step.at[1]] = record
        step.release()
        self.seconds += time.perf_counter() - began

    def _place(self, code: Any) -> int:
        """Return which statement of the cell this is: the next one, unless its lines say another."""
        if not self._parsed:
            self._parsed = True
            self._body = self._parse(code)
        following = self._index + 1
        line = next((at[0] for at in code.co_positions() if at[0]), None)
        if line is None or not self._body:
            return following
        for index in range(following, len(self._body)):
            node = self._body[index][0].node
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            if first <= line <= (node.end_lineno or first):
                return index
        return min(following, max(len(self._body) - 1, 0)) if following >= len(self._body) else following

    def _parse(self, code: Any) -> list[tuple[Span, Plan]]:
        """Return the cell's statements; IPython keeps the text that it made of the cell for tracebacks."""
        found = self._plans.get(self._source)
        if found is None:
            entry = linecache.cache.get(code.co_filename)
            lines = entry[2] if entry is not None and len(entry) > 2 else []
            transformed = "".join(lines) if lines else self.shell.transform_cell(self._source)
            found = [(span, plan_of(span.node)) for span in spans(self._source, transformed)]
            self._plans[self._source] = found
            if len(self._plans) > _CACHED:
                self._plans.popitem(last=False)
        return found

    def _on_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        step = self._step
        if step is not None:
            step.on_event(event, arguments)

    def _guarded(self, job: Callable[[], Any]) -> None:
        try:
            job()
        except Exception:  # noqa: BLE001
            self._failed()

    def _failed(self) -> None:
        self.settings, self.looked = None, False
        if self._on_failure is not None:
            self._on_failure()
        else:
            from nbops.tracking.failures import log_failure

            log_failure(self.project)


__all__ = ["At", "Flow"]
