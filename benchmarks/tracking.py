"""What tracking costs a notebook of 50 cells: plain, with nbops, with MLflow's autologging alone, and with W&B offline.

Each way runs in kernels of its own, in turn, over Jupyter's own protocol, beginning with the import of scikit-learn; what
the ways need to start (``%load_ext nbops``, ``import mlflow``) is measured apart. The notebook reads a table, prepares it,
fits five small models and looks at the results. A cell's cost is measured cell by cell against the plain notebook, medians
of the rounds; the peers, which take longest, run in the first round only. Loading is measured in processor time, with
compiled files in place. Afterwards what nbops and MLflow left in their stores is compared: params, metrics, model, dataset.
W&B is run where a throwaway environment can be made with ``uv``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

SETUP = [
    "import numpy as np\nimport pandas as pd",
    "from sklearn.linear_model import LogisticRegression\nfrom sklearn.preprocessing import StandardScaler",
    "from sklearn.pipeline import make_pipeline\nfrom sklearn.tree import DecisionTreeClassifier",
    "from sklearn.metrics import f1_score",
    "table = pd.read_csv('table.csv')\ntable.shape",
    "table['c'] = table.a * table.b\ntable['late'] = (table.c % 3 == 0).astype(int)",
    "train, test = table.iloc[:15000], table.iloc[15000:]",
    "columns = ['a', 'b', 'c']\nLogisticRegression()",
]
FITS = [
    "model = make_pipeline(StandardScaler(), LogisticRegression()).fit(train[columns], train.late)",
    *(f"model = DecisionTreeClassifier(max_depth={n}).fit(train[columns], train.late)" for n in (4, 6, 8, 10)),
]
LOOKS = [
    "guess = model.predict(test[columns])",
    "f1_score(test.late, guess)",
    "table.describe().round(2)",
    "by_a = table.groupby('a').late.mean()\nby_a.head()",
    "share = float(test.late.mean())\nprint(share)",
    "wide = table.pivot_table(index='a', values='c', aggfunc='mean')\nwide.shape",
    "x = 1",
]
CELLS = [*SETUP, *(cell for fit in FITS for cell in (fit, *LOOKS, "x = 2"))][:50]
WAYS = {
    "plain": [],
    "nbops": ["%load_ext nbops"],
    "mlflow": ["import mlflow\nmlflow.set_tracking_uri('sqlite:///peer.db')\nmlflow.autolog(silent=True)"],
}
WANDB = [
    "import os\nos.environ |= {'WANDB_MODE': 'offline', 'WANDB_SILENT': 'true', 'WANDB_CONSOLE': 'off'}",
    "import wandb\nrun = wandb.init(project='bench', dir='.')",
]
LOOP = """
import time, mlflow
with mlflow.start_run():
    mlflow.log_metric('loss', 0.0)
    _began = time.perf_counter()
    for _step in range(2000):
        mlflow.log_metric('loss', 1.0 / (_step + 1), step=_step)
    print((time.perf_counter() - _began) / 2000 * 1e6)
"""
LOAD = (
    "import time; _began = time.process_time()\n"
    "get_ipython().run_line_magic('load_ext', 'nbops')\nprint((time.process_time() - _began) * 1000)"
)
IMPORT = "import time; b = time.process_time(); import nbops; print((time.process_time() - b) * 1000)"
HELP = (
    "import resource, subprocess, sys\nsubprocess.run([sys.argv[1], '--help'], check=True, stdout=subprocess.DEVNULL)\n"
)
HELP += "u = resource.getrusage(resource.RUSAGE_CHILDREN)\nprint((u.ru_utime + u.ru_stime) * 1000)"
# Users' Pythons keep what they compiled
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
PEERS = frozenset({"mlflow", "wandb"})


class Kernel:
    """A kernel and a client that waits for each cell's reply."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.kernel_spec.argv[0] = python
        self.manager.start_kernel(cwd=str(folder), env={**ENVIRONMENT, "MPLBACKEND": "agg"}, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=120)

    def run(self, cell: str) -> tuple[float, str]:
        """Run a cell; return the seconds until its reply, and what it printed."""
        printed: list[str] = []

        def keep(message: dict[str, Any]) -> None:
            printed.append(message["content"].get("text", ""))

        began = time.perf_counter()
        reply = self.client.execute_interactive(cell, output_hook=keep, timeout=600)
        took = time.perf_counter() - began
        assert reply["content"]["status"] == "ok", reply["content"]
        return took, "".join(printed)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()


