"""Executing notebooks: nbops' engine beside papermill's, and a pipeline that has nothing to do beside papermill's start.

python benchmarks/pipeline.py [--json FILE] [--repeat 3]
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

import nbformat
import papermill

GOALS = {"1 cell": 1.0, "100 cells": 2.0, "300 cells": 3.0, "nothing to do, CPU": 3.0}


def notebook(folder: Path, cells: int) -> Path:
    """Write a notebook of trivial cells that print a kilobyte each."""
    code = [nbformat.v4.new_code_cell(f"x{i} = {i}\nprint('y' * 1000)") for i in range(cells)]
    path = folder / f"{cells}.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=code), path)
    return path


def executing(path: Path, engine: str | None) -> Callable[[], None]:
    """Return what executes a notebook with one of papermill's engines."""

    def execute() -> None:
        papermill.execute_notebook(
            str(path),
            str(path.with_suffix(".out.ipynb")),
            engine_name=engine,
            progress_bar=False,
            kernel_name="python3",
        )

    return execute


def median(work: Callable[[], None], repeat: int) -> float:
    """Return the median of the wall times in seconds."""
    times = []
    for _ in range(repeat):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def nothing_to_do(folder: Path, repeat: int) -> float:
    """Return the median CPU seconds of `nbops run` on a project whose stages are all cached."""
    import resource

    subprocess.run([sys.executable, "-m", "nbops", "init", str(folder)], check=True, capture_output=True)
    command = [sys.executable, "-m", "nbops", "run"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    times = []
    for _ in range(repeat):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(times)


def papermill_start(repeat: int) -> float:
    """Return the median CPU seconds that importing papermill takes."""
    code = "import papermill, time; print(time.process_time())"
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True) for _ in range(repeat)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    rows = []
    with tempfile.TemporaryDirectory(prefix="nbops-bench-") as name:
        folder = Path(name)
        figures = {}
        for cells in (1, 100, 300):
            path = notebook(folder, cells)
            ours, theirs = (median(executing(path, engine), options.repeat) for engine in ("nbops", None))
            figures[f"{cells} cell{'s' if cells > 1 else ''}"] = (ours, theirs)
        figures["nothing to do, CPU"] = (
            nothing_to_do(folder / "project", options.repeat),
            papermill_start(options.repeat),
        )
    for what, (ours, theirs) in figures.items():
        ratio = theirs / ours
        met = ratio >= GOALS[what]
        rows.append({"name": what, "ours": ours, "peer": theirs, "ratio": ratio, "goal": GOALS[what], "met": met})
        print(f"{what:<20} ours {ours:6.2f} s   papermill {theirs:6.2f} s   {ratio:5.2f}×   goal {GOALS[what]}×")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
