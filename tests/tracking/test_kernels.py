"""Real kernels and a real store: runs, their snapshots, and what is left when a kernel dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kernels import Kernel, sessions
from nbops.project import Project
from nbops.tracking.journal import settle
from nbops.tracking.recording.records import SessionLog, read
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.schema import VERSION_KINDS, RunSummary
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow
Start = Callable[..., Kernel]

DATA = "import pandas as pd\ntable = pd.read_csv('in.csv')\nX, y = table[['a', 'b']], table['y']"
FIT = "from sklearn.linear_model import LogisticRegression\nmodel = LogisticRegression(C=2.0).fit(X, y)"


@pytest.fixture
def table(project: Project) -> Path:
    path = project.root / "in.csv"
    rows = "\n".join(f"{i},{i * 7 % 5},{int(i % 3 == 0)}" for i in range(60))
    path.write_text(f"a,b,y\n{rows}\n", encoding="utf-8")
    return path


def _runs(project: Project) -> dict[str, RunSummary]:
    return {run.name: run for run in Store(project).runs()}


def _wait(look: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_session_with_fits_runs_and_a_run_left_open(project: Project, table: Path, start_kernel: Start) -> None:
    kernel = start_kernel()
    said = [
        kernel.run(code)
        for code in (
            "%load_ext nbops",
            DATA,
            FIT,
            "%%nbops run by-magic -p lr=0.1 -t team=a\nmodel2 = LogisticRegression().fit(X, y)\nlen(X)",
            "%%nbops run broken\n1 / 0",
            "import warnings, mlflow, nbops\nwarnings.warn('the user own')\nmlflow.start_run(run_name='by-hand');",
            "mlflow.log_param('depth', 3)",
            "model3 = LogisticRegression(C=3.0).fit(X, y)",
            "mlflow.end_run()",
            "with nbops.run('outer'):\n    mlflow.start_run(run_name='left inside', nested=True)",
            "import asyncio\nwith nbops.run('awaiting', params={'api_key': 'hunter2'}):\n    await asyncio.sleep(0.01)",
            "%%nbops run refused\nawait asyncio.sleep(1)",
            "mlflow.start_run(run_name='left open');",
        )
    ]
    kernel.stop()
    assert [reply.status for reply in said] == ["ok"] * 4 + ["error"] + ["ok"] * 6 + ["error", "ok"]
    assert [reply.text for reply in said[:4]] == ["", "", "", "60"]
    assert "the user own" in said[5].text
    assert "nbops" not in said[5].text.replace("import warnings, mlflow, nbops", "")
    assert "can't await" in said[11].text
    log = sessions(project)[0]
    assert log.closed
    assert log.closed.outcome == "ok"
    assert not (project.state / "nbops.log").exists()

    runs = _runs(project)
    fit = next(run for run in runs.values() if run.params.get("C") == "2.0")
    assert fit.metrics["training_accuracy_score"] > 0.5
    assert {run.status for name, run in runs.items() if name not in ("broken", "refused")} == {"FINISHED"}
    assert {runs["broken"].status, runs["refused"].status} == {"FAILED"}
    assert runs["by-magic"].params["lr"] == "0.1"
    assert runs["awaiting"].params["api_key"] == "***"
    assert runs["left inside"].parent == runs["outer"].run_id
    assert all(run.versions.code and run.versions.environment and run.versions.experiment for run in runs.values())
    for run in (fit, runs["by-magic"], runs["by-hand"]):
        assert all(getattr(run.versions, kind) for kind in VERSION_KINDS), run.name
    assert runs["by-hand"].params["depth"] == "3"

    detail = Store(project).run(fit.run_id)
    datasets = {dataset.name: (dataset.source, dataset.rows) for dataset in detail.datasets}
    assert datasets["in.csv"] == ("in.csv", 60)
    assert {"dataset", "fit X", "fit y"} <= datasets.keys()
    assert detail.snapshot["code"]["cells"][-1]["source"] == FIT
    assert detail.snapshot["model"]["models"][0]["name"] == "model"
    assert not [name for name in detail.artifacts if name.endswith(".png")]
    cell = next(cell for cell in log.cells if cell.start.source == FIT)
    assert cell.end
    assert cell.end.runs == [fit.run_id]


def test_versions_are_stable_and_tell_what_differs(project: Project, table: Path, start_kernel: Start) -> None:
    kernel, seen = start_kernel(), set[str]()

    def fit_in_a_new_session(*cells: str) -> RunSummary:
        for cell in ("%load_ext nbops", *cells, "%unload_ext nbops"):
            assert kernel.run(cell).status == "ok"
        found = next(run for run in Store(project).runs() if run.run_id not in seen)
        seen.add(found.run_id)
        return found

    first = fit_in_a_new_session(DATA, FIT)
    kernel.stop()
    kernel = start_kernel()
    again = fit_in_a_new_session(DATA + "  # the same", FIT)
    assert again.versions == first.versions
    table.write_text(table.read_text(encoding="utf-8").replace("1,2,0", "1,3,0"), encoding="utf-8")
    other_data = fit_in_a_new_session(DATA, FIT)
    assert _differing(first, other_data) == {"data", "model", "experiment"}
    unneeded = fit_in_a_new_session(DATA, "note = 1", FIT)
    assert unneeded.versions == other_data.versions, "the code version is the recipe's"
    other_code = fit_in_a_new_session(DATA + "\nX = X.copy()", FIT)
    assert _differing(other_data, other_code) == {"code"}


def _differing(one: RunSummary, other: RunSummary) -> set[str]:
    return {kind for kind in VERSION_KINDS if getattr(one.versions, kind) != getattr(other.versions, kind)}


def test_a_killed_kernel_leaves_its_cells_and_a_killed_run(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel()
    for cell in ("%load_ext nbops", "x = 1", "import mlflow; mlflow.start_run(run_name='mine');"):
        kernel.run(cell)
    store = Store(project)
    assert close_dead(store) == []
    assert _runs(project)["mine"].status == "FINISHED", "between cells no run is open"
    kernel.client.execute("mlflow.log_metric('m', 1)\nimport time; time.sleep(60)")
    file = next(project.sessions.iterdir())
    _wait(lambda: "sleep(60)" in file.read_text(encoding="utf-8"))
    _wait(lambda: _runs(project)["mine"].status == "RUNNING")
    kernel.kill()
    with file.open("ab") as stream:
        stream.write(b'{"type":"end","seq":4,"outco')
    assert close_dead(store) == [_runs(project)["mine"].run_id]
    assert _runs(project)["mine"].status == "KILLED"
    log: SessionLog = read(file)
    assert [cell.start.source for cell in log.cells][:2] == ["%load_ext nbops", "x = 1"]
    assert [cell.end is not None for cell in log.cells] == [True, True, True, False]
    assert log.closed
    assert log.closed.outcome == "killed"
    assert close_dead(store) == []


def test_an_interrupted_cell_is_an_error(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel()
    kernel.run("%load_ext nbops")
    file = next(project.sessions.iterdir())
    for number, code in enumerate(("import time\ntime.sleep(60)", "import asyncio\nawait asyncio.sleep(60)")):
        kernel.client.execute(code)
        _wait(lambda code=code: code.split("\n")[1] in file.read_text(encoding="utf-8"))  # type: ignore[misc]
        time.sleep(0.3)
        kernel.manager.interrupt_kernel()
        kernel.client.kernel_info()  # an idle loop doesn't see the interrupt before the next message
        _wait(lambda number=number: len([c for c in read(file).cells if c.end]) == number + 2)  # type: ignore[misc]
    assert kernel.run("x = 1").status == "ok"
    _, slept, awaited, after = read(file).cells
    assert slept.end
    assert slept.end.error == "KeyboardInterrupt"
    assert awaited.end
    assert awaited.end.outcome == "error"
    assert after.end
    assert after.end.outcome == "ok"


def test_a_stage_logs_into_its_run_and_leaves_it_running(project: Project, table: Path, start_kernel: Start) -> None:
    store = Store(project)
    run_id = store.start_run("train", tags={"nbops.stage": "train"})
    kernel = start_kernel(NBOPS_STAGE="train", NBOPS_RUN_ID=run_id, NBOPS_SESSION="s1", NBOPS_NOTEBOOK="train.ipynb")
    load = "from nbops.magics import load_ipython_extension as _load; _load(get_ipython()); del _load"
    kernel.client.execute_interactive(load, silent=True, store_history=False)
    for cell in ("%load_ext nbops", DATA, FIT, "import mlflow; mlflow.log_metric('auc', 0.5)"):
        assert kernel.run(cell).status == "ok"
    assert settle(project, timeout=60)
    assert store.run(run_id).summary.status == "RUNNING"
    kernel.stop()
    run = store.run(run_id).summary
    assert (run.params["C"], run.metrics["auc"]) == ("2.0", 0.5)
    log = read(project.sessions / "s1.jsonl")
    assert log.session.notebook == "train.ipynb"
    assert [cell.start.source for cell in log.cells] == ["%load_ext nbops", DATA, FIT, log.cells[-1].start.source]
    assert [data.source for data in log.data] == ["in.csv"]
    assert [model.name for model in log.models] == ["model"]


def test_scikit_learn_costs_no_mlflow(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel(NBOPS_STAGE="data", NBOPS_RUN_ID="0" * 32)
    kernel.run("%load_ext nbops")
    kernel.run("from sklearn.datasets import load_iris\nfrom sklearn.metrics import accuracy_score\niris = load_iris()")
    kernel.run("from sklearn.tree import DecisionTreeClassifier\nDecisionTreeClassifier().fit(iris.data, iris.target)")
    assert kernel.run("import sys; 'mlflow' in sys.modules").text == "False"
