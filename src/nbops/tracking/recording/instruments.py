"""What is measured of a cell while it runs: its resources, its outputs, and the flow of its statements.

Each instrument is started and read by itself: one that fails says so in ``.nbops/nbops.log``, and the others go on. They are
started last and read first, so that what they measure is the cell, not the recorder.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from nbops.notebook.names import NOTHING, Names
from nbops.project import Project
from nbops.tracking.recording.outputs import Kept, Shown
from nbops.tracking.recording.records import Output, Step
from nbops.tracking.recording.resources import Meter, Usage
from nbops.tracking.recording.taps import Tap, tap_of
from nbops.tracking.redaction.redact import redact_text

_Guard = Callable[[Callable[[], None]], None]


@dataclass(slots=True)
class Measured:
    """What was measured of a cell: seconds, and bytes."""

    duration: float = 0.0
    cpu: float | None = None
    memory: int | None = None


@dataclass(slots=True)
class Observed:
    """What a cell showed, what its statements did, and the names that they defined, used and changed."""

    outputs: list[Output] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    names: Names = NOTHING


class Instruments:
    """Measures one cell after the other.

    Parameters
    ----------
    shell
        The IPython shell.
    project
        Where outputs are kept.
    guard
        Does a job; its failure isn't raised.
    """

    def __init__(self, shell: Any, project: Project, guard: _Guard) -> None:
        self._shell = shell
        self._project = project
        self._kept_output = project.kept_output
        self._guard = guard
        self._meter = Meter()
        self._tap: Tap = tap_of(shell, guard)
        self._kept = Kept(project.state / "outputs", redact_text, guard)
        self._flow: Any = None
        self._shown: Shown | None = None
        self._usage: Usage | None = None
        self._began = 0.0

    def start(self) -> None:
        """Get ready."""
        self._guard(self._tap.start)
        self._guard(self._start_flow)

    def stop(self) -> None:
        """Leave the shell as it was."""
        self._guard(self._tap.stop)
        if self._flow:
            self._guard(self._flow.stop)
        self._flow = None

    def close(self) -> None:
        """Stop for good."""
        self.stop()
        self._guard(self._meter.close)

    def begin(self, seq: int, source: str, *, hidden: bool = False) -> None:
        """Measure from now on; of a hidden cell no output is looked at."""
        self._shown = None if hidden else Shown(self._kept_output)
        if self._flow:
            self._guard(lambda: self._flow.begin(seq, source))
        if self._shown:
            self._guard(self._begin_outputs)
        self._usage = None
        self._guard(self._begin_usage)
        self._began = time.perf_counter()

    def end(self) -> Measured:
        """Return what was measured since the beginning."""
        measured = Measured(time.perf_counter() - self._began)
        self._guard(lambda: self._end_usage(measured))
        self._guard(self._tap.end)
        if self._flow:
            self._guard(self._flow.ended)
        return measured

    def observed(self) -> Observed:
        """Return what was seen of a cell, and keep what it showed; asked once it has ended, before the next begins."""
        observed = Observed()
        self._guard(lambda: self._end_flow(observed))
        self._guard(lambda: self._keep_outputs(observed))
        return observed

    def _start_flow(self) -> None:
        try:
            flow = import_module("nbops.tracking.flow")
        except ImportError:
            return
        self._flow = flow.Flow(self._shell, self._project)
        self._flow.start()

    def _begin_outputs(self) -> None:
        if self._shown:
            self._tap.begin(self._shown)

    def _begin_usage(self) -> None:
        self._usage = self._meter.read()

    def _end_usage(self, measured: Measured) -> None:
        if self._usage:
            measured.cpu, measured.memory = self._usage.until(self._meter.read())

    def _end_flow(self, observed: Observed) -> None:
        if self._flow:
            observed.steps = self._flow.end()
            observed.names = self._flow.seen()

    def _keep_outputs(self, observed: Observed) -> None:
        shown, self._shown = self._shown, None
        if shown and shown.items:
            observed.outputs = self._kept.keep(shown)
