"""YAML with places: every key and value knows its line, so that an error can point at it.

PyYAML composes the text into nodes, which carry marks; values are constructed from nodes only where they are wanted,
with the safe constructor. Every way in which YAML can be wrong ends in one `SpecError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from nbops.errors import SpecError, nearest

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_REMEDIES = {
    "cannot start any token": "indent with spaces instead of tabs, and quote texts that start with a sign",
    "could not find expected ':'": "a ':' is missing on this line or the one before",
    "flow mapping": "a '}' or ',' is missing on this line or the one before",
    "flow sequence": "a ']' or ',' is missing on this line or the one before",
    "block mapping": "give the keys of one level the same indentation",
    "mapping values are not allowed": "quote a text that holds ': ', and check the indentation",
    "another document": "remove the '---'",
    "undefined alias": "quote a text that starts with '*'",
    "quoted scalar": "a closing quote is missing",
}
_MAX_DEPTH = 50
_MAX_NODES = 100_000
_KINDS = {MappingNode: "a mapping", SequenceNode: "a list", ScalarNode: "a single value"}


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a YAML file, with the words that describe it in an error, and an example of what is meant."""

    file: Path
    node: Node
    what: str
    example: str = ""

    @property
    def line(self) -> int:
        """The node's line, from 1."""
        return int(self.node.start_mark.line) + 1

    @property
    def column(self) -> int:
        """The node's column, from 1."""
        return int(self.node.start_mark.column) + 1

    @property
    def where(self) -> str:
        """``file:line:column`` for error messages."""
        return f"{self.file}:{self.line}:{self.column}"

    def error(self, message: str, remedy: str = "") -> SpecError:
        """Return an error that points here."""
        return SpecError(message, where=self.where, remedy=remedy)

    @property
    def is_empty(self) -> bool:
        """Whether the value is left out or ``null``."""
        return isinstance(self.node, ScalarNode) and self.node.tag == "tag:yaml.org,2002:null"

    def entries(self) -> dict[str, Place]:
        """Return a mapping's values by key, in order; an empty value is an empty mapping.

        Raises
        ------
        SpecError
            If this isn't a mapping, or a key stands twice in it or isn't a plain text.
        """
        if self.is_empty:
            return {}
        if not isinstance(self.node, MappingNode):
            raise self.error(f"{self.what} must be a mapping, not {self._kind}", self.example)
        found: dict[str, Place] = {}
        for key, value in self.node.value:
            place = Place(self.file, key, self.what)
            if not isinstance(key, ScalarNode):
                raise place.error(f"a key of {self.what} must be a plain text, not {place._kind}")
            if key.value in found:
                raise place.error(
                    f"'{key.value}' stands twice in {self.what}", f"first on line {found[key.value].line}"
                )
            found[key.value] = _Entry(self.file, value, f"'{key.value}' of {self.what}", key=key)
        return found

    def known_entries(self, known: set[str]) -> dict[str, Place]:
        """Return `entries`, and refuse keys that aren't known."""
        found = self.entries()
        for key, place in found.items():
            if key not in known:
                raise place.error(f"unknown key '{key}' in {self.what}", nearest(key, known))
        return found

    def text(self) -> str:
        """Return a text; numbers and the like are refused."""
        value = self.value() if isinstance(self.node, ScalarNode) else None
        if not isinstance(value, str) or not value.strip():
            got = repr(value) if isinstance(self.node, ScalarNode) and not self.is_empty else self._kind
            raise self.error(f"{self.what} must be a text, not {got}", self.example)
        return value

    def texts(self) -> list[Place]:
        """Return the members of a list of texts."""
        if self.is_empty:
            return []
        if not isinstance(self.node, SequenceNode):
            raise self.error(f"{self.what} must be a list, not {self._kind}", self.example)
        members = [Place(self.file, node, f"an item of {self.what}", self.example) for node in self.node.value]
        for member in members:
            member.text()
        return members

    def value(self) -> Any:
        """Return the value as plain Python."""
        _refuse_monsters(self, self.node)
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(self.node, deep=True)
        except yaml.MarkedYAMLError as error:
            raise self.error(f"{self.what} can't be read: {error.problem}") from error
        except (ValueError, TypeError, OverflowError, LookupError, AttributeError, RecursionError) as error:
            raise self.error(f"{self.what} can't be read: {error}") from error
        finally:
            loader.dispose()

    def changed(self, change: Callable[[ScalarNode], Node]) -> Place:
        """Return the place with each single value in it, however deep inside, put through a function."""
        _refuse_monsters(self, self.node)
        return replace(self, node=_changed(self.node, change))

    @property
    def _kind(self) -> str:
        return "empty" if self.is_empty else _KINDS.get(type(self.node), "this")


