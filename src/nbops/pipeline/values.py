"""Values of parameters as they are written: read with an eye on the type of the parameter that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from yaml.nodes import ScalarNode

from nbops.notebook.parameters import Parameter, type_name
from nbops.pipeline.yamltree import Place

_PLAIN_TYPES = {"None", "bool", "int", "float", "str", "list", "dict", "date", "datetime"}


def typed(place: Place, key: str, parameter: Parameter) -> Any:
    """Return the value written for a parameter, as the parameter's type.

    Raises
    ------
    SpecError
        If it isn't of that type; says what probably was meant.
    """
    value = place.value()
    node = place.node
    if isinstance(value, str) and isinstance(node, ScalarNode) and not node.style and "float" in parameter.types:
        value = _number(value)  # YAML takes 1e-3 for a text, for want of a point
    problem = type_problem(key, value, parameter)
    if problem:
        raise place.error(problem, f"{_meant(place, value, parameter)}the default is {parameter.default}")
    return parameter.coerced(value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _meant(place: Place, value: object, parameter: Parameter) -> str:
    """Return what probably was meant: YAML takes ``no`` for a truth value, and what is quoted for a text."""
    written = place.node.value if isinstance(place.node, ScalarNode) else None
    if written and "str" in parameter.types and not isinstance(value, str):
        return f"quote a text that looks like something else: '{written}'; "
    if isinstance(value, str) and parameter.types & {"int", "float"}:
        return "write a number without quotes, an int without an exponent; "
    return ""


def type_problem(key: str, value: object, parameter: Parameter) -> str:
    """Return what is wrong with a value for a parameter; empty when nothing is."""
    strange = sorted({kind for kind in _kinds(value) if kind not in _PLAIN_TYPES})
    if strange:
        return f"'{key}' holds a {strange[0]}, which a parameter can't be"
    if not parameter.accepts(value):
        wanted = " or ".join(sorted(parameter.types))
        return f"'{key}' must be {wanted}, not {type_name(value)} ({value!r})"
    return ""


def _kinds(value: object) -> Iterable[str]:
    yield type_name(value)
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _kinds(key)
            yield from _kinds(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _kinds(item)
