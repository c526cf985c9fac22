"""A run as a notebook again: its recipe, or everything that was executed up to it, ready to run from top to bottom.

The notebook is laid out from the run's origin (see `origin`), says in its first cell where it is from, and is written
whole or not at all. Cells that failed and must fail again begin with ``%%nbops fails``, which says how they failed
and goes on, and are tagged ``raises-exception``, which alone papermill doesn't heed: it looks at outputs. With the
history come the recorded outputs, as far as they were kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from nbops.errors import TrackingError
from nbops.notebook.document import Document, write
from nbops.tracking.recipe import Recipe
from nbops.tracking.redaction.redact import MASK
from nbops.tracking.reproduction.inputs import InputState, input_states
from nbops.tracking.reproduction.layout import lay_out, sources_of
from nbops.tracking.reproduction.origin import Origin, origin_of
from nbops.tracking.reproduction.places import relocated
from nbops.tracking.reproduction.shown import shown_outputs
from nbops.tracking.schema import VERSION_KINDS
from nbops.tracking.store import Store

Kind = Literal["recipe", "history"]
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Restored:
    """A restored notebook.

    Attributes
    ----------
    run_id
        The run.
    path
        Where the notebook was written; None if it wasn't.
    cells, failing
        How many code cells it has, and how many of them fail as they did.
    masked
        How many cells hold a masked secret, which somebody has to put back before they run.
    document
        The notebook.
    inputs
        What became of the run's inputs, if that was asked for.
    """

    run_id: str
    path: Path | None
    cells: int
    failing: int
    masked: int
    document: Document
    inputs: tuple[InputState, ...] = ()


def restore(
    store: Store,
    run: str,
    into: Path | str | None = None,
    *,
    kind: Kind = "recipe",
    force: bool = False,
    check_data: bool = False,
) -> Restored:
    """Write a run as a notebook.

    Parameters
    ----------
    store
        Where the run is.
    run
        Its id, the beginning of one, its name, or ``latest``.
    into
        The file; by default ``<notebook>-<run>.ipynb`` beside the notebook, from where relative paths lead as they did.
    kind
        ``recipe``: what the result needs. ``history``: all that was executed up to it, with the recorded outputs.
    force
        Whether to write over an existing file.
    check_data
        Whether to look at the inputs' fingerprints.

    Raises
    ------
    TrackingError
        If the run isn't known, nothing is known of its making, or the file exists.
    """
    origin = origin_of(store, run)
    path = Path(into).absolute() if into is not None else default_path(store, origin)
    if path.is_dir():
        raise TrackingError("a folder is in the way", where=str(path), remedy="give the file's name")
    if path.exists() and not force:
        raise TrackingError(
            "there is a file already", where=str(path), remedy="--force writes over it, -o names another file"
        )
    made = restored_document(store, origin, kind, path.parent)
    try:
        write(path, made)
    except OSError as error:
        raise TrackingError(f"can't be written: {error.strerror}", where=str(path)) from error
    kept = pieces_of(origin, kind)
    return Restored(
        run_id=origin.run.summary.run_id,
        path=path,
        cells=len(made.code_cells),
        failing=sum(piece.failed for piece in kept.pieces),
        masked=sum(is_masked(piece.source) for piece in kept.pieces),
        document=made,
        inputs=tuple(input_states(store.project, origin)) if check_data else (),
    )


def restored_document(store: Store, origin: Origin, kind: Kind = "recipe", folder: Path | None = None) -> Document:
    """Return a run's notebook, for `folder` (default: where its own notebook lies), without writing it."""
    kept = pieces_of(origin, kind)
    if origin.stage:
        folder = folder or default_path(store, origin).parent
        kept = relocated(kept, store.project.root, folder, origin.run.summary.run_id)
    commit = origin.run.snapshot.get("code", {}).get("commit")
    outputs = (
        (lambda piece: shown_outputs(store.project, origin.cells.get(piece.seq), piece.seq)) if origin.log else None
    )
    made = lay_out(
        kept.pieces,
        sources=sources_of(store.project.root, origin.notebook, commit),
        heading=_heading(origin, kept, kind),
        loads=not origin.stage,
        survives=not origin.stage,
        outputs=outputs if kind == "history" else None,
    )
    made.content["metadata"]["nbops"] = {
        "restored": {"format": _FORMAT, "run": origin.run.summary.run_id, "kind": kind, "nbops": version("nbops")}
    }
    return made


def pieces_of(origin: Origin, kind: Kind) -> Recipe:
    """Return the run's recipe or its history."""
    return origin.recipe if kind == "recipe" else origin.history


def default_path(store: Store, origin: Origin) -> Path:
    """Return ``<notebook>-<run>.ipynb`` in the notebook's folder, or ``run-<run>.ipynb`` in the one its kernel worked in."""
    ending = f"{origin.run.summary.run_id[:8]}.ipynb"
    if origin.notebook:
        path = store.project.root / origin.notebook
        if path.parent.is_dir():
            return path.with_name(f"{path.stem}-{ending}")
    folder = store.project.root / (origin.folder or "")
    return (folder if origin.folder and folder.is_dir() else Path.cwd()) / f"run-{ending}"


def is_masked(source: str) -> bool:
    """Whether a recorded cell lacks a secret that stood in it."""
    return f"'{MASK}'" in source or f'"{MASK}"' in source or f"{MASK}@" in source or f"={MASK}" in source


def _heading(origin: Origin, kept: Recipe, kind: Kind) -> str:
    run = origin.run.summary
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(run.started))
    versions = [f"{name} `{digest}`" for name in VERSION_KINDS if (digest := getattr(run.versions, name))]
    what = "The recipe of" if kind == "recipe" else "All that was executed up to"
    place = f" in `{origin.notebook}`" if origin.notebook else ""
    lines = [
        f"**{what} run `{run.name}`** (`{run.run_id}`), experiment {run.experiment}, made {made}{place}.",
        f"Versions: {', '.join(versions)}." if versions else "",
        f"Restored by nbops {version('nbops')}: {len(kept.pieces)} cells in executed order; "
        f"`nbops reproduce {run.run_id[:8]}` runs it and compares.",
    ]
    if failing := sum(piece.failed for piece in kept.pieces):
        lines.append(
            f"{failing} of them failed and do so again, because what they did before is needed; with `%%nbops fails` the "
            "notebook goes on after them."
        )
    if masked := sum(is_masked(piece.source) for piece in kept.pieces):
        lines.append(f"{masked} of them hold a secret that was masked (`{MASK}`): put it back before running them.")
    return "  \n".join(filter(None, lines))
