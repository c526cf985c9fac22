"""Values that scoring needs: as a literal where there is an exact one, else as a pickle.

A pickle holds functions and classes by name only. So whatever could not be found by its name again (a lambda, a function
made inside another, a class that was defined anew since) is refused here, with the name of the thing at fault.
"""

from __future__ import annotations

import io
import linecache
import math
import pickle
import pickletools
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbops.errors import SliceError

MAIN = "__main__"
_LONGEST_LITERAL = 2_000
_LARGEST_INTEGER = 10**100


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A value that has no source: its pickle, the modules that reading it back imports, and names of the notebook."""

    name: str
    content: bytes
    modules: frozenset[str]
    from_notebook: frozenset[str]


def as_literal(value: Any) -> str | None:
    """Return the literal that evaluates to exactly `value`, or None if there is none of reasonable length."""
    if not _is_plain(value, depth=0):
        return None
    if type(value) is set and len({type(part) for part in value}) == 1:  # the same text in every process
        text = f"{{{', '.join(sorted(map(repr, value)))}}}"
    else:
        text = repr(value)
    return text if len(text) <= _LONGEST_LITERAL else None


def store(name: str, value: Any, namespace: Mapping[str, Any], *, where: str) -> StoredObject:
    """Return a value's pickle.

    Raises
    ------
    SliceError
        If it can't be pickled, or could not be read back.
    """
    buffer = io.BytesIO()
    try:
        _Pickler(buffer, namespace).dump(value)
    except _NotFoundAgain as error:
        raise SliceError(f"'{name}' holds {error.args[0]}", where=where, remedy=error.args[1]) from error
    except Exception as error:
        raise SliceError(
            f"'{name}' ({type(value).__name__}) can't be stored: {error}",
            where=where,
            remedy=f"make '{name}' inside a function that the scoring cell calls",
        ) from error
    modules, from_notebook = pickled_names(buffer.getvalue())
    return StoredObject(name, buffer.getvalue(), frozenset(modules), frozenset(from_notebook))


def pickled_names(content: bytes) -> tuple[set[str], set[str]]:
    """Return the modules that a pickle imports, and the names that it takes from the notebook itself."""
    finder = _GlobalFinder()
    for opcode, argument, _ in pickletools.genops(io.BytesIO(content)):
        finder.step(opcode.name, argument)
    return {module for module, _ in finder.found if module not in (MAIN, "builtins")}, {
        member.partition(".")[0] for module, member in finder.found if module == MAIN
    }


class _NotFoundAgain(Exception):
    """A function or class inside a value can't be found by its name; the arguments are what, and the remedy."""


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, namespace: Mapping[str, Any]) -> None:
        super().__init__(buffer, protocol=5)
        self._namespace = namespace

    def reducer_override(self, thing: Any) -> Any:
        """Look at every function and class before it's pickled by name; see `pickle.Pickler`."""
        if isinstance(thing, types.FunctionType | type):
            self._check(thing)
        return NotImplemented

    def _check(self, thing: types.FunctionType | type) -> None:
        qualified = thing.__qualname__
        if isinstance(thing, types.FunctionType) and thing.__name__ == "<lambda>":
            line = linecache.getline(thing.__code__.co_filename, thing.__code__.co_firstlineno).strip()
            raise _NotFoundAgain(
                "a lambda" + (f" (`{line}`)" if line else ""),
                "write it with def at the top level of a cell, and make the object anew",
            )
        if "<locals>" in qualified:
            raise _NotFoundAgain(
                f"'{qualified.rpartition('.')[2]}', which was made inside a function",
                "define it at the top level of a cell, and make the object anew",
            )
        if thing.__module__ == MAIN:
            found: Any = self._namespace.get(qualified.partition(".")[0])
            for part in qualified.split(".")[1:]:
                found = getattr(found, part, None)
            if found is not thing:
                raise _NotFoundAgain(
                    f"a '{qualified}' that isn't the notebook's present '{qualified}'",
                    "the cell that defines it ran again since: make the object anew",
                )


class _GlobalFinder:
    """Follows a pickle's strings, pushed or recalled from its memo, to the globals made of the last two."""

    def __init__(self) -> None:
        self.found: set[tuple[str, str]] = set()
        self._strings: list[str] = []
        self._memo: dict[int, str] = {}
        self._memoised = 0
        self._last: str | None = None

    def step(self, opcode: str, argument: Any) -> None:
        """Take one opcode."""
        if opcode == "GLOBAL":
            module, member = str(argument).split(" ", 1)
            self.found.add((module, member))
        elif opcode == "STACK_GLOBAL":
            self.found.add((self._strings[-2], self._strings[-1]))
        elif opcode == "MEMOIZE":
            if self._last is not None:
                self._memo[self._memoised] = self._last
            self._memoised += 1
            return
        recalled = self._memo.get(argument) if opcode in ("BINGET", "LONG_BINGET") else None
        self._last = str(argument) if "UNICODE" in opcode else recalled
        if self._last is not None:
            self._strings.append(self._last)


def _is_plain(value: Any, depth: int) -> bool:
    if value is None or type(value) in (bool, str, bytes):
        return True
    if type(value) is int:
        return abs(value) < _LARGEST_INTEGER
    if type(value) is float:
        return math.isfinite(value)
    if type(value) not in (list, tuple, set, dict) or depth > 9 or len(value) > _LONGEST_LITERAL:
        return False
    if type(value) is set:
        return bool(value) and all(_is_plain(part, depth + 1) for part in value)
    parts = value if type(value) is not dict else [part for pair in value.items() for part in pair]
    return all(_is_plain(part, depth + 1) for part in parts)
