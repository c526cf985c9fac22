"""The code version: the commit, what differs from it, the cells that were executed, and the project's modules they import.

Cells and modules count by their normalised code: comments and spacing don't. A module counts as it is on disk when the
version is taken, with all that it imports of the project in turn, whether git knows it or not.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from nbops.notebook.modules import local_modules
from nbops.notebook.normalise import short_digest
from nbops.snapshot.environment import is_site_package
from nbops.snapshot.worktree import Repository

_foreign: dict[str, set[str]] = {}  # by project, names of modules that aren't its own: nearly all of some thousands


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell as it was executed."""

    cell_id: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Code:
    """What code made a run.

    Attributes
    ----------
    commit, branch
        Git's, None outside a repository or before its first commit.
    diff
        The difference between the commit and the working tree, untracked code included, at most a million characters.
    cells
        The executed cells, in executed order.
    modules
        The digest of each of the project's modules that the cells import, by name.
    """

    commit: str | None
    branch: str | None
    diff: str
    cells: tuple[Cell, ...]
    modules: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Eight hex digits over the executed cells' normalised code, and that of the modules they import."""
        return digest_of((cell.source for cell in self.cells), self.modules)

    @property
    def dirty(self) -> bool:
        """Whether the working tree differed from the commit."""
        return bool(self.diff)


def capture(root: Path, cells: Sequence[Cell], *, folder: Path | None = None) -> Code:
    """Return the code version of `cells` executed in the project at `root`.

    Parameters
    ----------
    root
        The project's folder.
    cells
        What was executed.
    folder
        The notebook's folder, which imports start from; by default the project's.
    """
    repository = Repository(root)
    status = repository.status()
    modules = modules_of((cell.source for cell in cells), root, folder)
    return Code(status.commit, status.branch, repository.difference(status), tuple(cells), modules)


def modules_of(sources: Iterable[str], root: Path, folder: Path | None = None) -> dict[str, str]:
    """Return the digest of each of the project's modules that some code imports, by name."""
    return _digests(local_modules(sources, folder=folder or root, root=root))


def loaded_modules(root: Path) -> dict[str, str]:
    """Return the digest of each of the project's modules that this process has imported, by name."""
    top = f"{root.resolve()}/"
    foreign = _foreign.setdefault(top, set())
    foreign.intersection_update(sys.modules)
    found: dict[str, Path] = {}
    for name in sys.modules.keys() - foreign:
        file = getattr(sys.modules.get(name), "__dict__", {}).get("__file__")
        if type(file) is str and file.startswith(top) and file.endswith(".py") and not is_site_package(file):
            found[name] = Path(file)
        else:
            foreign.add(name)
    return _digests(found)


def digest_of(sources: Iterable[str], modules: Mapping[str, str]) -> str:
    """Return eight hex digits over code and the digests of the modules that it imports."""
    cells = short_digest(sources)
    if not modules:
        return cells
    return hashlib.sha256(repr((cells, sorted(modules.items()))).encode()).hexdigest()[:8]


def _digests(modules: Mapping[str, Path]) -> dict[str, str]:
    found = {}
    for name, path in sorted(modules.items()):
        try:
            state = path.stat()
            found[name] = _digest_of_file(path, state.st_mtime_ns, state.st_size)
        except OSError:  # it was deleted after it was imported
            found[name] = "gone"
    return found


@lru_cache(maxsize=500)
def _digest_of_file(path: Path, written: int, size: int) -> str:
    return short_digest([path.read_text("utf-8", "replace")])
