"""Which modules are the user's own, and which belong to an installed distribution or to Python.

A module counts as a library's when its file lies below one of the interpreter's own folders or in a site-packages folder, or
when it has no file. What `__main__` holds is the notebook's.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from functools import cache, lru_cache
from pathlib import Path
from types import ModuleType

_OURS = ("nbops",)


@cache
def library_folders() -> tuple[str, ...]:
    """Return the folders of Python and of installed distributions, with a slash at their ends."""
    folders = set(sysconfig.get_paths().values())
    folders.update(site.getsitepackages())
    folders.add(site.getusersitepackages())
    folders.add(str(Path(__file__).resolve().parents[2]))  # ours, wherever it's installed from
    folders.update((f"{sys.prefix}/lib", f"{sys.base_prefix}/lib", f"{sys.prefix}/share", f"{sys.prefix}/etc"))
    return tuple(f"{folder.rstrip('/')}/" for folder in folders if folder not in ("/", ""))


def is_library_file(path: object) -> bool:
    """Whether a file lies in one of those folders, links followed; quick for one beside another."""
    return (
        type(path) is str
        and path.startswith(library_folders())
        and _is_library_folder(os.path.dirname(path))  # noqa: PTH120  # for each file that is opened
        and not os.path.islink(path)  # noqa: PTH114
    )


@lru_cache(maxsize=4096)
def _is_library_folder(folder: str) -> bool:
    return f"{os.path.realpath(folder)}/".startswith(library_folders())


def package_of(module: str) -> str:
    """Return the top-level package of a module's name."""
    return module.partition(".")[0]


_known: dict[str, bool] = {"__main__": False, "builtins": True, "__mp_main__": False}


def is_library(name: object) -> bool:
    """Whether the module of this name belongs to a distribution or to Python."""
    if type(name) is not str:
        return False
    known = _known.get(name)
    if known is None:
        package = package_of(name)
        known = package in sys.stdlib_module_names or package in _OURS
        if not known:
            module = sys.modules.get(name)
            if module is None:
                return False
            known = _lies_in_library(module)
        _known[name] = known
    return known


def _lies_in_library(module: ModuleType) -> bool:
    file = module.__dict__.get("__file__")
    if not isinstance(file, str):
        paths = list(module.__dict__.get("__path__") or ())
        return not paths or str(paths[0]).startswith(library_folders())
    return file.startswith(library_folders())


_MODULE = type.__dict__["__module__"].__get__


def module_of(kind: type) -> str:
    """Return the name of the module that a class says it's from, without asking a metaclass."""
    try:
        name = _MODULE(kind)
    except AttributeError:
        return ""
    return name if type(name) is str else ""
