"""What a comparison is made of: frozen plain values, for faces to print and to send as JSON.

None stands for "not there"; `before` is always the older or first run's side.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nbops.tracking.comparison.significance import PairedTest
from nbops.tracking.schema import Verdict, Versions

CellKind = Literal["same", "reformatted", "edited", "moved", "moved and edited", "added", "removed"]
PackageKind = Literal["added", "removed", "upgraded", "downgraded", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs."""

    name: str
    before: str | float | None
    after: str | float | None


@dataclass(frozen=True, slots=True)
class MetricChange:
    """A metric that differs: by how much, and whether that's better; `test` says whether it may be chance."""

    name: str
    before: float | None
    after: float | None
    verdict: Verdict | None = None
    test: PairedTest | None = None


@dataclass(frozen=True, slots=True)
class CellChange:
    """A cell: what became of it, where it stood (from 1), and the lines that differ as a unified diff."""

    kind: CellKind
    before: int | None
    after: int | None
    cell_id: str | None = None
    diff: str = ""


@dataclass(frozen=True, slots=True)
class DataChange:
    """A dataset: what of it differs.

    Attributes
    ----------
    kind
        ``changed`` stands for another content under the same name.
    digests, rows, versions
        Before and after; a version is DVC's or Delta's own.
    added, removed, retyped
        Columns; a retyped one with both types.
    reordered
        Whether the same columns stand in another order.
    values
        By column, in how many rows its values differ; None where a content is gone, and `note` says which.
    """

    source: str
    kind: Literal["added", "removed", "changed"]
    digests: tuple[str | None, str | None]
    rows: tuple[int | None, int | None] = (None, None)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    retyped: list[Change] = field(default_factory=list)
    reordered: bool = False
    values: dict[str, int | None] | None = None
    versions: tuple[str | None, str | None] = (None, None)
    note: str = ""


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A distribution, or Python or the system in brackets; a version may be a direct URL."""

    name: str
    kind: PackageKind
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A fitted model, by its variable's name: kind, digest, bytes and what else is recorded, before and after."""

    name: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class RunLabel:
    """Which run it is."""

    run_id: str
    name: str
    experiment: str
    status: str
    started: float
    versions: Versions


@dataclass(frozen=True, slots=True)
class Comparison:
    """In what a run, `after`, differs from another, `before`."""

    before: RunLabel
    after: RunLabel
    versions: list[Change]
    params: list[Change]
    metrics: list[MetricChange]
    data: list[DataChange]
    environment: list[PackageChange]
    models: list[ModelChange]
    code: list[CellChange]
    modules: list[Change] = field(default_factory=list)
    tests: list[PairedTest] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether nothing differs but names and times."""
        changed = [cell for cell in self.code if cell.kind != "same"]
        parts = (
            self.versions,
            self.params,
            self.metrics,
            self.data,
            self.environment,
            self.models,
            self.modules,
            changed,
        )
        return not any(parts)
