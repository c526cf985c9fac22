"""One stage by itself: given the project, its parameters, and where its inputs are.

What makes its inputs isn't looked at: they are files, wherever they lie. The key is the one that it has within the
pipeline, so that what is executed here is cached there, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from nbops.errors import SpecError, nearest
from nbops.pipeline.graph import named
from nbops.pipeline.model import FileInput, Pipeline


def alone(pipeline: Pipeline, name: str, inputs: Mapping[str, Path] | None = None) -> Pipeline:
    """Return a pipeline of one stage only.

    Parameters
    ----------
    pipeline, name
        Which stage; of a fanned-out one, which instance.
    inputs
        Where inputs lie, when they aren't where the pipeline has them.

    Raises
    ------
    SpecError
        If there is no such stage or input, or an input isn't there.
    """
    meant = named(pipeline, [name])
    if len(meant) > 1:
        raise SpecError(
            f"stage '{name}' is fanned out to {len(meant)}", where="--stage", remedy=f"name one, such as {meant[0]}"
        )
    stage = pipeline.stages[meant[0]]
    given = dict(inputs or {})
    unknown = sorted(given.keys() - stage.inputs.keys())
    if unknown:
        remedy = nearest(unknown[0], stage.inputs) if stage.inputs else "it has no inputs"
        raise SpecError(f"stage '{stage.name}' has no input '{unknown[0]}'", where="--input", remedy=remedy)
    found: dict[str, FileInput] = {}
    for key, source in stage.inputs.items():
        made = not isinstance(source, FileInput)
        path = source.path if isinstance(source, FileInput) else pipeline.stages[source.stage].outputs[source.output]
        path = given[key].absolute() if key in given else path
        if not path.exists():
            raise SpecError(
                f"input '{key}' of stage '{stage.name}' isn't there: {path}",
                where=pipeline.where(source.line),
                remedy=f"say where it is: --input {key}=PATH" + (", or run what makes it" if made else ""),
            )
        found[key] = FileInput(path, source.line, made)
    # a condition is the pipeline's to decide: whoever names a stage wants it
    one = replace(stage, inputs=found, condition=None)
    return replace(pipeline, stages={stage.name: one}, reread=None)
