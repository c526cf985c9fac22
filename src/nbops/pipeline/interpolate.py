"""``${…}`` in ``pipeline.yaml``: what it refers to, put in its place.

A scalar that is one reference becomes the value, of whatever type; a reference inside a text becomes part of the text.
``$${`` is a plain ``${``. What stands there afterwards is read like anything that was written by hand, so that types
and names are checked the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.representer import SafeRepresenter

from nbops.errors import SpecError, nearest
from nbops.pipeline.yamltree import Place

REFERENCE = re.compile(r"\$(\$?)\{([^{}]*)\}")
_HOW = "write ${params.NAME}, ${matrix.NAME}, ${item}, or ${stages.NAME.outputs.NAME} for an input"


@dataclass(frozen=True, slots=True)
class Scope:
    """What references may refer to: names to values, and names to mappings of names.

    Attributes
    ----------
    values
        Values by first name: ``params`` and ``matrix`` are mappings, ``item`` and ``key`` values.
    outputs
        Whether ``${stages.NAME.outputs.NAME}`` may stand here.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    outputs: bool = False

    def value(self, reference: str, where: str) -> Any:
        """Return what a reference refers to.

        Raises
        ------
        SpecError
            If there is no such thing; says what was meant, perhaps.
        """
        reference = reference.strip()
        if reference.startswith("stages."):
            return self._output(reference, where)
        first, *names = reference.split(".")
        if first not in self.values:
            known = [*self.values, "stages"]
            raise SpecError(f"${{{reference}}} refers to nothing", where=where, remedy=nearest(first, known) or _HOW)
        value, so_far = self.values[first], first
        for name in names:
            if not isinstance(value, Mapping) or name not in value:
                known = [f"{so_far}.{one}" for one in value] if isinstance(value, Mapping) else []
                remedy = nearest(f"{so_far}.{name}", known) if known else f"'{so_far}' has no names in it"
                raise SpecError(f"${{{reference}}} refers to nothing", where=where, remedy=remedy)
            value, so_far = value[name], f"{so_far}.{name}"
        return value

    def _output(self, reference: str, where: str) -> str:
        stage, found, output = reference.removeprefix("stages.").rpartition(".outputs.")
        if not found or not self.outputs:
            remedy = _HOW if self.outputs else "what a stage makes is given to another one by its inputs"
            raise SpecError(f"${{{reference}}} can't stand here", where=where, remedy=remedy)
        return f"{stage}.{output}"


def references(place: Place) -> Iterator[tuple[str, str]]:
    """Yield each reference in a single text, with where it stands."""
    if isinstance(place.node, ScalarNode):
        for found in REFERENCE.finditer(place.node.value):
            if not found[1]:
                yield found[2].strip(), _where(place, place.node, found.start())


def interpolated(place: Place, scope: Scope) -> Place:
    """Return a place with its references, however deep inside, replaced.

    Raises
    ------
    SpecError
        If one refers to nothing.
    """
    return place.changed(lambda node: _replaced(place, node, scope))


def _replaced(place: Place, node: ScalarNode, scope: Scope) -> Node:
    text = node.value
    if "${" not in text:
        return node
    whole = REFERENCE.fullmatch(text)
    if whole and not whole[1]:
        return _node(scope.value(whole[2], _where(place, node, 0)), node)

    def put(found: re.Match[str]) -> str:
        if found[1]:
            return found[0][1:]
        value = scope.value(found[2], _where(place, node, found.start()))
        if isinstance(value, Mapping | list | tuple):
            raise SpecError(
                f"{found[0]} holds several values, and can't be part of a text",
                where=_where(place, node, found.start()),
                remedy="let it stand alone, or refer to one of them",
            )
        return "" if value is None else str(value)

    return ScalarNode("tag:yaml.org,2002:str", REFERENCE.sub(put, text), node.start_mark, node.end_mark, '"')


def _where(place: Place, node: ScalarNode, offset: int) -> str:
    mark = node.start_mark
    shift = offset + bool(node.style) if mark.line == node.end_mark.line else 0
    return f"{place.file}:{mark.line + 1}:{mark.column + 1 + shift}"


def _node(value: Any, like: Node) -> Node:
    """Return a value as a YAML node that stands where another stood."""
    node = SafeRepresenter().represent_data(value)
    waiting: list[Node] = [node]
    while waiting:
        one = waiting.pop()
        one.start_mark, one.end_mark = like.start_mark, like.end_mark
        if isinstance(one, SequenceNode):
            waiting.extend(one.value)
        elif isinstance(one, MappingNode):
            waiting.extend(inner for pair in one.value for inner in pair)
    return node
