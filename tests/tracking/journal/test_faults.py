"""What kills, cuts off and fills up leaves of a journal: all that was complete is in the store in the end, once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from nbops.project import Project
from nbops.tracking.journal import settle
from nbops.tracking.journal.file import journals
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow
Start = Callable[..., Any]

DATA = "import mlflow\nfrom sklearn.linear_model import Ridge\nX, y = [[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0]"
FITS = "for alpha in (1.0, 2.0, 3.0):\n    Ridge(alpha=alpha).fit(X, y)"


def workers(project: Project) -> list[int]:
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        line = process.info["cmdline"] or []
        if "nbops.tracking.journal.worker" in line and str(project.root) in line:
            found.append(process.info["pid"])
    return found


def wait(look: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def fits(project: Project) -> list[tuple[str, str]]:
    """Return the alphas that runs were made with, and the runs' status."""
    return sorted((run.params.get("alpha", "?"), run.status) for run in Store(project).runs())


def test_a_killed_worker_loses_nothing_and_repeats_nothing(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel()
    for cell in ("%load_ext nbops", DATA):
        assert kernel.run(cell).status == "ok"
    wait(lambda: workers(project))
    kernel.run(FITS)
    kernel.run(
        "with mlflow.start_run(run_name='mine'):\n    mlflow.log_metric('m', 1)\n    mlflow.log_text('x', 'x.txt')"
    )
    store = Store(project)
    for _ in range(3):  # wherever it is by then
        time.sleep(0.7)
        for pid in workers(project):
            os.kill(pid, signal.SIGKILL)
    assert settle(project, timeout=90)
    runs = {run.name: run for run in store.runs()}
    assert fits(project) == [("1.0", "FINISHED"), ("2.0", "FINISHED"), ("3.0", "FINISHED"), ("?", "FINISHED")]
    assert runs["mine"].metrics == {"m": 1.0}
    assert "x.txt" in store.run(runs["mine"].run_id).artifacts
    for run in runs.values():
        made = store.client.get_run(run.run_id).outputs.model_outputs
        alive = [m for m in made if _exists(store, m.model_id)]
        assert len(alive) == (0 if run.name == "mine" else 1)
        assert run.versions.code
    kernel.stop()
    wait(lambda: not journals(project))


def _exists(store: Store, model_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        store.client.get_logged_model(model_id)
    except MlflowException:
        return False
    return True


def test_a_killed_kernel_leaves_all_that_is_a_second_old(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel()
    for cell in ("%load_ext nbops", DATA, FITS, "mlflow.start_run(run_name='open');\nmlflow.log_metric('m', 2)"):
        assert kernel.run(cell).status == "ok"
    kernel.client.execute("mlflow.log_param('p', 1)\nimport time; time.sleep(60)")
    time.sleep(1.0)
    kernel.kill()
    for pid in workers(project):
        os.kill(pid, signal.SIGKILL)
    assert settle(project, timeout=90)
    assert not journals(project)
    runs = {run.name: run for run in Store(project).runs()}
    assert [alpha for alpha, status in fits(project) if status == "FINISHED"] == ["1.0", "2.0", "3.0"]
    assert runs["open"].metrics == {"m": 2.0}
    assert runs["open"].params["p"] == "1"


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--artifacts-destination", str(folder / "a")),
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait(lambda: _answers(port), 90)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_that_is_away_delays_no_cell_and_gets_it_all_later(
    project: Project, tmp_path: Path, start_kernel: Start
) -> None:
    from nbops.tracking.store.migration import ensure_migrated

    ensure_migrated(f"sqlite:///{tmp_path / 'server.db'}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (project.root / "nbops.toml").write_text(f'[tracking]\nuri = "http://127.0.0.1:{port}"\n', encoding="utf-8")
    project = Project.find(project.root)
    kernel = start_kernel()
    with mlflow_server(tmp_path, port):
        for cell in ("%load_ext nbops", DATA, "with mlflow.start_run() as run:\n    mlflow.log_metric('here', 1)"):
            assert kernel.run(cell).status == "ok"
        known = kernel.run("run.info.run_id").text.strip("'")
        assert settle(project, timeout=60)
        store = Store(project)
        assert store.client.get_run(known).data.metrics == {"here": 1.0}
    assert kernel.run("with mlflow.start_run(run_name='away'):\n    mlflow.log_metric('m', 1)").status == "ok"
    began = time.monotonic()
    assert kernel.run(FITS).status == "ok"
    assert kernel.run("with mlflow.start_run(run_name='again'):\n    mlflow.log_metric('m', 1)").status == "ok"
    assert time.monotonic() - began < 5
    assert not settle(project, timeout=0.5)
    with mlflow_server(tmp_path, port):
        assert settle(project, timeout=90)
        runs = {run.name: run for run in Store(project).runs()}
        assert runs["away"].metrics == runs["again"].metrics == {"m": 1.0}
        assert sorted(run.params["alpha"] for run in runs.values() if run.params) == ["1.0", "2.0", "3.0"]
        assert {run.status for run in runs.values()} == {"FINISHED"}
        kernel.stop()
        wait(lambda: not journals(project))


def test_a_full_disk_stops_no_cell_and_loses_nothing_small(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel()
    for cell in ("%load_ext nbops", DATA, "mlflow.start_run(run_name='mine');"):
        assert kernel.run(cell).status == "ok"
    size = next(iter(journals(project))).size()
    kernel.run(f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size + 150}, resource.RLIM_INFINITY))")
    reply = kernel.run(
        "for i in range(20):\n    mlflow.log_metric('m', i, step=i, timestamp=1 + i)\nRidge().fit(X, y).coef_"
    )
    assert (reply.status, "array" in reply.text) == ("ok", True)
    kernel.run("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))")
    kernel.run("mlflow.log_metric('m', 20, step=20)")
    assert settle(project, timeout=60)
    run = next(run for run in Store(project).runs() if run.name == "mine")
    history = Store(project).client.get_metric_history(run.run_id, "m")
    assert sorted(point.step for point in history) == list(range(21))


def test_two_kernels_log_at_once(project: Project, start_kernel: Start) -> None:
    kernels = [start_kernel(), start_kernel()]
    for kernel in kernels:
        for cell in ("%load_ext nbops", DATA):
            assert kernel.run(cell).status == "ok"
    for kernel in kernels:
        kernel.client.execute(f"{FITS}\nwith mlflow.start_run():\n    mlflow.log_param('alpha', 'by hand')")
    for kernel in kernels:
        assert kernel.run("1").status == "ok"
        kernel.stop()
    assert settle(project, timeout=90)
    wanted = [(alpha, "FINISHED") for alpha in ("1.0", "2.0", "3.0", "by hand") for _ in kernels]
    assert fits(project) == sorted(wanted)
