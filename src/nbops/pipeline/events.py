"""What a pipeline run tells while it runs, and what it returns: plain frozen values, for displays, JSON and tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Outcome = Literal["executed", "cached", "failed", "skipped", "cancelled", "timeout"]
EventKind = Literal["started", "cell", "executed", "cached", "failed", "skipped", "cancelled", "timeout", "note"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    stage
        The stage; empty for the whole run.
    kind
        What happened.
    cell, cells
        For ``cell``: the i-th of n code cells starts.
    seconds
        For an end: how long the stage took.
    text
        More in words: why a stage executes, what was restored, an error.
    """

    stage: str
    kind: EventKind
    cell: int = 0
    cells: int = 0
    seconds: float = 0.0
    text: str = ""


@dataclass(frozen=True, slots=True)
class StageResult:
    """How a stage ended.

    Attributes
    ----------
    name, outcome, seconds
        Which stage, what became of it, and how long it took (0 when it wasn't executed).
    run_id
        The tracked run that made its outputs: this run's child, or an earlier one's when cached.
    key
        Its cache key; empty when it couldn't be told.
    notebook
        The executed notebook, relative to the project's root.
    metrics
        Numbers by name.
    error
        What went wrong, or why it was skipped.
    reason
        Why it was executed.
    attempts
        How often it was executed.
    excused
        Whether it was skipped because a condition said so, which is no failure.
    """

    name: str
    outcome: Outcome
    seconds: float = 0.0
    run_id: str = ""
    key: str = ""
    notebook: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    reason: str = ""
    attempts: int = 1
    excused: bool = False

    @property
    def ok(self) -> bool:
        """Whether what it makes is there, or isn't wanted."""
        return self.outcome in ("executed", "cached") or self.excused


@dataclass(frozen=True, slots=True)
class PipelineResult:
    """How a pipeline run ended.

    Attributes
    ----------
    pipeline
        The pipeline's name.
    stages
        Its stages, in the order of execution.
    run_id
        The parent run; empty when nothing was executed.
    seconds
        From start to end.
    """

    pipeline: str
    stages: tuple[StageResult, ...]
    run_id: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every stage's outputs are there, or aren't wanted."""
        return all(stage.ok for stage in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values for JSON."""
        return {"format": 1, "ok": self.ok, **asdict(self)}


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Whether a stage would be executed now.

    Attributes
    ----------
    name, state
        Which stage; ``cached``, ``stale``, or ``skipped`` by its condition.
    reason
        Why it is stale or skipped.
    run_id, metrics, notebook, key
        What its cache entry says; for a stale stage they are empty.
    """

    name: str
    state: Literal["cached", "stale", "skipped"]
    reason: str = ""
    run_id: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    notebook: str = ""
    key: str = ""