@contextmanager
def kernel(folder: Path, python: str = sys.executable) -> Iterator[Kernel]:
    started = Kernel(folder, python)
    try:
        yield started
    finally:
        started.stop()


def cells_of(folder: Path, first: list[str], python: str = sys.executable) -> list[float]:
    """Run the notebook in a fresh kernel; return the seconds of each cell, and first those of what comes before."""
    with kernel(folder, python) as fresh:
        before = sum(fresh.run(cell)[0] for cell in first)
        return [before, *(fresh.run(cell)[0] for cell in CELLS)]


def make_project(folder: Path) -> Path:
    """Lay out a project with a table and both stores migrated, which happens once and isn't measured."""
    from nbops.project import Project
    from nbops.tracking.store.migration import ensure_migrated

    (folder / "nbops.toml").touch()
    rows = "\n".join(f"{i % 97},{i * 31 % 101}" for i in range(20_000))
    (folder / "table.csv").write_text(f"a,b\n{rows}\n", encoding="utf-8")
    for uri in (Project.find(folder).tracking_uri, f"sqlite:///{folder / 'peer.db'}"):
        ensure_migrated(uri)
    return folder


def settled(folder: Path) -> None:
    from nbops.project import Project
    from nbops.tracking.journal import settle

    assert settle(Project.find(folder), timeout=300), "the worker should have got everything into the store"


def wandb_python(folder: Path) -> tuple[str | None, str]:
    """Make an environment with W&B; return its interpreter, or None and why there is none."""
    uv = shutil.which("uv")
    if uv is None:
        return None, "no uv to make an environment with"
    where = folder / "wandb-env"
    needed = ["wandb", "ipykernel", "pandas", "scikit-learn"]
    for command in (
        [uv, "venv", "-q", "--python", sys.executable, str(where)],
        [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(where / "bin" / "python"), *needed],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=180)
        except subprocess.CalledProcessError as error:
            return None, f"uv {command[1]} failed: {(error.stderr or '').strip()[-300:]}"
        except (subprocess.SubprocessError, OSError) as error:
            return None, f"uv {command[1]} failed: {type(error).__name__}"
    return str(where / "bin" / "python"), ""


