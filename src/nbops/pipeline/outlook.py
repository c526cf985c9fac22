"""What a run would do, stage by stage, and why; nothing is changed.

A stage whose key the cache knows is up to date, or would be restored. One that it doesn't know is compared with how it
was made last, fact by fact. What is downstream of a stage that would be executed can't be keyed yet: it may be executed,
depending on what comes out; but what changed in itself is told all the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, Literal

from nbops.pipeline.cache import Entry, Lookup
from nbops.pipeline.explain import Difference, explain
from nbops.pipeline.graph import named, select
from nbops.pipeline.model import Pipeline, Stage
from nbops.pipeline.overrides import override
from nbops.pipeline.plan import Plan
from nbops.pipeline.spec import load
from nbops.project import Project

State = Literal["current", "restore", "execute", "depends", "skip"]
WORDS: Mapping[State, str] = {
    "current": "up to date",
    "restore": "would be restored",
    "execute": "would be executed",
    "depends": "may be executed",
    "skip": "would be skipped",
}


@dataclass(frozen=True, slots=True)
class StageOutlook:
    """What a run would do with a stage.

    Attributes
    ----------
    name, state
        Which stage; whether it is current, would be restored, executed or skipped, or depends on what others make.
    reason
        Why, in a line.
    differences
        What changed since it was made last.
    restores
        Outputs that would come back from the cache.
    last
        How its last execution ended: ``ok``, ``failed``, ``killed``…; empty when there was none.
    run_id, metrics, notebook, key
        What its cache entry says; for a stage that isn't in the cache they are empty.
    """

    name: str
    state: State
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    restores: tuple[str, ...] = ()
    last: str = ""
    run_id: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    notebook: str = ""
    key: str = ""

    @property
    def runs(self) -> bool:
        """Whether it would be executed for sure."""
        return self.state == "execute"

    def as_dict(self) -> dict[str, Any]:
        """Return the outlook as plain values for JSON."""
        told = [{**asdict(one), "text": one.text} for one in self.differences]
        return {**asdict(self), "differences": told}


@dataclass(frozen=True, slots=True)
class Outlook:
    """A pipeline, with its parameters as they will be, and what a run would do with the stages chosen."""

    pipeline: Pipeline
    stages: tuple[StageOutlook, ...]


def outlook(
    project: Project,
    params: Mapping[str, object] | None = None,
    *,
    targets: Iterable[str] = (),
    file: Path | None = None,
    force: bool = False,
) -> Outlook:
    """Return what a run would do.

    Parameters
    ----------
    project
        The project.
    params
        Values for parameters, as for a run.
    targets
        Stages to look at, with what is upstream of them; all when empty.
    file
        The pipeline's file, when it isn't the project's own.
    force
        As for a run: the targets (all stages when there are none) would be executed though they are cached.

    Raises
    ------
    SpecError
        If the pipeline, a target or a parameter can't be meant.
    """
    pipeline = override(load(project, file), params or {})
    wanted = list(targets)
    chosen = select(pipeline, wanted)
    looking = _Looking(Plan(project, pipeline), set(named(pipeline, wanted) or chosen) if force else set())
    found = tuple(looking.at(pipeline.stages[name]) for name in chosen)
    looking.plan.remember()
    return Outlook(pipeline, found)


class _Looking:
    """Looks at stages in order, upstream first."""

    def __init__(self, plan: Plan, forced: set[str]) -> None:
        self.plan = plan
        self.forced = forced
        self.made: dict[str, Entry] = {}
        self.skipped: set[str] = set()

    def at(self, stage: Stage) -> StageOutlook:
        waits = sorted(stage.upstream - self.made.keys())
        unmet = f"needs {', '.join(waits)}" if waits and self.skipped.issuperset(waits) else ""
        unmet = unmet or ("" if waits else self.plan.unmet(stage, self.made))
        if unmet:
            self.skipped.add(stage.name)
            return StageOutlook(stage.name, "skip", unmet, last=last_end(self.plan.project, stage.name))
        if stage.name in self.forced:
            return self._executes(stage, "forced", waits)
        if waits:
            return self._executes(stage, f"depends on what {', '.join(waits)} {_make(waits)}", waits)
        key = self.plan.key(stage, self.made)
        answer = self.plan.cache.find(stage, key) if stage.policy.cache else Lookup(None, "it is never cached")
        entry = answer.entry
        if entry is None:
            return self._executes(stage, answer.reason, [])
        self.made[stage.name] = entry
        return StageOutlook(
            stage.name,
            "restore" if answer.restores else "current",
            f"restores {', '.join(answer.restores)}" if answer.restores else "",
            restores=answer.restores,
            last="ok",
            run_id=entry.run_id,
            metrics=entry.metrics,
            notebook=entry.notebook,
            key=entry.key,
        )

    def _executes(self, stage: Stage, reason: str, waits: list[str]) -> StageOutlook:
        found = self._differences(stage, set(waits))
        state: State = "depends" if waits and stage.name not in self.forced else "execute"
        if found and state == "execute" and reason.startswith("changed: "):
            reason = "; ".join(one.text for one in found)
        elif found and stage.name not in self.forced:
            reason = "; ".join([reason, *(one.text for one in found)])
        return StageOutlook(stage.name, state, reason, found, last=last_end(self.plan.project, stage.name))

    def _differences(self, stage: Stage, waits: set[str]) -> tuple[Difference, ...]:
        entry = self.plan.cache.latest(stage.name)
        before = self.plan.cache.facts(entry) if entry else None
        if before is None:
            return ()
        unknown = {name for name, source in stage.inputs.items() if getattr(source, "stage", None) in waits}
        return explain(before, self.plan.facts(stage, self.made), unknown=unknown)


def last_end(project: Project, stage: str) -> str:
    """Return how a stage's last execution ended, as its executed notebook says; empty when there is none."""
    notebooks = executed_notebooks(project, stage)
    if not notebooks:
        return ""
    try:
        content = json.loads(notebooks[0].read_text(encoding="utf-8"))
        return str(content["metadata"]["nbops"]["status"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""  # a torn notebook of a killed run tells nothing


def executed_notebooks(project: Project, stage: str) -> list[Path]:
    """Return the executed notebooks that are kept of a stage, newest first."""
    name = re.compile(rf"{re.escape(stage)}-(?:[0-9a-f]{{8}}(?:\.attempt\d+)?|killed)\.ipynb")
    found = [
        path for path in (project.state / "executed").glob(f"{escape(stage)}-*.ipynb") if name.fullmatch(path.name)
    ]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _make(names: list[str]) -> str:
    return "makes" if len(names) == 1 else "make"
