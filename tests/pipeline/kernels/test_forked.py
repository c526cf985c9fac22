"""A forked kernel can't be told from one that was started: the same code finds the same in both."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux alone")
PROBE = """
import importlib.util, json, os, resource, signal, sys, threading, warnings, __main__
print(json.dumps({
    "environment": {k: v for k, v in sorted(os.environ.items()) if k not in ("_", "SHLVL")},
    "seen by children": os.popen("echo $PROBE_OF_TESTS $JPY_PARENT_PID").read(),
    "folder": os.getcwd(),
    "folder of children": os.popen("pwd").read(),
    "arguments": [sys.argv[0], sys.argv[1], len(sys.argv)],
    "connection file is there": os.path.exists(sys.argv[2]),
    "path": sys.path,
    "main": [__name__, __main__.__name__, getattr(__main__, "__file__", None), __main__ is sys.modules["__main__"]],
    "flags": str(sys.flags),
    "own group and session": [os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid()],
    "umask": [os.umask(0o22), os.umask(0o22)][0],
    "limits": {k: resource.getrlimit(getattr(resource, k)) for k in dir(resource) if k.startswith("RLIMIT_")},
    "processors": sorted(os.sched_getaffinity(0)),
    "niceness": os.nice(0),
    "signals": {s.name: str(signal.getsignal(s)).split(" at ")[0] for s in signal.Signals},
    "masked": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    "visited": [str(type(_dh[0])), list(map(str, _dh))],
    "shell's folder": str(get_ipython().starting_dir),
    "history": [get_ipython().execution_count, In[1:][:-1]],
    "recursion": sys.getrecursionlimit(),
    "hooks": [str(sys.excepthook).split(" at ")[0], len(sys.meta_path)],
    "threads": sorted(t.name.translate(str.maketrans("", "", "0123456789")) for t in threading.enumerate()
        if t.name != "nbops-client" and type(t).__name__ != "ParentPollerUnix"),  # each watches its client in its way
    "standard input": os.read(0, 1).decode(),
    "names": sorted(n for n in globals() if not n.startswith("_")),
}))
"""


@pytest.mark.parametrize("spare", [False, True], ids=["forked for it", "spare"])
def test_it_finds_what_a_started_kernel_finds(
    kernel: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spare: bool
) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # ipykernel doesn't listen to descriptors in tests
    monkeypatch.setenv("PROBE_OF_TESTS", f"shared by {spare}")
    if spare:
        kernel(preload=["numpy"]).stop()
        time.sleep(1.5)
    monkeypatch.setenv("NBOPS_PROBE", "of this kernel alone")
    cold, warm = kernel(warm=False), kernel(preload=["numpy"])
    assert warm.is_forked
    assert not cold.is_forked
    expected, found = json.loads(cold.run(PROBE)), json.loads(warm.run(PROBE))
    for found_or_expected in (found, expected):  # by name, which says more when it fails
        found_or_expected |= {f"${name}": value for name, value in found_or_expected.pop("environment").items()}
    keys = found.keys() | expected.keys()
    different = {key: (found.get(key), expected.get(key)) for key in keys if found.get(key) != expected.get(key)}
    assert different == {}


def test_random_states_are_those_of_a_new_process(kernel: Callable[..., Any]) -> None:
    code = "import random, numpy, uuid, secrets; print(random.random(), numpy.random.rand(), uuid.uuid4())"
    drawn = [one for _ in range(3) for one in kernel(preload=["numpy"]).run(code).split()]
    assert len(set(drawn)) == len(drawn)


def test_output_below_python_is_shown(kernel: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # ipykernel doesn't listen to descriptors in tests
    first = kernel()
    time.sleep(1.0)
    second = kernel()  # a spare
    for one in (first, second):
        assert one.run("import os; os.write(1, b'from below'); import time; time.sleep(0.3)") == "from below"
        assert one.run("print('above')\n!echo beside") == "above\nbeside"
        assert one.run("1/0") == "ZeroDivisionError"


def test_it_is_interrupted_and_restarted(kernel: Callable[..., Any]) -> None:
    warm = kernel()
    message = warm.client.execute("import time\ntime.sleep(60)")
    time.sleep(0.5)
    began = time.monotonic()
    warm.manager.interrupt_kernel()
    while (reply := warm.client.get_shell_msg(timeout=10))["parent_header"].get("msg_id") != message:
        pass
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert time.monotonic() - began < 5
    warm.run("x = 1")
    warm.manager.restart_kernel(now=True)
    warm.client.wait_for_ready(timeout=30)
    assert warm.is_forked
    assert warm.run("print('x' in globals())") == "False"


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("import os; os._exit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
    ],
)
def test_its_exit_is_told(kernel: Callable[..., Any], code: str, ends: int) -> None:
    warm = kernel()
    warm.client.execute(code)
    assert warm.process.wait(timeout=10) == ends
    assert not warm.manager.is_alive()


def test_what_is_to_be_done_at_exit_is_done(kernel: Callable[..., Any], tmp_path: Path) -> None:
    warm = kernel()
    warm.run("import atexit, pathlib; atexit.register(pathlib.Path('said').write_text, 'goodbye')")
    warm.stop()
    assert (tmp_path / "said").read_text() == "goodbye"


def test_it_dies_with_its_client(tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from conftest import Kernel; from pathlib import Path\n"
        "one = Kernel(Path(sys.argv[1])); print(one.process.pid, one.is_forked, flush=True); time.sleep(60)"
    )
    client = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    pid, forked = client.stdout.readline().split()
    assert forked == "True"
    client.kill()
    client.wait()
    client.stdout.close()
    assert psutil.wait_procs([psutil.Process(int(pid))] if psutil.pid_exists(int(pid)) else [], timeout=5)[1] == []


def test_its_clients_limits_are_its_own(tmp_path: Path) -> None:
    code = (
        "import os, resource, sys; sys.path.insert(0, sys.argv[2])\n"
        "from conftest import Kernel; from pathlib import Path\n"
        "first = Kernel(Path(sys.argv[1])); first.stop()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (500, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "os.umask(0o27)\n"
        "one = Kernel(Path(sys.argv[1])); print(one.is_forked)\n"
        "print(one.run('import resource, os; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], os.umask(0))')); one.stop()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["True", "500", str(0o27)]


def test_numerical_libraries_compute_in_it(kernel: Callable[..., Any]) -> None:
    warm = kernel(preload=["numpy", "pandas", "sklearn.ensemble"])
    assert warm.is_forked
    code = (
        "import numpy as np, pandas as pd\nfrom sklearn.ensemble import HistGradientBoostingClassifier as H, "
        "RandomForestClassifier as R\nX = np.random.rand(3000, 5); y = X[:, 0] > 0.5\n"
        "print(H(max_iter=5).fit(X, y).score(X, y) > 0.9, R(20, n_jobs=2).fit(X, y).score(X, y) > 0.9, (X @ X.T).shape[0])\n"
        "import multiprocessing.pool as p\nwith p.Pool(2) as pool: print(sum(pool.map(abs, range(4))))"
    )
    assert warm.run(code) == "True True 3000\n6"
