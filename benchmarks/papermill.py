"""Executing notebooks with papermill as it is and with nbops' engine, side by side: what starting, importing and saving cost.

python benchmarks/papermill.py [--json FILE] [--repeat 3]

Wall times, medians, ours and papermill's in turn. *Warm* means that a template has imported what the notebook imports, as
it has from a notebook's second execution on; *cold* means that there is none, as before the first. What saving costs is
seen in a cell's cost, which should be the same in a short notebook and in a long one; the cost of the trivial notebook is
taken off before.
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
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat

from nbops.pipeline.kernels import templates

sys.path = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
if __name__ == "papermill":  # another benchmark beside this one wants what this one has its name from
    del sys.modules["papermill"]
papermill = import_module("papermill")

LENGTHS = (10, 100, 500)
LONGEST = 2000  # ours only: papermill would take a quarter of an hour
GOALS = {"500 cells": 8.0}
FLAT = 1.5
RUNS = 20
TRIVIAL = "x = 1"
PRINTS = "print('y' * 1000)"
PRINTS_20_KB = "print('y' * 20_000)"
FITS = """import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
table = pd.DataFrame(np.random.default_rng(0).random((1000, 5)), columns=list("abcde"))
model = LogisticRegression().fit(table, table.a > 0.5)
print(model.score(table, table.a > 0.5))
"""


def notebook(folder: Path, name: str, cells: int, source: str) -> Path:
    """Write a notebook of equal cells."""
    path = folder / f"{name}.ipynb"
    code = [nbformat.v4.new_code_cell(source) for _ in range(cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    return path


def from_python(path: Path, engine: str | None) -> Callable[[], object]:
    """Return what executes a notebook with papermill's Python API."""
    done = str(path.with_suffix(".out.ipynb"))
    options: dict[str, Any] = {"engine_name": engine, "progress_bar": False, "kernel_name": "python3"}
    return lambda: papermill.execute_notebook(str(path), done, **options)


def from_shell(path: Path, engine: str | None) -> Callable[[], object]:
    """Return what executes a notebook with papermill's command."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", str(path)]
    command += [str(path.with_suffix(".out.ipynb")), *(["--engine", engine] if engine else [])]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def script(path: Path) -> Callable[[], object]:
    """Return what runs a notebook's code as a plain script."""
    plain = path.with_suffix(".py")
    cells = nbformat.read(path, as_version=4).cells
    plain.write_text("\n".join(cell.source for cell in cells), encoding="utf-8")
    return lambda: subprocess.run([sys.executable, str(plain)], check=True, capture_output=True)


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(how: Callable[[Path, str | None], Callable[[], object]], path: Path, repeat: int) -> tuple[float, float]:
    """Return the medians of our seconds and papermill's own."""
    pairs = [(seconds(how(path, "nbops")), seconds(how(path, None))) for _ in range(repeat)]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs)


def cold(path: Path, repeat: int) -> tuple[float, float]:
    """Return the medians of our seconds without a template and papermill's, from Python."""
    ours, theirs = [], []
    for _ in range(repeat):
        templates.stop_all()
        time.sleep(1.0)
        ours.append(seconds(from_python(path, "nbops")))
        theirs.append(seconds(from_python(path, None)))
    return statistics.median(ours), statistics.median(theirs)


def warm(path: Path, repeat: int) -> list[dict[str, Any]]:
    """Compare a notebook that fits something, its libraries imported ahead, with all other ways to run it."""
    from_python(path, "nbops")()
    ours = statistics.median(_rested(from_python(path, "nbops")) for _ in range(repeat + 2))
    others = {
        "papermill's command": (from_shell(path, None), 8.0),
        "papermill from Python": (from_python(path, None), 6.0),
        "a plain script": (script(path), 3.0),
    }
    rows = [
        _row(f"pandas and scikit-learn, warm, beside {name}: s", ours, _median(work, repeat), goal)
        for name, (work, goal) in others.items()
    ]
    mine, its = (sum(seconds(from_python(path, engine)) for _ in range(RUNS)) for engine in ("nbops", None))
    return [*rows, _row(f"{RUNS} runs of it, one after the other: s", mine, its, goal=6.0)]


def _rested(work: Callable[[], object]) -> float:
    time.sleep(1.0)  # as between two runs by hand: a spare kernel is ready
    return seconds(work)


def _median(work: Callable[[], object], repeat: int) -> float:
    return statistics.median(seconds(work) for _ in range(repeat))


def measure(folder: Path, repeat: int) -> list[dict[str, Any]]:
    """Return a row for each comparison."""
    trivial = notebook(folder, "trivial", 1, TRIVIAL)
    for engine in ("nbops", None):  # imports, and whatever else happens once
        from_python(trivial, engine)()
    fits = notebook(folder, "fits", 1, FITS)
    rows = [
        _row("trivial notebook, cold: s", *cold(trivial, repeat), goal=1.0),
        _row("pandas and scikit-learn, cold: s", *cold(fits, repeat), goal=1.0),
        *warm(fits, repeat),
        _row("trivial notebook, command: s", *in_turn(from_shell, trivial, repeat)),
    ]
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
        peer = f"peer {row['peer']:8.2f}  {row['ratio'] or 0:6.2f}×" if row["peer"] is not None else ""
        goal = f"goal {row['goal']:g}: {'met' if row['met'] else 'NOT met'}" if row["goal"] is not None else ""
        print(f"{row['name']:<66} ours {row['ours']:8.2f}  {peer:<29} {goal}".rstrip())
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
