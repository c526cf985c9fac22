"""Kernels of the tests' own templates, and the same kernels started cold."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from nbops.pipeline.kernels import templates
from nbops.pipeline.kernels.process import ForkedKernel
from nbops.pipeline.kernels.warming import PROVISIONER


class Kernel:
    """A kernel and a client that executes code in it."""

    def __init__(self, folder: Path, *, warm: bool = True, preload: list[str] | None = None, **options: Any) -> None:
        self._stopped = False
        self.manager = KernelManager(kernel_name="python3")
        spec = self.manager.kernel_spec
        assert spec is not None
        if warm:
            config = {"preload": preload or []}
            spec.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER, "config": config}
        self.manager.start_kernel(cwd=str(folder), **options)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def process(self) -> Any:
        assert self.manager.provisioner is not None
        return self.manager.provisioner.process

    @property
    def is_forked(self) -> bool:
        return isinstance(self.process, ForkedKernel)

    def run(self, code: str) -> str:
        """Execute code; return what it printed, or its error's name."""
        shown: list[str] = []

        def keep(message: dict[str, Any]) -> None:
            shown.append(message["content"].get("text") or message["content"].get("ename") or "")

        self.client.execute_interactive(code, output_hook=keep, timeout=60)
        return "".join(shown).strip()

    def stop(self) -> None:
        if not self._stopped:
            self._stopped = True
            self.client.stop_channels()
            self.manager.shutdown_kernel()


@pytest.fixture(scope="module", autouse=True)
def own_templates() -> Iterator[Path]:
    """Give one module's tests a folder for their templates, where nobody finds those of others."""
    folder = Path(tempfile.mkdtemp(prefix="nbk-", dir="/tmp"))
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    yield folder
    templates.stop_all()
    deadline = time.monotonic() + 10
    while list(templates._running("*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)
    os.environ.pop("XDG_RUNTIME_DIR") if before is None else os.environ.update(XDG_RUNTIME_DIR=before)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Callable[..., Kernel]]:
    """Start kernels; they are shut down after the test."""
    with contextlib.ExitStack() as started:

        def start(folder: Path = tmp_path, **options: Any) -> Kernel:
            made = Kernel(folder, **options)
            started.callback(made.stop)
            return made

        yield start