def logged(uri: str) -> list[dict[str, Any]]:
    """Return what a store's runs hold, oldest first."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    found = []
    for run in sorted(runs, key=lambda run: int(run.info.start_time)):
        models = [client.get_logged_model(made.model_id) for made in run.outputs.model_outputs]
        found.append(
            {
                "params": run.data.params,
                "metrics": {key: round(value, 12) for key, value in run.data.metrics.items()},
                "datasets": sorted(
                    (one.dataset.name, one.dataset.digest)
                    for one in run.inputs.dataset_inputs
                    if one.dataset.name == "dataset"
                ),
                "models": [(model.name, model.params) for model in models],
            }
        )
    return found


def same_stores(folder: Path) -> float:
    """Return the share of MLflow's runs of one notebook that nbops' runs of it equal."""
    from nbops.project import Project

    ours, theirs = logged(Project.find(folder).tracking_uri), logged(f"sqlite:///{folder / 'peer.db'}")
    equal = 0
    for mine, its in zip(ours, theirs, strict=False):
        params = {key: value for key, value in mine["params"].items() if key in its["params"]}  # beside variables
        equal += {**mine, "params": params} == its
    return equal / max(len(theirs), len(ours), 1)


def one_more_ms(cells: dict[str, list[list[float]]], way: str, at: list[int]) -> float:
    """Return the median of how many milliseconds more the cells at some places take, each a median of the rounds."""
    more = [
        statistics.median(round_[i] for round_ in cells[way])
        - statistics.median(round_[i] for round_ in cells["plain"])
        for i in at
    ]
    return statistics.median(more) * 1000


def ratio_at(cells: dict[str, list[list[float]]], way: str, at: list[int]) -> float:
    """Return the median of how many times as long as plain the cells at some places take."""
    return statistics.median(
        min(round_[i] for round_ in cells[way]) / min(round_[i] for round_ in cells["plain"]) for i in at
    )


def measure(folder: Path, rounds: int, *, with_wandb: bool) -> list[dict[str, Any]]:
    imported = min(_printed(IMPORT) for _ in range(5))
    command = shutil.which("nbops", path=str(Path(sys.executable).parent)) or "nbops"
    helped = min(_printed(HELP, command) for _ in range(3))
    ways = dict(WAYS)
    python = dict.fromkeys(ways, sys.executable)
    if with_wandb:
        found, why = wandb_python(folder)
        if found:
            ways["wandb"], python["wandb"] = WANDB, found
        else:
            print(f"W&B left out: {why}")
    cells: dict[str, list[list[float]]] = {way: [] for way in ways}
    loads = []
    shared = 0.0
    for number in range(rounds):
        for way, first in list(ways.items()):
            if way in PEERS and number:
                continue
            try:
                cells[way].append(cells_of(folder, first, python[way]))
            except (AssertionError, RuntimeError, TimeoutError) as error:
                if way != "wandb":
                    raise
                print(f"W&B left out: {str(error)[:300]}")
                del ways[way], cells[way]
            settled(folder)  # a worker that is still at work would disturb the next way
        if number == 0:
            shared = same_stores(folder)
        with kernel(folder) as fresh:
            loads.append(float(fresh.run(LOAD)[1]))
            settled(folder)
    with kernel(folder) as fresh:
        fresh.run("%load_ext nbops")
        ours_loop = float(fresh.run(LOOP)[1])
    with kernel(folder) as fresh:
        fresh.run("import mlflow\nmlflow.set_tracking_uri('sqlite:///peer.db')")
        peer_loop = float(fresh.run(LOOP.replace("range(2000)", "range(200)").replace("/ 2000", "/ 200"))[1])
    settled(folder)
    whole = {way: statistics.median(sum(round_[1:]) for round_ in rounds_) for way, rounds_ in cells.items()}
    print("50 cells, 5 fits, s: " + ", ".join(f"{way} {seconds:.2f}" for way, seconds in whole.items()))
    fit_at = [i + 1 for i, cell in enumerate(CELLS) if ".fit(" in cell]
    other_at = [i + 1 for i, cell in enumerate(CELLS) if ".fit(" not in cell and i >= len(SETUP)]
    results = [
        _most("a cell that fits nothing: ms more at the median", one_more_ms(cells, "nbops", other_at), 1.0),
        _most("the whole notebook: % more", (whole["nbops"] / whole["plain"] - 1) * 100, 2.0),
        _most("a small fit: times as long as plain", ratio_at(cells, "nbops", fit_at), 1.3),
        _least("MLflow's runs that nbops' equal: share", shared, 1.0),
        _most("mlflow.log_metric in a loop: µs", ours_loop, 100.0),
        _most("%load_ext nbops in a fresh kernel: ms", min(loads), 200.0),
        _most("import nbops: ms", imported, 150.0),
        _most("nbops --help: ms", helped, 300.0),
    ]
    peers = {
        "a cell that fits nothing: ms more at the median": one_more_ms(cells, "mlflow", other_at),
        "the whole notebook: % more": (whole["mlflow"] / whole["plain"] - 1) * 100,
        "a small fit: times as long as plain": ratio_at(cells, "mlflow", fit_at),
        "mlflow.log_metric in a loop: µs": peer_loop,
    }
    for result in results:
        if (peer := peers.get(result["name"])) is not None:
            result |= {"peer": peer, "ratio": peer / result["ours"] if result["ours"] > 0 else None}
    if "wandb" in whole:
        print(f"W&B offline, the whole notebook: {(whole['wandb'] / whole['plain'] - 1) * 100:.1f} % more")
    return results


def _printed(code: str, *arguments: str) -> float:
    command = [sys.executable, "-c", code, *arguments]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout)


def _most(name: str, ours: float, goal: float) -> dict[str, Any]:
    return {"name": name, "ours": ours, "peer": None, "ratio": None, "goal": goal, "met": ours <= goal}


def _least(name: str, ours: float, goal: float) -> dict[str, Any]:
    return {"name": name, "ours": ours, "peer": None, "ratio": None, "goal": goal, "met": ours >= goal}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-wandb", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = measure(make_project(Path(folder)), options.rounds, with_wandb=not options.no_wandb)
    for result in results:
        peer = f", MLflow {result['peer']:.2f}" if result["peer"] is not None else ""
        print(
            f"{'ok ' if result['met'] else 'NOT'} {result['name']}: {result['ours']:.2f}{peer} (goal {result['goal']:g})"
        )
    if options.json:
        options.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
