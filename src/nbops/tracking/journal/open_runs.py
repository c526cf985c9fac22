"""No run leaks open between cells: what is active in MLflow when a cell ends is ended, or set aside until the next one.

A run that its cell leaves active ends with the cell: FAILED when the cell raised, KILLED when it was interrupted, FINISHED
when logging started it by itself. One that ``mlflow.start_run`` started without ``with`` is set aside (off MLflow's stack,
FINISHED in the store) and put back when the next cell begins, unless that cell starts a run itself: then it stays ended,
and a cell that's executed again makes a new run.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from nbops.tracking.recording.cell import Outcome

_INTERRUPTS = ("KeyboardInterrupt", "CancelledError")


class OpenRuns:
    """The runs that are active on the kernel's main thread.

    Parameters
    ----------
    saw
        Told of each run that a cell starts.
    kept
        A run that stays open whatever happens: the pipeline stage's.
    """

    def __init__(self, saw: Callable[[str], None], kept: str | None = None) -> None:
        self._saw = saw
        self._kept = kept
        self._aside: list[Any] = []
        self._put_back: list[Any] = []
        self._explicit: set[str] = set()

    @property
    def aside(self) -> list[str]:
        """Ids of the runs that are set aside between cells."""
        return [run.info.run_id for run in self._aside]

    def watch(self, mlflow: Any) -> None:
        """Know which runs are started by hand, and let a new one take the place of one that was put back."""
        start_run = mlflow.start_run

        @functools.wraps(start_run)
        def start(*args: Any, **kwargs: Any) -> Any:
            nested = kwargs.get("nested", len(args) > 3 and args[3])
            if not nested:
                self.give_way()
            run = start_run(*args, **kwargs)
            self._explicit.add(run.info.run_id)
            self._saw(run.info.run_id)
            return run

        mlflow.start_run = start

    def give_way(self) -> None:
        """Take runs that were put back off again, if nothing else is active: they have ended."""
        stack = _stack()
        if self._put_back and all(any(run is old for old in self._put_back) for run in stack):
            for run in stack:
                self._end(run, "FINISHED")
            stack.clear()
            self._put_back = []

    def before_cell(self) -> None:
        """Put back what was set aside."""
        if self._aside:
            stack = _stack()
            self._put_back, self._aside = self._aside, []
            for run in self._put_back:
                self._set(run, "RUNNING")
            stack[:0] = self._put_back

    def after_cell(self, outcome: Outcome) -> list[str]:
        """End or set aside what is active, and return the ids of what is set aside."""
        stack = _stack() if "mlflow.tracking.fluent" in sys.modules else []
        if stack:
            active, stack[:] = list(stack), []
            for run in reversed(active):
                self._leave(run, outcome)
            self._aside.reverse()
        self._put_back = []
        return self.aside

    def close(self) -> list[str]:
        """Forget what is set aside, which has ended, and return its ids."""
        gone, self._aside = self.aside, []
        return gone

    def _leave(self, run: Any, outcome: Outcome) -> None:
        from mlflow.tracking import fluent

        run_id = run.info.run_id
        if run_id == self._kept:
            return
        was_put_back = any(run is old for old in self._put_back)
        fluent._last_active_run_id.set(run_id)
        if outcome.outcome == "error" and not was_put_back:
            interrupted = (outcome.error or "").startswith(_INTERRUPTS)
            self._end(run, "KILLED" if interrupted else "FAILED")
            return
        self._end(run, "FINISHED")
        if run_id in self._explicit:
            self._aside.append(run)

    def _end(self, run: Any, status: str) -> None:
        from mlflow import MlflowClient

        MlflowClient().set_terminated(run.info.run_id, status)

    def _set(self, run: Any, status: str) -> None:
        from mlflow.entities import RunStatus
        from mlflow.tracking.fluent import _get_store

        _get_store().update_run_info(
            run.info.run_id, run_status=RunStatus.from_string(status), end_time=None, run_name=None
        )


def _stack() -> list[Any]:
    from mlflow.tracking.fluent import _active_run_stack

    stack: list[Any] = _active_run_stack.get()
    return stack
