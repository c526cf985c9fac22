"""Parameter values given for one run: ``cut_month=8`` for every stage that has it, ``features.cut_month=8`` for one.

A value typed on a command line is read as a YAML scalar, but with an eye on the parameter it is for: ``1e-3`` is a
float and ``2013`` a text where the parameter's default is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import yaml

from nbops.errors import SpecError, nearest
from nbops.notebook.parameters import Parameter, type_name
from nbops.pipeline.model import Pipeline, Stage
from nbops.pipeline.values import type_problem

_ASSIGNED = {"-p": "-p cut_month=8 or -p features.cut_month=8", "-i": "-i train=data/train.parquet"}


class Typed(str):
    """A value as it was typed: read when the parameter that it is for is known."""

    __slots__ = ()


def parse_assignments(texts: Iterable[str], option: str = "-p") -> dict[str, Typed]:
    """Return ``name=value`` texts as a mapping.

    Raises
    ------
    SpecError
        If one has no ``=``, or a name is given twice.
    """
    found: dict[str, Typed] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise SpecError(f"'{text}' isn't name=value", where=option, remedy=_ASSIGNED[option])
        if name in found:
            raise SpecError(f"'{name}' is given twice", where=option)
        found[name] = Typed(value)
    return found


def override(pipeline: Pipeline, params: Mapping[str, object]) -> Pipeline:
    """Return the pipeline with other values for some parameters.

    Raises
    ------
    SpecError
        If no stage has such a parameter, or the value isn't of its type.
    """
    stages = dict(pipeline.stages)
    given: dict[str, dict[str, object]] = {}
    # the general before the particular, whatever the order they were given in
    for name in sorted(params, key=lambda key: "." in key):
        if name in pipeline.params:
            given.setdefault("", {})[name] = _shared(name, params[name], pipeline.params[name])
        for stage in _targets(pipeline, name):
            key = name.rpartition(".")[2]
            stages[stage] = _set(stages[stage], key, params[name])
            given.setdefault(stage, {})[key] = stages[stage].params[key]
    if pipeline.reread and given:
        return pipeline.reread(given)  # names of files, conditions and fan-out may be made of parameters
    return replace(pipeline, stages=stages)


def settable(stage: Stage) -> dict[str, Parameter]:
    """Return the parameters of a stage that a value can be given for: not its inputs and outputs."""
    return {
        name: parameter
        for name, parameter in stage.parameters.items()
        if name not in stage.inputs and name not in stage.outputs and name not in stage.fans
    }


def _targets(pipeline: Pipeline, name: str) -> list[str]:
    known = {stage.name: settable(stage) for stage in pipeline.stages.values()}
    stage, dot, key = name.rpartition(".")
    if dot:
        meant = pipeline.instances(stage)
        if not meant:
            raise SpecError(f"no stage '{stage}'", where=f"-p {name}", remedy=nearest(stage, pipeline.names))
        if key not in known[meant[0]]:
            raise SpecError(
                f"stage '{stage}' has no parameter '{key}'",
                where=f"-p {name}",
                remedy=nearest(key, known[meant[0]]),
            )
        return meant
    targets = [one for one, names in known.items() if name in names]
    if not targets and name not in pipeline.params:
        every = {key for names in known.values() for key in names} | set(pipeline.params)
        raise SpecError(f"no stage has a parameter '{name}'", where=f"-p {name}", remedy=nearest(name, every))
    return targets


def _set(stage: Stage, key: str, value: object) -> Stage:
    parameter = stage.parameters[key]
    if isinstance(value, Typed):
        value = _read(key, value, parameter)
    problem = type_problem(key, value, parameter)
    if problem:
        raise SpecError(problem, where=f"-p {stage.name}.{key}", remedy=f"the default is {parameter.default}")
    return replace(stage, params={**stage.params, key: parameter.coerced(value)})


def _shared(key: str, value: object, before: object) -> object:
    """Return a value for one of the pipeline's own parameters, of the type that it has in the file."""
    kind = type_name(before)
    parameter = Parameter(key, repr(before), frozenset() if before is None else frozenset({kind}), 0)
    if isinstance(value, Typed):
        value = _read(key, value, parameter)
    problem = type_problem(key, value, parameter)
    if problem:
        raise SpecError(problem, where=f"-p {key}", remedy=f"the pipeline's own value is {before!r}")
    return parameter.coerced(value)


def _read(key: str, text: str, parameter: Parameter) -> Any:
    try:
        value = yaml.safe_load(text) if text.strip() else text
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if "str" in parameter.types:
            return str(text)
        raise SpecError(
            f"'{text}' can't be read as a value: {str(error).splitlines()[0]}", where=f"-p {key}"
        ) from error
    if parameter.types and not parameter.accepts(value):
        if parameter.types & {"str", "Path"}:
            return str(text)
        if "float" in parameter.types and isinstance(value, str):
            try:
                return float(value)
            except ValueError:
                return value
    return value
