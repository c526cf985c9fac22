"""The order of stages: whoever makes an input goes first.

The graph isn't written down anywhere; it follows from inputs that name other stages' outputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter

from nbops.errors import SpecError, nearest
from nbops.pipeline.model import Pipeline, StageInput


def sorter(pipeline: Pipeline, stages: Iterable[str] | None = None) -> TopologicalSorter[str]:
    """Return a sorter over the pipeline's stages (or some of them), to be prepared and driven by the caller."""
    chosen = pipeline.stages.keys() if stages is None else set(stages)
    return TopologicalSorter(
        {name: stage.upstream & set(chosen) for name, stage in pipeline.stages.items() if name in chosen}
    )


def order(pipeline: Pipeline) -> list[str]:
    """Return the stages' names, upstream first.

    Raises
    ------
    SpecError
        If stages wait for each other in a circle.
    """
    try:
        return list(sorter(pipeline).static_order())
    except CycleError as error:
        circle: list[str] = error.args[1]
        # graphlib's circle goes from a stage to what needs it: that is the direction data would flow
        first = min(range(len(circle) - 1), key=lambda i: list(pipeline.stages).index(circle[i]))
        circle = [*circle[first:-1], *circle[:first], circle[first]]
        raise SpecError(
            f"stage '{circle[0]}' takes what it makes itself"
            if len(circle) == 2
            else f"stages wait for each other: {' → '.join(circle)}",
            where=pipeline.where(_line(pipeline, circle[1], circle[0])),
            remedy="give it another input" if len(circle) == 2 else "remove one of these inputs",
        ) from error


def select(pipeline: Pipeline, targets: Iterable[str]) -> list[str]:
    """Return the targets and everything upstream of them, in order; all stages when there are no targets.

    Raises
    ------
    SpecError
        If a target isn't a stage.
    """
    waiting = named(pipeline, targets)
    if not waiting:
        return order(pipeline)
    chosen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in chosen:
            chosen.add(name)
            waiting.extend(pipeline.stages[name].upstream)
    return [name for name in order(pipeline) if name in chosen]


def named(pipeline: Pipeline, targets: Iterable[str]) -> list[str]:
    """Return the stages that targets mean: the name of a fanned-out stage means all that it is fanned out to.

    Raises
    ------
    SpecError
        If a target isn't a stage.
    """
    found: list[str] = []
    for name in targets:
        meant = pipeline.instances(name)
        if not meant:
            raise SpecError(f"no stage '{name}'", where=pipeline.shown, remedy=nearest(name, pipeline.names))
        found += meant
    return found


def downstream(pipeline: Pipeline, name: str) -> frozenset[str]:
    """Return every stage that needs a stage, directly or not."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        for other, stage in pipeline.stages.items():
            if current in stage.upstream and other not in found:
                found.add(other)
                waiting.append(other)
    return frozenset(found)


def _line(pipeline: Pipeline, stage: str, needs: str) -> int:
    """Return the line of the input by which a stage needs another."""
    for source in pipeline.stages[stage].inputs.values():
        if isinstance(source, StageInput) and source.stage == needs:
            return source.line
    return pipeline.stages[stage].line
