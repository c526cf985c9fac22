"""The code version: the commit, what differs from it, and the cells that were executed."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nbops.notebook.normalise import short_digest

_MAX_DIFF = 1_000_000


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
        The difference between the commit and the working tree, at most a million characters.
    cells
        The executed cells, in executed order.
    """

    commit: str | None
    branch: str | None
    diff: str
    cells: tuple[Cell, ...]

    @property
    def digest(self) -> str:
        """Eight hex digits over the executed cells' normalised code."""
        return short_digest(cell.source for cell in self.cells)

    @property
    def dirty(self) -> bool:
        """Whether the working tree differed from the commit."""
        return bool(self.diff)


def capture(root: Path, cells: Sequence[Cell]) -> Code:
    """Return the code version of `cells` executed in the project at `root`."""
    commit = _git(root, "rev-parse", "HEAD")
    branch = _git(root, "symbolic-ref", "--short", "-q", "HEAD")
    diff = (_git(root, "diff", "--no-color", "--no-ext-diff", "HEAD", "--", ".") or "") if commit else ""
    return Code(commit, branch, diff[:_MAX_DIFF], tuple(cells))


def _git(root: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(root), *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):  # no git, no repository, no commit yet: each means no version
        return None
    return answer.stdout.strip() or None
