"""What would be executed: keys of stages, and what the cache knows of them.

A stage's key needs the contents of its inputs, and an input made by another stage is known by what that stage made,
so stages are keyed upstream first. Nothing here imports MLflow, papermill or pandas: most runs have nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from nbops.errors import PipelineError
from nbops.pipeline.cache import Cache, Entry, Lookup
from nbops.pipeline.events import StageStatus
from nbops.pipeline.facts import Facts, gather
from nbops.pipeline.graph import select
from nbops.pipeline.hashing import Content
from nbops.pipeline.keys import Key, read_code, stage_key
from nbops.pipeline.links import configured
from nbops.pipeline.model import FileInput, Pipeline, Stage
from nbops.pipeline.overrides import override
from nbops.pipeline.spec import load
from nbops.pipeline.versions import Versions
from nbops.project import Project


class Plan:
    """Keys the stages of a pipeline against a cache.

    Parameters
    ----------
    project, pipeline
        What is to be run, with parameters as they will be.
    """

    def __init__(self, project: Project, pipeline: Pipeline) -> None:
        self.project = project
        self.pipeline = pipeline
        self.cache = Cache(project.state / "cache", configured(project))
        self._versions = Versions(project.state / "cache" / "versions.json")

    def key(self, stage: Stage, made: Mapping[str, Entry]) -> Key:
        """Return a stage's key; `made` holds what each stage upstream of it made.

        Raises
        ------
        PipelineError
            If an input has gone since the pipeline was read.
        """
        inputs = {name: content.sha256 for name, content in self.contents(stage, made).items()}
        code = read_code(stage.document, stage.notebook.parent, self.project.root)
        return stage_key(stage, code, inputs, self._versions.of(code.imports.external))

    def unmet(self, stage: Stage, made: Mapping[str, Entry]) -> str:
        """Return why a stage's condition keeps it from being run, given what others made; empty when it doesn't."""
        if stage.condition is None:
            return ""
        return stage.condition.unmet({name: made[name].metrics for name in stage.condition.stages})

    def facts(self, stage: Stage, made: Mapping[str, Entry]) -> Facts:
        """Return what a stage's key is made of, spelled out; without the inputs that `made` doesn't tell."""
        code = read_code(stage.document, stage.notebook.parent, self.project.root)
        return gather(
            stage,
            root=self.project.root,
            contents=self.contents(stage, made),
            paths=self.input_paths(stage),
            versions=self._versions.of(code.imports.external),
        )

    def contents(self, stage: Stage, made: Mapping[str, Entry]) -> dict[str, Content]:
        """Return what a stage's inputs hold, without those that come from a stage which isn't in `made`.

        Raises
        ------
        PipelineError
            If an input has gone since the pipeline was read.
        """
        found: dict[str, Content] = {}
        for name, source in stage.inputs.items():
            if isinstance(source, FileInput):
                content = self.cache.hasher.content(source.path)
                if content is None:
                    raise PipelineError(
                        f"input '{name}' isn't there: {self.project.relative(source.path)}",
                        where=self.pipeline.where(source.line),
                    )
                found[name] = content
            elif source.stage in made:
                found[name] = made[source.stage].outputs[source.output]
        return found

    def input_paths(self, stage: Stage) -> dict[str, Path]:
        """Return where a stage's inputs lie."""
        return {
            name: source.path
            if isinstance(source, FileInput)
            else self.pipeline.stages[source.stage].outputs[source.output]
            for name, source in stage.inputs.items()
        }

    def remember(self) -> None:
        """Save what was learnt about files and versions for next time."""
        self.cache.hasher.save()
        self._versions.save()


def status(
    project: Project,
    params: Mapping[str, object] | None = None,
    *,
    targets: Iterable[str] = (),
    file: Path | None = None,
) -> list[StageStatus]:
    """Return stage by stage, in order, whether it would be executed and why.

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
    """
    pipeline = override(load(project, file), params or {})
    plan = Plan(project, pipeline)
    made: dict[str, Entry] = {}
    skipped: set[str] = set()
    found: list[StageStatus] = []
    for name in select(pipeline, targets):
        stage = pipeline.stages[name]
        waits = sorted(stage.upstream - made.keys())
        if waits and all(one in skipped for one in waits):
            skipped.add(name)
            found.append(StageStatus(name, "skipped", f"needs {', '.join(waits)}"))
            continue
        if waits:
            found.append(StageStatus(name, "stale", f"waits for {', '.join(waits)}"))
            continue
        unmet = plan.unmet(stage, made)
        if unmet:
            skipped.add(name)
            found.append(StageStatus(name, "skipped", unmet))
            continue
        key = plan.key(stage, made)
        answer = plan.cache.find(stage, key) if stage.policy.cache else Lookup(None, "it is never cached")
        if answer.entry is None:
            found.append(StageStatus(name, "stale", answer.reason))
            continue
        entry = made[name] = answer.entry
        found.append(StageStatus(name, "cached", "", entry.run_id, entry.metrics, entry.notebook, key.digest))
    return found
