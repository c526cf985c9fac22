"""What the server tells the browser beyond `nbops.tracking.schema`, and which types TypeScript needs.

Frozen dataclasses of plain values, encoded by ``msgspec.json``. Every type that crosses is named in `CROSSING`, from
which `nbops.lab.typescript` writes ``extension/src/api/schema.ts``.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbops.tracking.recording.traces import Trace
from nbops.tracking.schema import CellBadge, RunDetail, RunSummary


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """The project that a path lies in.

    `root` is the project's root relative to the folder that Jupyter serves; when the project lies around that folder
    it leads upwards, and `served` is that folder's path inside the project.
    """

    name: str
    root: str
    served: str
    experiment: str
    tracked: bool


@dataclass(frozen=True, slots=True)
class RunPage:
    """The newest runs of a project; `more` says that there are older ones."""

    runs: list[RunSummary]
    more: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request was refused, where, and what to do."""

    message: str
    where: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Change:
    """Something new was written in the project at `root`: cell records, runs, or both."""

    root: str
    changed: list[Trace]


CROSSING = (RunSummary, RunDetail, CellBadge, ProjectInfo, RunPage, Problem, Change)
