"""The notebook's namespace before and after a statement: which names were bound, and which deleted.

Values are compared by identity, so the old ones are held meanwhile, except for large arrays and tables, of which a weak
reference does. IPython's own history of inputs isn't the notebook's; what a cell showed last (`_`, `_3`, `Out`) is.
"""

from __future__ import annotations

import re
import sys
import weakref
from itertools import compress, count
from operator import is_not, ne
from typing import Any

_SHELLS = frozenset(
    {"In", "_ih", "_dh", "_i", "_ii", "_iii", "exit", "quit", "get_ipython", "__builtins__", "__builtin__", "_exit_code",
     "__vsc_ipynb_file__", "open"}
)  # fmt: skip
_INPUT = re.compile(r"_i\d+$")
_LARGE = 64 << 20
_KINDS = (
    ("numpy", ("ndarray",)),
    ("pandas", ("DataFrame", "Series")),
    ("torch", ("Tensor",)),
)
_may_be_large: dict[type, bool] = {}


def is_users(name: str) -> bool:
    """Whether a name of the namespace is the notebook's, not the shell's."""
    return name not in _SHELLS and not (name[:2] == "_i" and _INPUT.match(name))


class Before:
    """The namespace as it was before a statement; with `blind`, without holding anything of it."""

    def __init__(self, namespace: dict[str, Any], *, blind: bool = False) -> None:
        self._blind = blind
        held = namespace.copy()
        self._names = list(held)
        self._values: list[Any] = list(map(id, held.values())) if blind else list(held.values())
        if not blind:
            kinds = _kinds()
            for at in compress(range(len(held)), map(kinds.__contains__, map(type, self._values))):
                if _is_large(self._values[at]):
                    self._values[at] = weakref.ref(self._values[at])

    def names(self) -> list[str]:
        """Return the names that were bound."""
        return self._names

    def bound_since(self, namespace: dict[str, Any]) -> set[str]:
        """Return the names that are bound to another object now, or weren't bound before."""
        now = namespace.copy()
        names, values = list(now), list(map(id, now.values())) if self._blind else list(now.values())
        old_names, old = self._names, self._values
        if names[: len(old_names)] == old_names:  # a name keeps its place, new ones come last: no loop in Python
            differs = map(ne if self._blind else is_not, values, old)
            found = [at for at in compress(count(), differs) if not self._is_kept(old[at], values[at])]
            different = [names[at] for at in found] + names[len(old_names) :]
        else:
            before = dict(zip(old_names, old, strict=True))
            different = [
                name
                for name, value in zip(names, values, strict=True)
                if name not in before or not (before[name] is value or self._is_kept(before[name], value))
            ]
        return {name for name in different if is_users(name)}

    def deleted_since(self, namespace: dict[str, Any]) -> set[str]:
        """Return the names that aren't bound any more."""
        return {name for name in set(self._names).difference(namespace) if is_users(name)}

    def _is_kept(self, old: Any, value: Any) -> bool:
        """Whether a value that isn't the one kept is the same: as an id, or of a large one referred to weakly."""
        return bool(old == value) if self._blind else type(old) is weakref.ref and old() is value


def _kinds() -> dict[type, bool]:
    """Return the types whose values may be large, of the libraries that are loaded."""
    for package, names in _KINDS:
        module = sys.modules.get(package)
        for name in names:
            kind = getattr(module, name, None)
            if isinstance(kind, type):
                _may_be_large[kind] = True
    return _may_be_large


def _is_large(value: Any) -> bool:
    if type(value).__name__ in ("ndarray", "Tensor"):
        return bool(value.nbytes > _LARGE)
    size = 0
    manager = object.__getattribute__(value, "__dict__").get("_mgr")
    for block in getattr(manager, "blocks", ()):
        size += getattr(block.values, "nbytes", 0)
    return size > _LARGE
