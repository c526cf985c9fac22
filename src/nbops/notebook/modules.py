"""Which modules code imports: the project's own by path, the others by name.

Imports are read from the syntax tree, at any depth of it, never by executing; ``%run file.py`` and
``importlib.import_module("literal")`` count too. A name is local when a file for it lies in the notebook's folder or
in the project's root; local modules are read in turn, with the ``__init__`` files of the packages around them.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nbops.notebook.normalise import parse

_RUN = re.compile(r"^\s*%run\s+(?:-\S+\s+)*(?P<path>\"[^\"]+\"|'[^']+'|\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Imports:
    """What some code imports.

    Attributes
    ----------
    local
        The project's own modules: dotted name (or file name, for ``%run``) to path.
    external
        Top-level names of all other modules, without the standard library's.
    """

    local: dict[str, Path] = field(default_factory=dict)
    external: frozenset[str] = frozenset()


def find_imports(sources: Iterable[str], *, folder: Path, root: Path | None = None) -> Imports:
    """Return what cells or modules import, transitively through the project's own modules.

    Parameters
    ----------
    sources
        Code of cells.
    folder
        The notebook's folder, which Jupyter puts on ``sys.path``.
    root
        The project's root, the second place to look.
    """
    places = [folder.resolve()]
    if root is not None and root.resolve() not in places:
        places.append(root.resolve())
    local: dict[str, Path] = {}
    external: set[str] = set()
    waiting: list[tuple[str, str]] = [(source, "") for source in sources]
    while waiting:
        source, package = waiting.pop()
        for name in imported_names(source, package):
            found = list(_resolve(name, places))
            if not found and not _is_local(name, places):
                external.add(name.partition(".")[0])
            for module, path in found:
                if module not in local:
                    local[module] = path
                    waiting.append((_source(path), _package(module, path)))
        for path in _run_files(source, places):
            if path.name not in local:
                local[path.name] = path
                waiting.append((_source(path), ""))
    return Imports(dict(sorted(local.items())), frozenset(external - set(sys.stdlib_module_names) - {"__future__", ""}))


def local_modules(sources: Iterable[str], *, folder: Path, root: Path | None = None) -> dict[str, Path]:
    """Return the project's own modules that the code imports, by dotted name; see `find_imports`."""
    return find_imports(sources, folder=folder, root=root).local


def imported_names(source: str, package: str = "") -> list[str]:
    """Return the dotted names that code imports, sorted; `package` is what relative imports start from.

    ``from a import b`` gives ``a`` and ``a.b``, because ``b`` may be a module.
    """
    tree = parse(source)
    names: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            if base is not None:
                names.add(base)
                names.update(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")
        elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                names.add(first.value.lstrip("."))
    return sorted(name for name in names if name)


def _absolute(node: ast.ImportFrom, package: str) -> str | None:
    if not node.level:
        return node.module
    parts = package.split(".") if package else []
    if node.level > len(parts):  # beyond the top, which Python refuses too
        return None
    kept = parts[: len(parts) - (node.level - 1)]
    return ".".join([*kept, node.module] if node.module else kept)


def _resolve(name: str, places: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield the module and the packages around it as far as they are local files."""
    parts = name.split(".")
    for place in places:
        found = False
        for depth in range(1, len(parts) + 1):
            base = place.joinpath(*parts[:depth])
            path = next((one for one in (base / "__init__.py", base.with_suffix(".py")) if one.is_file()), None)
            if path is not None:
                found = True
                yield ".".join(parts[:depth]), path
            elif not base.is_dir():
                break
        if found:
            return


def _is_local(name: str, places: Sequence[Path]) -> bool:
    """Whether a name is below a local namespace package: a folder with Python files and no ``__init__``."""
    top = name.partition(".")[0]
    return any((place / top).is_dir() and next((place / top).glob("*.py"), None) for place in places)


def _package(module: str, path: Path) -> str:
    return module if path.name == "__init__.py" else module.rpartition(".")[0]


def _source(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _run_files(source: str, places: Sequence[Path]) -> Iterator[Path]:
    for match in _RUN.finditer(source):
        name = match["path"].strip("\"'")
        for place in places[:1]:
            path = (place / name).with_suffix(".py")
            if path.is_file():
                yield path


def _called(func: ast.expr) -> str:
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""
