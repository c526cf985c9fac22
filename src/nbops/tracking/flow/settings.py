"""What no name leads to: random states, the process's environment, libraries' settings.

Random states are read and written by every statement that changes them, and only written by one that seeds. Changes of the
environment, the working folder, the import path, of error handling in numpy, of scikit-learn's, pandas' and decimal's
settings and of the shell's own magics are `lasting`: they belong to every later recipe.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
import sys
from typing import Any

from nbops.tracking.flow.arrays import mersenne

_OWN_VARIABLES = ("MLFLOW_", "NBOPS_", "COLUMNS", "LINES", "MPLBACKEND", "KMP_", "PYTEST_")
_DISPLAY_ONLY = frozenset({"display", "plotting", "styler"})


class Randomness:
    """The states of the global random generators, as they were left."""

    def __init__(self) -> None:
        self._last: dict[str, Any] = {}
        self._gauss = False

    def look(self) -> set[str]:
        """Return the generators whose state isn't what it was at the last look."""
        now = self._states()
        changed = {name for name, state in now.items() if name in self._last and self._last[name] != state}
        self._last = now
        return changed

    def _states(self) -> dict[str, Any]:
        states: dict[str, Any] = {"random": _python()}
        legacy = sys.modules.get("numpy.random.mtrand")
        if legacy is not None:
            states["numpy"] = self._numpy(legacy._rand)
        torch = sys.modules.get("torch")
        if torch is not None and hasattr(torch, "get_rng_state"):
            states["torch"] = torch.get_rng_state().numpy().tobytes()
        return states

    def _numpy(self, generator: Any) -> Any:
        raw = mersenne(generator._bit_generator)
        if raw is None:
            return str(generator.get_state(legacy=False))
        before = self._last.get("numpy")
        if not isinstance(before, tuple) or before[0] != raw or self._gauss:
            # A normal number may be kept for the next call, which then doesn't touch the twister's state
            state = generator.get_state(legacy=False)
            self._gauss = bool(state["has_gauss"])
            return (raw, self._gauss, state["gauss"] if self._gauss else 0.0)
        return before


def _python() -> Any:
    """Return the state of Python's own generator, raw where it's certain where that lies: 20 times as quick."""
    if _RAW:
        return _raw(), getattr(_GENERATOR, "gauss_next", None)
    return random.getstate()


def _raw() -> bytes:
    return ctypes.string_at(id(_GENERATOR) + object.__basicsize__, _RAW_SIZE)


def _is_raw() -> bool:
    """Whether the generator's object is a head, an index and 624 words, as it has been in every CPython so far."""
    if sys.implementation.name != "cpython" or type(_GENERATOR).__basicsize__ < object.__basicsize__ + _RAW_SIZE:
        return False
    state = random.getstate()[1]
    index, *words = struct.unpack("=i624I", _raw())
    return bool((*words, index) == state)


_GENERATOR = getattr(random, "_inst", None)
_RAW_SIZE = 4 + 624 * 4
_RAW = isinstance(_GENERATOR, random.Random) and _is_raw()


def settings(shell: Any, *, options: bool) -> dict[str, Any]:
    """Return the settings that statements may change without a name leading to them; with `options`, pandas' too."""
    found: dict[str, Any] = {
        "environment": dict(_environment()),
        "folder": _folder(),
        "path": tuple(map(id, sys.path)),
        "recursion": sys.getrecursionlimit(),
        "hooks": (_display_hook(shell), id(sys.excepthook), len(sys.meta_path), len(sys.path_hooks)),
    }
    numpy = sys.modules.get("numpy")
    if numpy is not None and hasattr(numpy, "geterr"):
        found["numpy"] = _numpy_errors(numpy)
    sklearn = sys.modules.get("sklearn")
    if sklearn is not None and hasattr(sklearn, "get_config"):
        found["sklearn"] = config = sklearn.get_config()
        config.pop("display", None)
        config.pop("print_changed_only", None)
    pandas = sys.modules.get("pandas._config.config")
    if options and pandas is not None:
        found["pandas"] = _options(getattr(pandas, "_global_config", {}))
    decimal = sys.modules.get("decimal")
    if decimal is not None:
        context = decimal.getcontext()
        found["decimal"] = (context.prec, context.rounding)
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "get_default_dtype"):
        found["torch"] = (str(torch.get_default_dtype()), torch.get_num_threads(), torch.is_grad_enabled())
    warnings = sys.modules.get("warnings")
    if warnings is not None:
        found["warnings"] = [each[1:3] for each in warnings.filters if each[0] == "error"]
    magics = shell.magics_manager.magics
    found["magics"] = tuple(len(magics[kind]) for kind in ("line", "cell")), len(shell.ast_transformers)
    return found


def differ(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether settings were changed; variables that nbops and front ends set don't count."""
    if before == after:
        return False
    old, new = before["environment"], after["environment"]
    variables = any(
        old.get(key) != new.get(key) and not _name_of(key).startswith(_OWN_VARIABLES) for key in old.keys() | new.keys()
    )
    imported_since = after.keys() - before.keys()
    return variables or any(
        before.get(key) != value for key, value in after.items() if key != "environment" and key not in imported_since
    )


def _display_hook(shell: Any) -> int:
    """Return the id of the user's own display hook; 0 for IPython's, and for the one that it takes the place of in a cell."""
    hook = sys.displayhook
    trap = shell.display_trap
    return 0 if hook is trap.hook or hook is trap.old_hook else id(hook)


def _numpy_errors(numpy: Any) -> Any:
    """Return what numpy does about errors, by the function in C that its `geterr` asks, where there is one."""
    found = getattr(getattr(getattr(numpy, "_core", None), "umath", None), "_get_extobj_dict", None)
    if found is None:
        return numpy.geterr()
    held = found()
    held.pop("bufsize", None)
    held["call"] = id(held.get("call"))
    return held


def _environment() -> Any:
    return getattr(os.environ, "_data", os.environ)


def _name_of(key: Any) -> str:
    return key.decode(errors="replace") if isinstance(key, bytes) else str(key)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109
    except OSError:
        return ""


def _options(options: Any) -> Any:
    found: dict[str, Any] = {}
    for key, value in options.items():
        if key in _DISPLAY_ONLY:
            continue
        found[key] = _options(value) if isinstance(value, dict) else id(value)
    return found