@dataclass(frozen=True, slots=True)
class _Entry(Place):
    """A value of a mapping: it stands where its key stands, which is where one looks for it."""

    key: Node = field(kw_only=True)

    @property
    def line(self) -> int:
        return int(self.key.start_mark.line) + 1

    @property
    def column(self) -> int:
        return int(self.key.start_mark.column) + 1


def _changed(node: Node, change: Callable[[ScalarNode], Node]) -> Node:
    if isinstance(node, ScalarNode):
        return change(node)
    if isinstance(node, SequenceNode):
        members = [_changed(member, change) for member in node.value]
        return SequenceNode(node.tag, members, node.start_mark, node.end_mark, node.flow_style)
    if isinstance(node, MappingNode):
        pairs = [(key, _changed(value, change)) for key, value in node.value]
        return MappingNode(node.tag, pairs, node.start_mark, node.end_mark, node.flow_style)
    return node


def compose(file: Path, shown: Path | str, how_to_begin: str = "") -> Place:
    """Read a YAML file into nodes; `shown` is how errors name it, `how_to_begin` what to do when it isn't there.

    Raises
    ------
    SpecError
        If the file is missing, empty or not YAML.
    """
    shown = Path(shown)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SpecError("no such file", where=str(shown), remedy=how_to_begin) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SpecError("not UTF-8", where=f"{shown}:{line}", remedy="save the file as UTF-8") from error
    except OSError as error:
        raise SpecError(f"can't be read: {error}", where=str(shown)) from error
    return compose_text(text, shown)


def compose_text(text: str, shown: Path) -> Place:
    """Read YAML text into nodes; see `compose`."""
    try:
        _refuse_depth(text, shown)
        node = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown}:{mark.line + 1}:{mark.column + 1}" if mark else str(shown)
        problem = " ".join(str(part) for part in (error.context, error.problem) if part)
        raise SpecError(f"not valid YAML: {problem}", where=where, remedy=_remedy(problem)) from error
    except (yaml.YAMLError, ValueError) as error:
        raise SpecError(f"not valid YAML: {str(error).splitlines()[0]}", where=str(shown)) from error
    if node is None:
        raise SpecError("the file is empty", where=f"{shown}:1", remedy="it needs 'stages:'")
    return Place(shown, node, "the pipeline")


def _remedy(problem: str) -> str:
    """Return what to do about a problem, in words of which libyaml says few."""
    return next((remedy for words, remedy in _REMEDIES.items() if words in problem), "")


def _refuse_monsters(place: Place, node: Node, around: tuple[int, ...] = (), seen: list[int] | None = None) -> None:
    """Refuse a value that contains itself, or that aliases blow up."""
    seen = seen if seen is not None else []
    seen.append(id(node))
    if id(node) in around:
        raise place.error(f"{place.what} contains itself (an alias inside its own anchor)")
    if len(seen) > _MAX_NODES:
        raise place.error(f"{place.what} is larger than a parameter should be")
    inside = (*around, id(node))
    if isinstance(node, SequenceNode):
        for member in node.value:
            _refuse_monsters(place, member, inside, seen)
    elif isinstance(node, MappingNode):
        for key, value in node.value:
            _refuse_monsters(place, key, inside, seen)
            _refuse_monsters(place, value, inside, seen)


def _refuse_depth(text: str, shown: Path) -> None:
    """Refuse what is nested so deeply that libyaml's composer, which recurses in C, would crash."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise SpecError("not valid YAML: nested too deeply", where=f"{shown}:{line}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
