"""Shells and kernels that record into a test's project."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from kernels import Kernel
from nbops.project import Project
from nbops.tracking.recording import recorder


@pytest.fixture
def shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """Return an IPython shell of this process, in which `%load_ext nbops` records into `project`."""
    monkeypatch.chdir(project.root)
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)  # what `display` asks for
    before = dict(os.environ)  # MLflow tells child processes its settings by variables
    yield shell
    if active := recorder.current():
        active.autologging.unwatch()
        active.close()
    InteractiveShell.clear_instance()
    os.environ.clear()
    os.environ |= before


@pytest.fixture
def start_kernel(project: Project) -> Iterator[Callable[..., Kernel]]:
    """Return a function that starts a kernel in the project."""
    started: list[Kernel] = []

    def start(folder: Path | None = None, **environment: str) -> Kernel:
        kernel = Kernel(folder or project.root, environment).start()
        started.append(kernel)
        return kernel

    yield start
    for kernel in started:
        kernel.stop()
