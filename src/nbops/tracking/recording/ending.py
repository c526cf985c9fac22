"""A cell's last lines, put together from what was measured and seen of it, with nothing secret in them.

Names are those that were seen to be bound, read and changed; where nobody looked, those that the code mentions. Of a
hidden cell's steps only their places in the dataflow are kept: recipes that rest on it say so by the comment that stands
for it.
"""

from __future__ import annotations

import builtins
from collections.abc import Container
from typing import Any

import msgspec

from nbops.notebook.names import NOTHING, Names, names_of
from nbops.tracking.recording.cell import Outcome, RunningCell
from nbops.tracking.recording.instruments import Measured, Observed
from nbops.tracking.recording.records import End, Step, Traced
from nbops.tracking.redaction.redact import redact_text, redact_value


def end_of(cell: RunningCell, outcome: Outcome, measured: Measured) -> End:
    """Return the line that says how a cell ended."""
    return End(
        seq=cell.seq,
        outcome=outcome.outcome,
        duration=measured.duration,
        error=outcome.error,
        result=outcome.result,
        runs=list(cell.runs),
        cpu=None if measured.cpu is None else round(measured.cpu, 6),
        memory=measured.memory,
        traceback=outcome.traceback,
        callers=[caller for caller in cell.runs.values() if caller],
    )


def traced_of(cell: RunningCell, observed: Observed, names: Names, namespace: Container[str]) -> Traced:
    """Return the line that says what a cell was seen to do and to show."""
    hide = _hidden if cell.hidden else _redacted
    return Traced(
        seq=cell.seq,
        outputs=observed.outputs,
        defined=sorted(names.defined),
        used=sorted(name for name in names.used if name in namespace or not hasattr(builtins, name)),
        changed=sorted(names.changed),
        steps=[hide(step) for step in observed.steps],
    )


def names_in(cell: RunningCell, observed: Observed) -> Names:
    """Return the names that a cell defined, used and changed."""
    if cell.hidden:
        return NOTHING
    return names_of(cell.redacted) if observed.names is NOTHING else observed.names


def _redacted(step: Step) -> Step:
    if not (step.reads or step.writes or step.values):
        return step
    return msgspec.structs.replace(
        step,
        reads=[redact_text(path) for path in step.reads],
        writes=[redact_text(path) for path in step.writes],
        values={name: _value(name, value) for name, value in step.values.items()},
    )


def _hidden(step: Step) -> Step:
    return Step(1, 1, needs=step.needs, lasting=step.lasting, failed=step.failed)


def _value(name: str, value: Any) -> Any:
    return redact_value(name, value)
