"""What goes wrong around a kernel: nothing that was complete is lost, nothing is raised into a cell, memory stays flat."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from IPython.core.interactiveshell import InteractiveShell

from kernels import Kernel, sessions
from nbops.project import Project
from nbops.tracking.recipe import recipe_of
from nbops.tracking.recording import recorder
from nbops.tracking.recording.recorder import Recorder
from nbops.tracking.recording.records import Cell, read
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.store import Store

Start = Callable[..., Kernel]

SHELL = """
import os, resource, signal, sys, time
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config
config = Config()
config.HistoryManager.enabled = False
config.InteractiveShell.colors = "nocolor"
shell = InteractiveShell.instance(config=config)
def run(code):
    return shell.run_cell(code, store_history=True)
def memory():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
"""

KILLED = """
import random
random.seed(int(sys.argv[1]))
run("x = 0")
for number in range(50):
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        run("%load_ext nbops")
        os.write(tell, b".")
        while True:
            assert run("x += 1\\nprint(x)\\nx").success
            os.write(tell, b".")
    os.close(tell)
    os.read(told, 1)
    time.sleep(random.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    done = 1
    while read := os.read(told, 4096):
        done += len(read)
    os.close(told)
    print("DONE", child, done, file=sys.stderr)
"""


def _script(project: Project, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own, with a shell that doesn't record yet."""
    return subprocess.run(
        [sys.executable, "-c", SHELL + code, *arguments],
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _cells(shell: InteractiveShell, *cells: str) -> list[Cell]:
    if recorder.current() is None:
        shell.run_cell("%load_ext nbops", store_history=True)
    for cell in cells:
        shell.run_cell(cell, store_history=True)
    active = recorder.current()
    assert active
    return read(active.file).cells


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks a shell")
def test_killed_at_any_moment_all_that_was_complete_is_there(project: Project) -> None:
    ran = _script(project, KILLED, "1")
    assert ran.returncode == 0, ran.stderr
    counts = dict(line.split()[1:] for line in ran.stderr.splitlines() if line.startswith("DONE"))
    logs = sessions(project)
    assert len(logs) == len(counts) == 50
    for log in logs:
        ended = [cell for cell in log.cells if cell.end]
        assert len(ended) >= int(counts[str(log.session.pid)]) - 1  # the first tells that it's loaded
        assert [cell.start.seq for cell in log.cells] == list(range(1, len(log.cells) + 1))
        assert all(
            (project.state / "outputs" / o.digest).stat().st_size == o.kept for c in ended for o in c.end.outputs
        )  # type: ignore[union-attr]
    close_dead(Store(project))
    assert {log.closed.outcome if log.closed else None for log in sessions(project)} == {"killed"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_kernel_killed_at_its_reply_has_told_how_its_cell_ended(project: Project) -> None:
    for _ in range(5):
        kernel = Kernel(project.root).start()
        for cell in ("%load_ext nbops", "x = abs(-1)", "print(x)", "y = abs(x)"):
            assert kernel.run(cell).status == "ok"
        kernel.kill()
        kernel.stop()
    logs = sessions(project)
    assert len(logs) == 5
    for log in logs:
        ends = [cell.end for cell in log.cells]
        assert [end.outcome if end else None for end in ends] == ["ok"] * 4
        shown = ends[2]
        assert shown
        assert ([output.kind for output in shown.outputs], len(shown.steps)) == (["stdout"], 1)
        # what the last cell did may be missing: then its recipe has all that came before
        assert {2, 4} <= {piece.seq for piece in recipe_of(log, {4}).pieces}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")
def test_a_full_disk_harms_no_cell_and_is_told_of(project: Project) -> None:
    full = """
run("%load_ext nbops")
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
for number in range(30):
    assert run(f"x = {number}\\nprint('y' * 5000)\\nx").result == number
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
assert run("z = 1\\nprint(z)").success
"""
    ran = _script(project, full)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("yyyyy\n") == 30
    assert ran.stderr == ""
    (log,) = sessions(project)
    assert log.cells[-1].start.source == "z = 1\nprint(z)"
    assert log.cells[-1].end
    assert log.cells[1].start.source.startswith("x = 0")
    assert log.closed
    assert "too large" in (project.state / "nbops.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_ten_thousand_cells_cost_the_same_to_the_last(project: Project) -> None:
    many = """
run("%load_ext nbops")
spans, sizes = [], []
for block in range(10):
    began = time.process_time()
    for number in range(1000):
        shell.run_cell(f"x{number % 50} = {number}")
    spans.append(time.process_time() - began)
    sizes.append(memory())
print("FIGURES", min(spans[1:4]) * 1000, min(spans[-3:]) * 1000, (sizes[-1] - sizes[1]) / 8000)
"""
    ran = _script(project, many)
    assert ran.returncode == 0, ran.stderr
    first, last, grown = map(float, ran.stdout.partition("FIGURES")[2].split())
    sys.stdout.write(
        f"10,000 cells: {first:.0f} µs a cell at first, {last:.0f} µs at last, {grown:.0f} bytes kept a cell\n"
    )
    assert last < 1.5 * first
    assert grown < 3000
    assert len(sessions(project)[0].cells) == 10_001


@pytest.mark.slow
def test_a_gigabyte_printed_is_held_in_megabytes(project: Project) -> None:
    big = """
piece = ("x" * 99 + "\\n") * 10_000
cell = "for _ in range(1000): sys.stdout.write(piece)"
run("import sys\\npiece = ('x' * 99 + chr(10)) * 10_000")
began = time.perf_counter(); run(cell); plain = time.perf_counter() - began
run("%load_ext nbops")
before = memory()
began = time.perf_counter(); run(cell); ours = time.perf_counter() - began
print("FIGURES", plain, ours, memory() - before, file=sys.stderr)
"""
    ran = subprocess.run(
        [sys.executable, "-c", SHELL + big],
        cwd=project.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        check=True,
    )
    plain, ours, grown = map(float, ran.stderr.split("FIGURES")[1].split())
    sys.stdout.write(f"1 GB printed: {plain:.2f} s plain, {ours:.2f} s recorded, {grown / 1e6:.1f} MB held\n")
    assert grown < 20e6
    assert ours < plain + 1.0
    (log,) = sessions(project)
    end = log.cells[-1].end
    assert end
    assert [(output.kind, output.size) for output in end.outputs] == [("stdout", 1_000_000_000)]


@pytest.mark.slow
def test_two_kernels_on_one_notebook_keep_their_own_sessions(project: Project, start_kernel: Start) -> None:
    (project.root / "a.ipynb").write_text("{}", encoding="utf-8")
    kernels = [start_kernel(JPY_SESSION_NAME=str(project.root / "a.ipynb")) for _ in range(2)]
    for kernel in kernels:
        kernel.run("%load_ext nbops")
    for number in range(5):
        for kernel in kernels:
            kernel.run(f"x = {number}")
    logs = sessions(project)
    assert [log.session.notebook for log in logs] == ["a.ipynb"] * 2
    assert [len([cell for cell in log.cells if cell.end]) for log in logs] == [6, 6]


@pytest.mark.slow
def test_an_exit_without_goodbye_loses_only_its_cell(project: Project) -> None:
    ran = _script(project, 'run("%load_ext nbops"); run("x = 1"); run("import os; os._exit(3)")')
    assert ran.returncode == 3
    (log,) = sessions(project)
    assert [cell.end is not None for cell in log.cells] == [True, True, False]
    close_dead(Store(project))
    assert sessions(project)[0].closed


def test_a_clock_that_is_set_back_changes_no_order(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(2_000_000_000, 0, -100_000))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    cells = _cells(shell, "x = 1", "x = 2", "x = 3")
    assert [cell.start.seq for cell in cells] == [1, 2, 3, 4]
    assert cells[1].start.time > cells[2].start.time
    assert all(cell.end and 0 <= cell.end.duration < 10 for cell in cells)


def test_outputs_that_cannot_be_written_are_told_of_without(shell: InteractiveShell, project: Project) -> None:
    _cells(shell)
    (project.state / "outputs").write_text("in the way", encoding="utf-8")
    end = _cells(shell, "print('shown')")[-1].end
    assert end
    assert [(output.kind, output.digest, output.size, output.kept) for output in end.outputs] == [("stdout", "", 6, 0)]
    assert (project.state / "nbops.log").exists()


@pytest.mark.parametrize("where", ["_begin", "_finish"])
def test_an_interrupt_of_a_hook_is_the_cells(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    _cells(shell, "x = 1")
    real = getattr(Recorder, where)

    def interrupted(self: Recorder, *args: object) -> None:
        signal.raise_signal(signal.SIGINT)
        monkeypatch.setattr(Recorder, where, real)
        real(self, *args)

    monkeypatch.setattr(Recorder, where, interrupted)
    result = shell.run_cell("x = 2", store_history=True)
    after = _cells(shell, "y = x")
    assert "nbops" not in capsys.readouterr().err
    if where == "_begin":
        assert isinstance(result.error_in_exec, KeyboardInterrupt)
        assert shell.user_ns["y"] == 1
    else:
        assert result.success
    assert [cell.end is not None for cell in after] == [True] * 4
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_resets_and_nested_loops_and_loading_twice(shell: InteractiveShell) -> None:
    nested = "import asyncio\nasync def f():\n    get_ipython().run_cell('inner = 1')\n    return 1\nasyncio.run(f())"
    cells = _cells(
        shell,
        "x = 1",
        "get_ipython().reset()",
        "%load_ext nbops",
        nested,
        "await asyncio.sleep(0)",
        "%reset -f",
        "y = 2",
    )
    assert [cell.start.source for cell in cells][-1] == "y = 2"
    assert [cell.end.outcome if cell.end else None for cell in cells] == ["ok"] * 8


@pytest.mark.slow
def test_processes_of_a_cell_leave_the_record_alone(project: Project, start_kernel: Start) -> None:
    kernel = start_kernel()
    kernel.run("%load_ext nbops")
    pool = (
        "import multiprocessing as mp\nwith mp.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, range(9))))"
    )
    assert kernel.run(pool).text.strip() == "36"
    assert kernel.run("import os\npid = os.fork()\nif not pid: os._exit(0)\nos.waitpid(pid, 0)[1]").text == "0"
    (log,) = sessions(project)
    assert [cell.end is not None for cell in log.cells] == [True] * 3
    assert log.closed is None
