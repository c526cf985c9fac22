"""The whole loop on 336,776 flights: from notebooks to a proven, serving model. See `make demo`.

Every step is a command that a user would type. Each may be interrupted; a second call goes on from the cache.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from workshop import BIN, ROOT, interruptible, prepare, run, say

PROJECT = Path("notebooks/flights")
NBOPS = BIN / ("nbops.exe" if sys.platform == "win32" else "nbops")


def nbops(*arguments: str) -> None:
    """Show and run an nbops command."""
    print(f"\n$ nbops {' '.join(arguments)}", flush=True)
    run(NBOPS, *arguments)


def main() -> None:
    """Run the demo."""
    began = time.monotonic()
    prepare("demo")
    say("1. Run the pipeline: five notebooks, executed by papermill")
    nbops("run", str(PROJECT))
    say("2. Again: nothing changed, so nothing is executed")
    nbops("run", str(PROJECT))
    say("3. With another learning rate: only what depends on it")
    nbops("run", str(PROJECT), "-p", "learning_rate=0.05")
    say("4. What was tracked")
    nbops("runs", str(PROJECT))
    nbops("show", "train", "--project", str(PROJECT))
    say("5. Promote the pipeline's model through the gates")
    nbops("promote", str(PROJECT))
    say(
        "6. Package it: wheel, lock, Dockerfile, model card, and the proof that it predicts what the notebook predicted"
    )
    nbops("package", str(PROJECT))
    say("7. Serve it, and send it the first 10,000 flights of July")
    july = (
        "--replay",
        str(PROJECT / "data" / "flights.parquet"),
        "--where",
        "scheduled.dt.month == 7",
        "--rows",
        "10000",
    )
    nbops("serve", str(PROJECT), *july)
    say(f"Done in {time.monotonic() - began:.0f} s. What was made:")
    print(f"  {PROJECT}/.nbops/         runs, cell records, cache, executed notebooks (MLflow: see below)")
    print(f"  {PROJECT}/data/           the stages' outputs")
    print(f"  {PROJECT}/bundles/        the proven bundle")
    print("\nNext, with `source .venv/bin/activate`:")
    print(f"  nbops lab {PROJECT}       the same in JupyterLab: open explore.ipynb" + _without_extension())
    print(f"  mlflow ui --backend-store-uri sqlite:///{PROJECT}/.nbops/mlflow.db")


def _without_extension() -> str:
    installed = subprocess.run(
        [BIN / "python", "-c", "from nbops.lab import extension_folder; print(extension_folder() or '')"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.strip()
    if installed:
        return ""
    remedy = "install Node.js and run make demo again" if not shutil.which("npm") else "see the build's messages above"
    return f"\n  (the JupyterLab extension was left out: {remedy})"


if __name__ == "__main__":
    with interruptible("make demo"):
        main()
