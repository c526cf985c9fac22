"""The notebook's namespace before and after a statement: which names were bound, and which deleted.

Values are compared by identity, so the old ones are held meanwhile, except for large arrays and tables, of which a weak
reference does. IPython's own history of inputs isn't the notebook's; what a cell showed last (`_`, `_3`, `Out`) is.
"""

from __future__ import annotations

import re
import weakref
from typing import Any

_SHELLS = frozenset(
    {"In", "_ih", "_dh", "_i", "_ii", "_iii", "exit", "quit", "get_ipython", "__builtins__", "__builtin__", "_exit_code",
     "__vsc_ipynb_file__", "open"}
)  # fmt: skip
_INPUT = re.compile(r"_i\d+$")
_MAY_BE_LARGE = frozenset({"ndarray", "DataFrame", "Series", "Tensor"})
_LARGE = 64 << 20
_MISSING = object()


def is_users(name: str) -> bool:
    """Whether a name of the namespace is the notebook's, not the shell's."""
    return name not in _SHELLS and not (name[:2] == "_i" and _INPUT.match(name))


class Before:
    """The namespace as it was before a statement; with `blind`, without holding anything of it."""

    def __init__(self, namespace: dict[str, Any], *, blind: bool = False) -> None:
        self._blind = blind
        if blind:
            self._values: dict[str, Any] = {name: id(value) for name, value in namespace.items()}
            return
        self._values = dict(namespace)
        for name, value in namespace.items():
            if type(value).__name__ in _MAY_BE_LARGE and _is_large(value):
                self._values[name] = weakref.ref(value)

    def names(self) -> list[str]:
        """Return the names that were bound."""
        return list(self._values)

    def bound_since(self, namespace: dict[str, Any]) -> set[str]:
        """Return the names that are bound to another object now, or weren't bound before."""
        values = self._values
        if self._blind:
            return {name for name, value in list(namespace.items()) if values.get(name) != id(value) and is_users(name)}
        found = set()
        for name, value in list(namespace.items()):
            old = values.get(name, _MISSING)
            if old is not value and not (type(old) is weakref.ref and old() is value) and is_users(name):
                found.add(name)
        return found

    def deleted_since(self, namespace: dict[str, Any]) -> set[str]:
        """Return the names that aren't bound any more."""
        return {name for name in self._values.keys() - namespace.keys() if is_users(name)}


def _is_large(value: Any) -> bool:
    if not type(value).__module__.startswith(("numpy", "pandas", "torch")):
        return False
    if type(value).__name__ in ("ndarray", "Tensor"):
        return bool(value.nbytes > _LARGE)
    manager = object.__getattribute__(value, "__dict__").get("_mgr")
    return sum(getattr(block.values, "nbytes", 0) for block in getattr(manager, "blocks", ())) > _LARGE
