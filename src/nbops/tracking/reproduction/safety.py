"""What keeps a run from being made again: a masked secret, and files outside of the project that it would write over."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nbops.errors import TrackingError
from nbops.tracking.reproduction.origin import Origin
from nbops.tracking.reproduction.restore import is_masked
from nbops.tracking.store import Store

_CODE = (".py", ".pyc", ".so")


def refuse_unsafe(store: Store, origin: Origin, write_outside: bool) -> None:
    """Refuse what can't or mustn't be run again.

    Raises
    ------
    TrackingError
        Says what is in the way.
    """
    where = f"run {origin.run.summary.run_id[:8]}"
    for position, piece in enumerate(origin.recipe.pieces, 1):
        if is_masked(piece.source):
            raise TrackingError(
                f"cell {position} of its recipe holds a secret, which was masked when it was recorded",
                where=where,
                remedy="have the notebook read it from an environment variable; `nbops restore` writes the recipe to edit",
            )
    outside = sorted(path for path in _written(origin) if _is_endangered(path, store.project.root))
    if outside and not write_outside:
        raise TrackingError(
            f"it wrote outside of the project, over what is there now: {', '.join(map(str, outside[:5]))}",
            where=where,
            remedy="--write-outside lets it write there again",
        )


def _written(origin: Origin) -> set[Path]:
    ends = (origin.cells[piece.seq].end for piece in origin.recipe.pieces if piece.seq in origin.cells)
    return {Path(path) for end in ends if end for step in end.steps for path in step.writes if Path(path).is_absolute()}


def _is_endangered(path: Path, root: Path) -> bool:
    harmless = (root, Path(tempfile.gettempdir()), Path("/dev"), Path("/proc"), Path.home() / ".cache")
    return path.is_file() and not any(path.is_relative_to(folder) for folder in harmless)


def outside_reads(origin: Origin) -> set[Path]:
    """Return the files outside of the project that a run's session read."""
    ends = (cell.end for cell in origin.cells.values())
    found = {Path(path) for end in ends if end for step in end.steps for path in step.reads}
    found |= {Path(data.source) for cell in origin.cells.values() for data in cell.data if len(data.source) < 1000}
    return {
        path for path in found if path.is_absolute() and path.suffix not in _CODE and "site-packages" not in path.parts
    }
