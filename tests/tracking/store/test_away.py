"""PostgreSQL is stopped under a kernel and started again: no cell waits or fails, and all of it is there afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nbops.project import Project
from nbops.tracking.journal import refused, settle
from nbops.tracking.store import Store
from postgres import Cluster

pytestmark = pytest.mark.slow

DATA = "import mlflow\nfrom sklearn.linear_model import Ridge\nX, y = [[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0]"
LOGGED = "with mlflow.start_run(run_name='{}'):\n    mlflow.log_metric('m', 1)\n    mlflow.log_text('x', 'x.txt')"


@pytest.fixture
def project(postgres: Cluster, migrated: str, own_store: None, tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    text = f'[project]\nname = "away"\n[tracking]\nuri = "{postgres.create(template=migrated)}"\n'
    (root / "nbops.toml").write_text(text, encoding="utf-8")
    return Project.find(root)


@contextmanager
def away(cluster: Cluster) -> Iterator[None]:
    cluster.stop()
    try:
        yield
    finally:
        cluster.start()


def test_what_is_logged_while_the_database_is_away_is_there_when_it_is_back(
    project: Project, postgres: Cluster, start_kernel: Callable[..., Any]
) -> None:
    kernel = start_kernel()
    for cell in ("%load_ext nbops", DATA, LOGGED.format("before")):
        assert kernel.run(cell).error == ""
    assert settle(project, timeout=60)
    with away(postgres):
        began = time.monotonic()
        for cell in (LOGGED.format("away"), "Ridge(alpha=3.0).fit(X, y);", "%%nbops run magic -p a=1\n2"):
            assert kernel.run(cell).error == ""
        assert time.monotonic() - began < 20
        assert not settle(project, timeout=1)
    kernel.stop()
    assert settle(project, timeout=90)
    runs = {run.name: run for run in Store(project).runs()}
    assert runs["away"].metrics == runs["before"].metrics == {"m": 1.0}
    assert "x.txt" in Store(project).run(runs["away"].run_id).artifacts
    assert runs["magic"].params["a"] == "1"
    assert [run.params["alpha"] for run in runs.values() if "alpha" in run.params] == ["3.0"]
    assert {(run.status, run.experiment) for run in runs.values()} == {("FINISHED", "away")}
    assert not refused.refusals(project)
