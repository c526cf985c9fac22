"""The notebook's namespace before and after a statement: which names were bound, and which deleted.

Values are compared by identity, so the old ones are held meanwhile, except for large arrays and tables, of which a weak
reference does. IPython's own history of inputs isn't the notebook's; what a cell showed last (`_`, `_3`, `Out`) is.
"""

from __future__ import annotations

import re
import sys
import weakref
from collections.abc import Iterable
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
    """The namespace as it was before a statement; with `blind`, without holding anything of it.

    The values of the `large` names are referred to weakly.
    """

    def __init__(self, namespace: dict[str, Any], large: Iterable[str] = (), *, blind: bool = False) -> None:
        self._blind = blind
        self._held = namespace.copy()
        if blind:
            self._held = {name: id(value) for name, value in self._held.items()}
            return
        for name in large:
            value = self._held.get(name)
            if type(value) in _may_be_large:  # it may have been bound to something else since
                self._held[name] = weakref.ref(value)

    def bound_since(self, namespace: dict[str, Any]) -> set[str]:
        """Return the names that are bound to another object now, or weren't bound before."""
        now = namespace.copy()
        names, values = list(now), list(map(id, now.values())) if self._blind else list(now.values())
        old_names, old = list(self._held), list(self._held.values())
        if names[: len(old_names)] == old_names:  # a name keeps its place, new ones come last: no loop in Python
            differs = map(ne if self._blind else is_not, values, old)
            found = [at for at in compress(count(), differs) if not self._is_kept(old[at], values[at])]
            different = [names[at] for at in found] + names[len(old_names) :]
        else:
            before = self._held
            different = [
                name
                for name, value in zip(names, values, strict=True)
                if name not in before or not (before[name] is value or self._is_kept(before[name], value))
            ]
        return {name for name in different if is_users(name)}

    def deleted_since(self, namespace: dict[str, Any]) -> set[str]:
        """Return the names that aren't bound any more."""
        return {name for name in self._held.keys() - namespace.keys() if is_users(name)}

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


def is_large(value: Any) -> bool:
    """Whether a value is an array or a table of so many bytes that it isn't to be held for longer than the user does."""
    if type(value) not in _kinds():
        return False
    if type(value).__name__ in ("ndarray", "Tensor"):
        return bool(value.nbytes > _LARGE)
    size = 0
    manager = object.__getattribute__(value, "__dict__").get("_mgr")
    for block in getattr(manager, "blocks", ()):
        size += getattr(block.values, "nbytes", 0)
    return size > _LARGE
