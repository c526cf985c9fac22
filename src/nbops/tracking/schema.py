"""What crosses from the kernel and the store to the faces: CLI, magics, REST, browser and widgets.

Frozen dataclasses of plain values, encoded by ``msgspec.json``; the extension's TypeScript types are generated from
them. Times are seconds since the epoch (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

RunStatus = Literal["RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"]
Verdict = Literal["better", "worse", "same", "different"]
CellOutcome = Literal["ok", "error", "killed", "running"]

VERSION_KINDS = ("code", "data", "model", "environment", "experiment")


@dataclass(frozen=True, slots=True)
class Versions:
    """The five versions of a run, each a short digest, or None where the run has none."""

    code: str | None = None
    data: str | None = None
    model: str | None = None
    environment: str | None = None
    experiment: str | None = None


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run as a row of a table.

    `baseline` is the run that its experiment is measured by, `against` how each metric that both have compares with it.
    """

    run_id: str
    name: str
    experiment: str
    status: RunStatus
    started: float
    ended: float | None = None
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    versions: Versions = field(default_factory=Versions)
    notebook: str | None = None
    cell_id: str | None = None
    stage: str | None = None
    parent: str | None = None
    baseline: str | None = None
    against: dict[str, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A value of a metric at one step."""

    step: int
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A dataset that a run read: where from, how much, its content's fingerprint, and DVC's or Delta's version of it."""

    name: str
    source: str
    digest: str
    rows: int | None = None
    columns: dict[str, str] = field(default_factory=dict)
    version: str | None = None


@dataclass(frozen=True, slots=True)
class RunDetail:
    """A run with all that is known of it."""

    summary: RunSummary
    tags: dict[str, str] = field(default_factory=dict)
    datasets: list[DatasetVersion] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    snapshot: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CellBadge:
    """The last execution of a cell: the version of its code, how it ended, and the runs that it made."""

    cell_id: str
    version: str
    outcome: CellOutcome
    started: float
    duration: float | None = None
    count: int = 1
    runs: list[str] = field(default_factory=list)
