"""Everything that can be reached from the values of some names, and what it holds now.

The search goes breadth first, so that what a statement is most likely to change comes first, and ends after a number of
objects (`exhausted`): from then on more is taken for changed and for needed. Functions of the notebook lead to the
globals that their code reads, whose values are looked at in their turn.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from types import CodeType, FunctionType, ModuleType
from typing import Any

from nbops.tracking.flow.codes import mentioned
from nbops.tracking.flow.content import ATOM_IDS, MUTE, OPAQUE, Content, Look
from nbops.tracking.flow.places import is_library, module_of, package_of
from nbops.tracking.flow.types_of import look_of

_BUILT_IN = frozenset({list, tuple, dict, set, frozenset, type})
NODES = 1000
BYTES = 256 << 20


class Seen:
    """An object that was reached, from which name, and what it held."""

    __slots__ = ("content", "look", "root", "value")

    def __init__(self, value: Any, look: Look, root: str) -> None:
        self.value = value
        self.look = look
        self.root = root
        self.content = OPAQUE

    def changed(self) -> bool:
        """Whether the object holds something else by now; one that can't be looked into counts as unchanged here."""
        if self.content.uses:
            return False
        return not self.content.same(look_again(self))


def look_again(seen: Seen) -> Content:
    """Return what the object holds now."""
    return seen.look(seen.value, MUTE)


class Reached:
    """The objects that a statement can reach.

    Attributes
    ----------
    seen
        By id, in the order in which they were reached.
    names
        The notebook's globals read by the functions reached.
    packages
        Top-level packages of the modules, functions, classes and instances reached.
    exhausted
        Whether not everything could be looked at.
    """

    def __init__(self, namespace: dict[str, Any], nodes: int = NODES) -> None:
        self.namespace = namespace
        self.seen: dict[int, Seen] = {}
        self.names: set[str] = set()
        self.packages: set[str] = set()
        self.modules: dict[int, Any] = {}
        self.shared: list[Any] = []
        self.attributes: set[str] = set()
        self.texts: set[str] = set()
        self.everything = False
        self.stores = False
        self.exhausted = False
        self.uses = False
        self._nodes = nodes
        self._bytes = BYTES
        self._waiting: deque[Seen] = deque()
        self._root = ""
        self._codes: set[int] = set()

    def add_names(self, names: Iterable[str]) -> None:
        """Go through everything that the values of these names lead to."""
        for name in names:
            self._add_name(name)
        self._go()

    def add_value(self, value: Any, root: str) -> None:
        """Go through everything that a value leads to."""
        self._root = root
        self._add(value)
        self._go()

    def reached(self, values: Iterable[Any]) -> None:
        """Take objects that belong to no content."""
        for value in values:
            self._add(value)

    def shares(self, value: Any) -> None:
        """Take an object whose writers have written to this one too."""
        self.shared.append(value)

    def ran(self, code: CodeType, namespace: dict[str, Any]) -> None:
        """Take what a function's code reads, if it reads it from the notebook."""
        if id(code) in self._codes:
            return
        self._codes.add(id(code))
        said = mentioned(code)
        if namespace is self.namespace:
            self.attributes |= said.attributes
            self.texts |= said.texts
            self.stores = self.stores or said.stores
            if "globals" in said.globals or "user_ns" in said.attributes or "__main__" in said.texts:
                self.everything = True
            root = self._root
            for name in said.globals:
                self._add_name(name)
            self._root = root
            return
        module = namespace.get("__name__")
        if is_library(module):
            self.packages.add(package_of(str(module)))
        else:
            self.attributes |= said.attributes
            self.texts |= said.texts
            self.reached([namespace[name] for name in said.globals if name in namespace])
            self._add_namespace(namespace)

    def leaf(self, value: Any) -> None:
        """Take an object by what it holds, without going further."""
        if id(value) not in self.seen:
            seen = Seen(value, _shallow(look_of(type(value))), self._root)
            seen.content = look_again(seen)
            self.seen[id(value)] = seen

    def hashed(self, size: int) -> bool:
        """Whether `size` more bytes may be hashed for this statement."""
        if size > self._bytes:
            self.exhausted = self.exhausted or size >= 1 << 60
            return False
        self._bytes -= size
        return True

    def _add_name(self, name: str) -> None:
        if name in self.names or name not in self.namespace:
            return
        self.names.add(name)
        self._root = name
        self._add(self.namespace[name])

    def _add_namespace(self, namespace: dict[str, Any]) -> None:
        if id(namespace) not in self.seen:
            self._put(Seen(namespace, _rebound, self._root))

    def _add(self, value: Any) -> None:
        kind = type(value)
        if id(kind) in ATOM_IDS or id(value) in self.seen:
            return
        if kind is ModuleType:
            name = value.__dict__.get("__name__")
            if is_library(name):
                self.packages.add(package_of(str(name)))
                self.modules[id(value)] = value
                return
        elif kind is FunctionType:
            self._note_package(value.__module__)
        look = look_of(kind)
        if look is None:
            return
        if kind not in _BUILT_IN:
            self._note_package(module_of(kind))
        if issubclass(kind, type):
            name = module_of(value)
            self._note_package(name)
            if is_library(name):
                self.modules[id(value)] = value
                return
        self._put(Seen(value, look, self._root))

    def _note_package(self, module: object) -> None:
        if type(module) is str and module != "builtins" and is_library(module):
            self.packages.add(package_of(module))

    def _put(self, seen: Seen) -> None:
        if len(self.seen) >= self._nodes:
            self.exhausted = True
            return
        self.seen[id(seen.value)] = seen
        self._waiting.append(seen)

    def _go(self) -> None:
        while self._waiting:
            seen = self._waiting.popleft()
            self._root = seen.root
            try:
                seen.content = seen.look(seen.value, self)
            except Exception:  # noqa: BLE001  # whatever can't be looked at counts as changed by every use
                seen.content = OPAQUE
            self.uses = self.uses or seen.content.uses
            parts = seen.content.children
            if len(parts) > 16 and ATOM_IDS.issuperset(map(id, map(type, parts))):
                continue
            known = self.seen
            for part in parts:
                if id(type(part)) not in ATOM_IDS and id(part) not in known:
                    self._add(part)


def _shallow(look: Look | None) -> Look:
    assert look is not None, "only containers are leaves"
    return lambda value, reach: look(value, MUTE)


def _rebound(value: Any, reach: Any) -> Content:
    """Look at the globals of a local module: which objects they're bound to."""
    parts = [each for key, each in value.items() if key not in ("__builtins__", "__loader__", "__spec__", "__cached__")]
    return Content(parts, len(parts))
