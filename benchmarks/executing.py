"""Executing notebooks with papermill as it is and with nbops' engine, side by side: what starting and saving cost.

python benchmarks/executing.py [--json FILE] [--repeat 3]

A trivial notebook runs from the command line and from Python; longer ones from Python only. Of each, wall time's median
is compared, ours and papermill's in turn. What saving costs is seen in a cell's cost, which should be the same in a short
notebook and in a long one; the cost of the trivial notebook is taken off before.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import papermill

LENGTHS = (10, 100, 500)
LONGEST = 2000  # ours only: papermill would take a quarter of an hour
GOALS = {"500 cells": 8.0}
FLAT = 1.5
TRIVIAL = "x = 1"
PRINTS = "print('y' * 1000)"
PRINTS_20_KB = "print('y' * 20_000)"


def notebook(folder: Path, name: str, cells: int, source: str) -> Path:
    """Write a notebook of equal cells."""
    path = folder / f"{name}.ipynb"
    code = [nbformat.v4.new_code_cell(source) for _ in range(cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    return path


def from_python(path: Path, engine: str | None) -> Callable[[], None]:
    """Return what executes a notebook with papermill's Python API."""
    done = str(path.with_suffix(".out.ipynb"))
    options: dict[str, Any] = {"engine_name": engine, "progress_bar": False, "kernel_name": "python3"}
    return lambda: papermill.execute_notebook(str(path), done, **options)


def from_shell(path: Path, engine: str | None) -> Callable[[], None]:
    """Return what executes a notebook with papermill's command."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", str(path)]
    command += [str(path.with_suffix(".out.ipynb")), *(["--engine", engine] if engine else [])]
    return lambda: subprocess.run(command, check=True, capture_output=True) and None


def seconds(work: Callable[[], None]) -> float:
    """Return how long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(how: Callable[[Path, str | None], Callable[[], None]], path: Path, repeat: int) -> tuple[float, float]:
    """Return the medians of our seconds and papermill's own."""
    pairs = [(seconds(how(path, "nbops")), seconds(how(path, None))) for _ in range(repeat)]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def measure(folder: Path, repeat: int) -> list[dict[str, Any]]:
    """Return a row for each comparison."""
    trivial = notebook(folder, "trivial", 1, TRIVIAL)
    for engine in ("nbops", None):  # imports, and whatever else happens once
        from_python(trivial, engine)()
    rows = [_row("trivial notebook, command: s", *in_turn(from_shell, trivial, repeat))]
    start = in_turn(from_python, trivial, repeat)
    rows.append(_row("trivial notebook, Python: s", *start))
    each: dict[int, tuple[float, float]] = {}
    for cells in LENGTHS:
        took = in_turn(from_python, notebook(folder, str(cells), cells, PRINTS), 1 if cells > 100 else repeat)
        rows.append(_row(f"{cells} cells: s", *took, goal=GOALS.get(f"{cells} cells")))
        ours, theirs = (max(whole - once, 0.0) / cells * 1000 for whole, once in zip(took, start, strict=True))
        each[cells] = ours, theirs
        rows.append(_row(f"a cell's cost among {cells}: ms", ours, theirs))
    rows.append(
        _row("100 cells of 20 kB: s", *in_turn(from_python, notebook(folder, "wide", 100, PRINTS_20_KB), repeat))
    )
    longest = seconds(from_python(notebook(folder, "longest", LONGEST, PRINTS), "nbops"))
    cost = (longest - start[0]) / LONGEST * 1000
    rows.append(_row(f"a cell's cost among {LONGEST}: ms", cost, None))
    flat = cost / each[LENGTHS[0]][0] if each[LENGTHS[0]][0] else float("inf")
    name = f"a cell's cost among {LONGEST}, times that among {LENGTHS[0]}"
    rows.append({"name": name, "ours": flat, "peer": None, "ratio": None, "goal": FLAT, "met": flat <= FLAT})
    return rows


def _row(name: str, ours: float, peer: float | None, goal: float | None = None) -> dict[str, Any]:
    ratio = peer / ours if peer is not None and ours > 0 else None
    met = None if goal is None else ratio is not None and ratio >= goal
    return {"name": name, "ours": ours, "peer": peer, "ratio": ratio, "goal": goal, "met": met}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="nbops-bench-") as folder:
        rows = measure(Path(folder), options.repeat)
    for row in rows:
        peer = f"papermill {row['peer']:8.2f}  {row['ratio'] or 0:6.2f}×" if row["peer"] is not None else ""
        goal = f"goal {row['goal']:g}: {'met' if row['met'] else 'NOT met'}" if row["goal"] is not None else ""
        print(f"{row['name']:<44} ours {row['ours']:8.2f}  {peer:<29} {goal}".rstrip())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
