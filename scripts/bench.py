"""Run every benchmark, each by itself, and keep its figures in ``build/bench/``. See `make bench`."""

from __future__ import annotations

import sys

from workshop import PYTHON, ROOT, interruptible, prepare, run, say


def main(chosen: list[str]) -> None:
    """Run the benchmarks named, or all of them."""
    prepare("test")
    folder = ROOT / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "benchmarks").glob("*.py")):
        if not chosen or path.stem in chosen:
            say(path.stem)
            run(PYTHON, path, "--json", folder / f"{path.stem}.json")


if __name__ == "__main__":
    with interruptible("make bench"):
        main(sys.argv[1:])
