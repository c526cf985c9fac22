"""Who wrote what last: names, objects, files, and things that have no name.

Every entry is a set of statements, for a statement that *may* have written leaves the earlier writer in place. Objects are
known by their id, guarded by a weak reference; lists, dicts and what else can't be referred to weakly is held until nobody
else holds it. Beside its writers an object's entry keeps a mark of what it held when it was last looked at: if it holds
something else at the next look, it was changed behind the statements' backs, and all since then count as its writers.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterable
from typing import Any

from nbops.tracking.flow.content import Content

At = tuple[int, int]
Writers = frozenset[At]
NOBODY: Writers = frozenset()
_MOST = 20_000
_OFTEN = 256


class _Entry:
    __slots__ = ("clock", "mark", "value", "weak", "writers")

    def __init__(self, value: Any, weak: Any) -> None:
        self.value = value
        self.weak = weak
        self.writers: Writers = NOBODY
        self.mark: int | None = None
        self.clock = 0


class Ledger:
    """Who wrote what last."""

    def __init__(self) -> None:
        self.names: dict[str, Writers] = {}
        self.files: dict[str, Writers] = {}
        self.things: dict[str, Writers] = {}
        self.history: list[At] = []
        self._objects: dict[int, _Entry] = {}
        self._strong: set[int] = set()
        self._forgotten: set[At] = set()

    @property
    def clock(self) -> int:
        """How many statements have been executed."""
        return len(self.history)

    def everything(self) -> set[At]:
        """Return every statement that was the last to write something."""
        found: set[At] = set()
        for table in (self.names, self.files, self.things):
            for writers in list(table.values()):
                found |= writers
        return found | self.all_changes()

    def all_changes(self) -> set[At]:
        """Return every statement that was the last to change some object in place."""
        found = set(self._forgotten)
        for entry in list(self._objects.values()):
            found |= entry.writers
        return found

    def changes_of(self, value: Any, content: Content) -> Iterable[At]:
        """Return who changed an object that is looked at now, hidden changes included."""
        entry = self._objects.get(id(value))
        if entry is None:
            return self._forgotten
        if entry.mark is None or content.uses or entry.mark == content.mark():
            return entry.writers
        return entry.writers.union(self.history[entry.clock :])

    def writers_of(self, value: Any) -> Iterable[At]:
        """Return who changed an object, as far as it's known."""
        entry = self._objects.get(id(value))
        return entry.writers if entry is not None else ()

    def keep(self, value: Any, content: Content | None, writer: At | None) -> None:
        """Note what an object holds from now on, and who has just changed it."""
        key = id(value)
        entry = self._objects.get(key)
        if entry is None:
            entry = self._open(key, value)
        entry.mark = None if content is None or content.uses else content.mark()
        entry.clock = self.clock
        if writer is not None:
            entry.writers = frozenset((writer,))

    def knows(self, key: int) -> bool:
        """Whether an object of this id was looked at before."""
        return key in self._objects

    def _open(self, key: int, value: Any) -> _Entry:
        if len(self._objects) >= _MOST:
            self._forget_some()
        objects = self._objects
        try:
            entry = _Entry(None, weakref.ref(value, lambda _: objects.pop(key, None) and None))
        except TypeError:
            entry = _Entry(value, None)
            self._strong.add(key)
        objects[key] = entry
        return entry

    def sweep(self, *, always: bool = False) -> None:
        """Let go of held objects that nobody else holds any more."""
        if not always and len(self._strong) > _OFTEN and self.clock % (len(self._strong) // _OFTEN + 1):
            return
        dead = [key for key in self._strong if sys.getrefcount(self._objects[key].value) <= 2]
        while dead:
            for key in dead:
                self._strong.discard(key)
                self._objects.pop(key, None)
            dead = [key for key in self._strong if sys.getrefcount(self._objects[key].value) <= 2]

    def let_go(self) -> None:
        """Hold nothing, so that references can be counted; ids then stand without a guard."""
        for key in self._strong:
            entry = self._objects.get(key)
            if entry is not None:
                entry.value, entry.mark = None, None
        self._strong.clear()

    def _forget_some(self) -> None:
        for key in list(self._objects)[: _MOST // 4]:
            entry = self._objects.pop(key, None)
            self._strong.discard(key)
            if entry is not None:
                self._forgotten |= entry.writers
