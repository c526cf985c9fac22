"""Which kernels are forked and which are started: a fork is for where nothing can go wrong by it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager

from nbops.pipeline.kernels import templates
from nbops.pipeline.kernels.preload import modules_of
from nbops.pipeline.kernels.process import ForkedKernel
from nbops.pipeline.kernels.warming import warm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")


def _templates() -> list[templates.Template]:
    return list(templates._running("*"))


@pytest.fixture(autouse=True)
def none_before() -> None:
    templates.stop_all()
    deadline = time.monotonic() + 10
    while _templates() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert _templates() == []


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder that installed modules may lie in."""
    folder = tmp_path / "library"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


def test_one_template_serves_who_imports_less_and_gives_way_to_one_that_imports_more(
    kernel: Callable[..., Any],
) -> None:
    loaded = "import sys; print('json.tool' in sys.modules, 'wave' in sys.modules)"
    assert kernel(preload=["json.tool"]).run(loaded) == "True False"
    assert kernel(preload=[]).run(loaded) == "True False"
    (first,) = _templates()
    assert kernel(preload=["wave"]).run(loaded) == "True True"
    assert {"json.tool", "wave"} in [set(one.preload) for one in _templates()]
    assert first.socket.exists()  # its kernels are in use


def test_a_spare_waits(kernel: Callable[..., Any]) -> None:
    kernel()
    time.sleep(1.5)
    asked = time.time()
    one = kernel()
    assert psutil.Process(one.process.pid).create_time() < asked - 0.5


def test_clients_at_once_get_kernels_of_their_own(tmp_path: Path) -> None:
    managers = [AsyncKernelManager(kernel_name="python3") for _ in range(4)]

    async def start_all() -> list[Any]:
        for manager in managers:
            warm(manager, ["import numpy"], tmp_path)
        await asyncio.gather(*(manager.start_kernel(cwd=str(tmp_path)) for manager in managers))
        found = [manager.provisioner.process for manager in managers]
        await asyncio.gather(*(manager.shutdown_kernel(now=True) for manager in managers))
        return found

    made = asyncio.run(start_all())
    assert len({one.pid for one in made if isinstance(one, ForkedKernel)}) == 4
    assert len(_templates()) == 1


def test_other_circumstances_are_another_template(kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    kernel()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert kernel().run("import os; print(os.environ['OMP_NUM_THREADS'])") == "1"
    assert len(_templates()) == 2
    monkeypatch.setenv("NBOPS_WARM_KERNELS", "0")
    assert not kernel().is_forked


def test_what_starts_threads_opens_sockets_prints_or_warns_is_not_imported_ahead(
    kernel: Callable[..., Any], library: Path
) -> None:
    texts = {
        "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "sockets": "import socket\nheld = socket.socketpair()",
        "prints": "print('loud')",
        "warns": "import warnings\nwarnings.warn('beware', UserWarning)",
        "fails": "raise RuntimeError('no')",
        "fine": "import warnings\nwarnings.simplefilter('ignore', ResourceWarning)",
    }
    for name, text in texts.items():
        (library / f"own_{name}.py").write_text(text + "\n")
    names = [f"own_{name}" for name in texts]
    one = kernel(preload=names)
    assert one.is_forked
    assert one.run("import sys; print([n for n in sys.modules if n.startswith('own_')])") == "['own_fine']"
    ignored = "any(f[0] == 'ignore' and f[2] is ResourceWarning for f in warnings.filters)"
    assert one.run(f"import warnings; print({ignored})") == "True"
    assert one.run("import own_prints") == "loud"
    assert "beware" in one.run("import own_warns")


def test_modules_of_the_notebooks_folder_hide_installed_ones(kernel: Callable[..., Any], tmp_path: Path) -> None:
    kernel(preload=["requests", "numpy"])
    for name in ("forked", "messages", "template"):
        (tmp_path / f"{name}.py").write_text("mine = True\n")
    one = kernel(preload=["requests", "numpy"])
    assert one.is_forked
    assert (
        one.run("import forked as f, messages as m, template as t; print(f.mine, m.mine, t.mine)") == "True True True"
    )
    (tmp_path / "requests.py").write_text("mine = True\n")
    one = kernel(preload=["numpy"])
    assert not one.is_forked
    assert one.run("import requests; print(requests.mine)") == "True"


def test_figures_are_drawn_in_the_notebook(kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MPLBACKEND")
    code = "import matplotlib.pyplot as plt; print(plt.get_backend().rpartition('.')[2])"
    cold = kernel(warm=False).run(code)
    for _ in range(2):
        one = kernel(preload=["matplotlib.pyplot"])
        assert one.is_forked
        assert one.run(code) == cold
        time.sleep(1.5)  # then a spare is ready


def test_who_connects_and_goes_away_does_no_harm(kernel: Callable[..., Any]) -> None:
    kernel()
    (template,) = _templates()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(template.socket))
    time.sleep(0.2)
    assert kernel().is_forked
    assert _templates() == [template]


def test_a_template_that_was_killed_takes_no_kernel_along_and_is_replaced(kernel: Callable[..., Any]) -> None:
    one = kernel()
    (template,) = _templates()
    os.kill(template.pid, signal.SIGKILL)
    assert one.run("print(1)") == "1"
    assert one.manager.is_alive()
    one.client.execute("import os; os._exit(0)")
    assert one.process.wait(timeout=10) == 255  # only its parent is told how a process ends
    assert kernel().is_forked
    (other,) = _templates()
    assert other.pid != template.pid
    assert not template.folder.exists()


def test_a_python_that_cannot_fork_kernels_starts_them(
    kernel: Callable[..., Any], library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "resource.py").write_text("raise ImportError('not here')\n")  # what a template needs
    assert not kernel().is_forked
    assert not kernel().is_forked
    assert len(list(templates.base_folder().glob("*.refused"))) == 1


def test_a_folder_of_somebody_else_is_not_used(kernel: Callable[..., Any], own_templates: Path) -> None:
    base = templates.base_folder()
    base.chmod(0o755)
    try:
        assert not kernel().is_forked
    finally:
        base.chmod(0o700)


def test_what_modules_beside_the_notebook_import_is_imported_ahead(tmp_path: Path) -> None:
    (tmp_path / "features.py").write_text("import numpy.linalg\nimport helpers\n")
    (tmp_path / "helpers.py").write_text("import pandas\n")
    manager = AsyncKernelManager(kernel_name="python3")
    warm(manager, ["import features"], tmp_path)
    assert manager.kernel_spec.metadata["kernel_provisioner"]["config"]["preload"] == ["numpy.linalg", "pandas"]


def test_only_libraries_that_compute_are_imported_ahead() -> None:
    cells = [
        "import pandas as pd, my_company",
        "from sklearn.linear_model import Ridge\n%matplotlib inline",
        "import os",
    ]
    found = modules_of(cells)
    assert {"pandas", "sklearn.linear_model"} <= set(found)
    assert not {"my_company", "os"} & set(found)
    assert "my_company" in modules_of(cells, also=["my_company"])
