"""How many notebooks' runs can be lived again: each is executed in a kernel that records, restored by recipe, and reproduced.

The notebooks are those of ``benchmarks/notebooks`` (in the manner of scikit-learn's gallery: loaders, plots,
pipelines, searches, files, random states; some are executed out of order, edited and failing on the way, as their
``benchmark.order`` says), the stages of ``notebooks/flights`` and its ``explore.ipynb``, and any other folder of
notebooks that is named. The last run that each made is restored and reproduced. One notebook draws without a seed,
and has to be told apart. scikit-learn's gallery itself isn't among them: no distribution that is installed here ships it
(searched for were folders of examples and ``plot_*.py``), so those of ``benchmarks/notebooks`` go through its chapters.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from jupyter_client.manager import KernelManager

from nbops.errors import NbopsError
from nbops.notebook import document
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.reproduction.reproduce import reproduce
from nbops.tracking.reproduction.restore import restore
from nbops.tracking.store import Store

HERE = Path(__file__).resolve().parent
FLIGHTS = HERE.parent / "notebooks" / "flights"
CELL_TIMEOUT = 600


@dataclass
class Result:
    """How one notebook fared; `verdict` is reproduced, close, differs, or why it came to none."""

    name: str
    ran: bool = False
    runs: int = 0
    restored: bool = False
    cells: int = 0
    kept: int = 0
    verdict: str = ""
    said: str = ""
    seconds: float = 0.0


def order_of(notebook: document.Document) -> list[tuple[str, str]]:
    """Return what to execute: ids and code, in the notebook's own order or in the one that its metadata gives."""
    sources = {cell.id: cell.source for cell in notebook.code_cells if cell.source.strip()}
    told = notebook.content["metadata"].get("benchmark", {}).get("order") or list(sources)
    return [(step, sources[step]) if isinstance(step, str) else (step[0], step[1]) for step in told]


def execute(path: Path) -> bool:
    """Execute a notebook's cells in a kernel of its own, as JupyterLab does; return whether the last one went well."""
    manager = KernelManager(kernel_name="python3")
    variables = {**os.environ, "JPY_SESSION_NAME": str(path), "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    manager.start_kernel(cwd=str(path.parent), env=variables, stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    status = "ok"
    try:
        client.wait_for_ready(timeout=120)
        steps = order_of(document.read(path))
        if not any("%load_ext nbops" in source for _, source in steps):
            steps.insert(0, ("load-nbops", "%load_ext nbops"))
        for cell_id, source in steps:
            content = {
                "code": source,
                "silent": False,
                "store_history": True,
                "stop_on_error": False,
                "allow_stdin": False,
            }
            message = client.session.msg("execute_request", content, metadata={"cellId": cell_id})
            client.shell_channel.send(message)
            while True:
                reply = client.get_shell_msg(timeout=CELL_TIMEOUT)
                if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                    status = reply["content"]["status"]
                    break
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    return status == "ok"


def live_again(store: Store, name: str, run_id: str, result: Result, timeout: float) -> None:
    """Restore and reproduce a run."""
    with tempfile.TemporaryDirectory(prefix="nbops-") as folder:
        made = restore(store, run_id, Path(folder) / "restored.ipynb")
        result.restored, result.kept = True, made.cells
    again = reproduce(store, run_id, timeout=timeout)
    result.verdict, result.said = again.verdict, again.said()


def live(project: Project, path: Path, timeout: float) -> Result:
    """Execute, restore and reproduce one notebook."""
    result = Result(path.stem, cells=len(order_of(document.read(path))))
    began = time.monotonic()
    try:
        result.ran = execute(path)
        store = Store(project)
        close_dead(store)
        notebook = project.relative(path)
        runs = [run for run in store.runs(where=f"tags.`nbops.notebook` = '{notebook}'") if run.parent is None]
        result.runs = len(runs)
        if runs:
            live_again(store, path.stem, runs[0].run_id, result, timeout)
        else:
            result.verdict = "no run"
    except (NbopsError, RuntimeError, TimeoutError) as error:
        result.verdict, result.said = "failed", str(error)
    result.seconds = time.monotonic() - began
    return result


def live_flights(folder: Path, timeout: float) -> list[Result]:
    """Run the flights pipeline in a copy, and reproduce each stage's run."""
    root = folder / "flights"
    shutil.copytree(FLIGHTS, root, ignore=shutil.ignore_patterns(".nbops", "data", "bundles", "__pycache__"))
    ran = subprocess.run([sys.executable, "-m", "nbops", "run"], cwd=root, capture_output=True, text=True, check=False)
    project = Project.find(root)
    store = Store(project)
    results = []
    for run in reversed([run for run in store.runs() if run.stage]):
        result = Result(f"flights/{run.stage}", ran=run.status == "FINISHED", runs=1)
        began = time.monotonic()
        try:
            live_again(store, result.name, run.run_id, result, timeout)
        except NbopsError as error:
            result.verdict, result.said = "failed", str(error)
        result.cells, result.seconds = result.kept, time.monotonic() - began
        results.append(result)
        tell(result)
    if not results:
        results.append(Result("flights", verdict="failed", said=ran.stderr[-300:]))
    explored = live(project, root / "explore.ipynb", timeout)
    explored.name = "flights/explore"
    tell(explored)
    return [*results, explored]


def tell(result: Result) -> None:
    ran = "ran" if result.ran else "did not run"
    kept = f"{result.kept}/{result.cells} cells" if result.restored else f"{result.cells} cells"
    print(f"{result.name:32} {ran}, {result.runs} runs, {kept:14} {result.seconds:5.0f} s  {result.verdict}", end="")
    print(
        f": {' '.join(result.said.split())[:140]}" if result.verdict not in ("reproduced", result.said) else "",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, help="folders of notebooks (default: benchmarks/notebooks)")
    parser.add_argument("--only", default="", help="only notebooks whose name contains one of these (with commas)")
    parser.add_argument("--flights", action="store_true", help="the flights project too (minutes)")
    parser.add_argument("--timeout", type=float, default=CELL_TIMEOUT, help="the most seconds a cell may take")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory(prefix="nbops-lives-") as name:
        place = Path(name)
        for number, folder in enumerate(options.folders or [HERE / "notebooks"]):
            root = place / str(number) / "lives"
            shutil.copytree(folder, root, ignore=shutil.ignore_patterns(".nbops", ".ipynb_checkpoints"))
            (root / "nbops.toml").touch()
            for path in sorted(root.rglob("*.ipynb")):
                if any(part in path.stem for part in options.only.split(",")) and ".nbops" not in path.parts:
                    results.append(live(Project.find(root), path, options.timeout))
                    tell(results[-1])
        if options.flights:
            results += live_flights(place, options.timeout)
    counts = Counter(result.verdict for result in results)
    totals = {
        "notebooks": len(results),
        "ran": sum(result.ran for result in results),
        "restored": sum(result.restored for result in results),
        **{verdict: counts[verdict] for verdict in ("reproduced", "close", "differs", "no run", "failed")},
    }
    print(", ".join(f"{key} {value}" for key, value in totals.items()))
    if options.json:
        document.write_atomically(
            options.json,
            json.dumps({"totals": totals, "notebooks": [asdict(one) for one in results]}, indent=1).encode(),
        )
    return 0 if counts["failed"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
