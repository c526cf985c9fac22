"""Fixtures for all tests: projects of their own, an environment of their own, and no silent skips in CI."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from IPython.core.history import HistoryAccessor

from nbops.project import Project

if TYPE_CHECKING:
    from loop import Loop

# A kernel or server that a test starts must not find the user's own settings.
_FOREIGN = ("MLFLOW_", "NBOPS_", "JUPYTER_", "JPY_", "IPYTHONDIR")


@pytest.fixture(scope="session", autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's settings out; MLflow's migrated template is made once a user, as it is for users."""
    before = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(_FOREIGN) and name not in ("NBOPS_CACHE", "NBOPS_SCREENSHOT", "NBOPS_WHEEL"):
            del os.environ[name]
    home = tmp_path_factory.mktemp("home")
    os.environ |= {
        "IPYTHONDIR": str(home / "ipython"),
        "JUPYTER_CONFIG_DIR": str(home / "jupyter-config"),
        "JUPYTER_DATA_DIR": str(home / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter-runtime"),
        "MPLBACKEND": "agg",
        "NBOPS_WARM_IDLE_S": "30",  # many tests' kernels are in circumstances of their own
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    HistoryAccessor.enabled.default_value = False  # shells in this process keep no database on disk
    yield
    os.environ.clear()
    os.environ |= before


@pytest.fixture(autouse=True)
def own_store(isolated_environment: None) -> Iterator[None]:
    """Put back what MLflow keeps for the whole process: a test's store is its own."""
    before = {name: value for name, value in os.environ.items() if name.startswith("MLFLOW_")}
    yield
    if "mlflow" in sys.modules:
        import mlflow

        while mlflow.active_run():
            mlflow.end_run()
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
        mlflow.tracking.fluent._active_experiment_id = None  # of a store that the next test doesn't have
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ |= before


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return an empty project whose store is SQLite in its own folder."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "nbops.toml").write_text('[project]\nname = "trial"\n', encoding="utf-8")
    return Project.find(root)


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory, isolated_environment: None) -> Loop:
    """Return a project that went through the whole loop, made once a session."""
    from loop import go_through

    return go_through(tmp_path_factory.mktemp("loop") / "biopsy")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Fail a skipped test where CI is set: there, whatever a test needs has to be installed."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI doesn't allow: {report.longrepr}"
