"""Notebooks as text, executed with and without their history."""

from __future__ import annotations

import os
import random
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nbops.project import Project
from nbops.tracking.flow import Flow
from nbops.tracking.recipe import Recipe, recipe_of
from nbops.tracking.recording.records import Cell, End, Session, SessionLog, Start


@dataclass(frozen=True)
class Case:
    """A hard notebook: its cells in executed order, and the lines of each that its last cell needs."""

    name: str
    cells: tuple[str, ...]
    needed: tuple[frozenset[int], ...]


def cases(path: Path) -> list[Case]:
    """Read notebooks: cells parted by ``---``, needed lines marked by ``+``."""
    found = []
    for text in ("\n" + path.read_text(encoding="utf-8")).split("\n== ")[1:]:
        name, _, body = text.strip("\n").partition("\n")
        cells, needed = [], []
        for cell in body.split("\n---\n"):
            lines = cell.split("\n")
            cells.append("\n".join(line[2:] for line in lines))
            needed.append(frozenset(number for number, line in enumerate(lines, 1) if line.startswith("+")))
        found.append(Case(name, tuple(cells), tuple(needed)))
    return found


def new_shell() -> InteractiveShell:
    """Return a shell with nothing in it."""
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    return InteractiveShell(config=config)


class Failures(list[str]):
    """What tracing itself raised."""

    def note(self) -> None:
        import traceback

        self.append(traceback.format_exc())


def executed(cells: list[str] | tuple[str, ...], folder: Path, failures: Failures) -> tuple[SessionLog, Any]:
    """Execute cells in a folder under tracing; return their records and the namespace."""
    with _World(folder):
        shell = new_shell()
        flow = Flow(shell, Project(folder), failures.note)
        flow.start()
        records = []
        for seq, source in enumerate(cells, 1):
            flow.begin(seq, source)
            told = shell.run_cell(source, store_history=True)
            steps = flow.end()
            shown = None if told.result is None else type(told.result).__name__
            start = Start(seq, None, source, 0.0, order=seq)
            records.append(Cell(start, End(seq, "ok" if told.success else "error", 0.0, result=shown, steps=steps)))
        flow.stop()
        return SessionLog(Session("flow", 0, 0.0, 0.0), records), shell.user_ns


def replayed(recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Execute a recipe in a folder and a namespace of its own; return the namespace."""
    with _World(folder):
        shell = new_shell()
        for piece in recipe.pieces:
            shell.execution_count = piece.shown or shell.execution_count
            shell.run_cell(piece.source, store_history=True)
        return dict(shell.user_ns)


def of_last(log: SessionLog) -> Recipe:
    """Return the recipe of the last cell."""
    return recipe_of(log, {log.cells[-1].start.seq})


class _World:
    """What a notebook may change of its process is put back at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        import decimal
        import warnings

        import numpy as np

        self.folder.mkdir(parents=True, exist_ok=True)
        self._kept = (
            Path.cwd(),
            dict(os.environ),
            list(sys.path),
            set(sys.modules),
            np.geterr(),
            sys.modules.get("__main__"),
        )
        self._precision, self._bytecode = decimal.getcontext().prec, sys.dont_write_bytecode
        self._warnings = warnings.filters[:]
        warnings.simplefilter("ignore")  # what libraries say to a user's code
        os.chdir(self.folder)
        random.seed(99)
        np.random.seed(99)

    def __exit__(self, *_: object) -> None:
        import decimal
        import warnings

        import numpy as np
        import pandas as pd

        folder, environment, path, modules, errors, main = self._kept
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        for name in [name for name in sys.modules if name.startswith("flowcase") and name not in modules]:
            del sys.modules[name]
        np.seterr(**errors)
        decimal.getcontext().prec, sys.dont_write_bytecode = self._precision, self._bytecode
        warnings.filters[:] = self._warnings
        sys.modules["__main__"] = main
        for name in ("area", "flowcase"):
            if name in vars(pd.DataFrame):
                delattr(pd.DataFrame, name)
            pd.DataFrame._accessors.discard(name)
        InteractiveShell.clear_instance()
