"""Paths that a pipeline injected into a stage's notebook, which lead to where the stage was executed then.

Inputs were given by their absolute path, outputs by one in a staging folder below ``.nbops/work`` that is gone. In a
restored notebook inputs are found relative to it, wherever the project lies now, and outputs are written beside it,
under the run's first digits.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from nbops.notebook.parameters import INJECTED_ID
from nbops.tracking.recipe import Recipe

_STAGED = re.compile(r"(?P<root>/[^'\"\n]*)/\.nbops/work/[^/'\"\n]+/[^/'\"\n]+/outputs/\d+/(?P<name>[^'\"\n]+)")


def recorded_root(recipe: Recipe, root: Path) -> str:
    """Return where the project lay when a stage was executed: its staging folders tell."""
    for piece in recipe.pieces:
        if piece.cell_id == INJECTED_ID and (match := _STAGED.search(piece.source)):
            return match["root"]
    return str(root)


def relocated(recipe: Recipe, root: Path, folder: Path, run_id: str) -> Recipe:
    """Return a stage's recipe with injected paths that hold in a notebook in `folder`.

    Parameters
    ----------
    recipe
        The recipe.
    root
        The project's root now.
    folder
        Where the notebook will be.
    run_id
        The run, whose first digits stand before the names of outputs.
    """
    then = recorded_root(recipe, root)
    inside = folder if folder.is_relative_to(root) else root
    there = os.path.relpath(root, inside)

    def beside(match: re.Match[str]) -> str:
        return f"{run_id[:8]}-{match['name']}"

    def relative(match: re.Match[str]) -> str:
        return f"{match['quote']}{PurePosixPath(there) / match['rest']}"

    below = re.compile(rf"(?P<quote>['\"]){re.escape(then)}/(?P<rest>[^'\"\n]+)")
    pieces = tuple(
        replace(piece, source=below.sub(relative, _STAGED.sub(beside, piece.source)))
        if piece.cell_id == INJECTED_ID
        else piece
        for piece in recipe.pieces
    )
    return replace(recipe, pieces=pieces)
