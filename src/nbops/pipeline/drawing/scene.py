"""What there is to draw of a pipeline: each stage with its state, the files that go in and come out, and who needs whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nbops.pipeline.model import FileInput, Pipeline, Stage
from nbops.pipeline.outlook import WORDS, Outlook, StageOutlook
from nbops.project import Project

Condition = Literal["current", "restore", "execute", "depends", "skip", "failed"]
MARKS: Mapping[Condition, str] = {
    "current": "✓",
    "restore": "↺",
    "execute": "▸",
    "depends": "?",
    "skip": "–",
    "failed": "✗",
}
MEANINGS: Mapping[Condition, str] = {
    "current": "cached",
    "restore": WORDS["restore"],
    "execute": WORDS["execute"],
    "depends": WORDS["depends"],
    "skip": WORDS["skip"],
    "failed": "failed last time",
}


@dataclass(frozen=True, slots=True)
class Figure:
    """A stage as it is drawn.

    Attributes
    ----------
    name, condition, reason
        Which stage, in what condition, and why.
    needs
        Stages whose outputs it reads.
    reads, makes
        Paths of files that no stage makes, and of its outputs.
    """

    name: str
    condition: Condition
    reason: str
    needs: tuple[str, ...]
    reads: tuple[str, ...]
    makes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Mark and name."""
        return f"{MARKS[self.condition]} {self.name}"

    @property
    def lines(self) -> tuple[str, ...]:
        """What stands in its box: title, files that go in, files that come out."""
        return (self.title, *(f"← {path}" for path in self.reads), *(f"→ {path}" for path in self.makes))


@dataclass(frozen=True, slots=True)
class Scene:
    """A pipeline's name and its stages, upstream first."""

    name: str
    figures: tuple[Figure, ...]

    @property
    def edges(self) -> list[tuple[str, str]]:
        """From whom to whom something goes, among those that are drawn."""
        drawn = {figure.name for figure in self.figures}
        return [(source, figure.name) for figure in self.figures for source in figure.needs if source in drawn]

    @property
    def legend(self) -> list[tuple[Condition, str]]:
        """The conditions that occur, and what they mean."""
        there = {figure.condition for figure in self.figures}
        return [(condition, meaning) for condition, meaning in MEANINGS.items() if condition in there]


def scene(project: Project, found: Outlook) -> Scene:
    """Return what there is to draw."""
    stages = found.pipeline.stages
    figures = tuple(_figure(project, found.pipeline, stages[one.name], one) for one in found.stages)
    return Scene(found.pipeline.name, figures)


def _figure(project: Project, pipeline: Pipeline, stage: Stage, found: StageOutlook) -> Figure:
    failed = found.state in ("execute", "depends") and found.last not in ("", "ok")
    reads = [project.relative(one.path) for one in stage.inputs.values() if isinstance(one, FileInput)]
    return Figure(
        name=stage.name,
        condition="failed" if failed else found.state,
        reason=found.reason,
        needs=tuple(name for name in pipeline.stages if name in stage.upstream),
        reads=tuple(dict.fromkeys(reads)),
        makes=tuple(project.relative(path) for path in stage.outputs.values()),
    )
