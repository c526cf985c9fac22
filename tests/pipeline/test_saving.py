"""Executed notebooks are saved in step with the work: no kill loses an output, and the cost is linear."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import papermill
import psutil
import pytest
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from nbops.cli import invoke
from nbops.errors import NotebookError, StageFailed
from nbops.notebook.document import new, read, write, write_atomically
from nbops.pipeline.journal import journal_of, recover
from nbops.pipeline.memory import memory_kills

pytestmark = pytest.mark.slow

LONER = """\
import subprocess, sys
loner = subprocess.Popen([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(300)"],
                         start_new_session=True, stdout=subprocess.PIPE)
loner.stdout.readline()
open("loner", "w").write(str(loner.pid))"""
FORKED_LONER = """\
import os, time
pid = os.fork()
if pid == 0:
    os.setsid()
    time.sleep(300)
    os._exit(0)
open("loner", "w").write(str(pid))"""
WAITS = "print('last words', flush=True)\nopen('waits', 'w').close()\nimport time\ntime.sleep(300)"


@pytest.fixture(autouse=True)
def in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def notebook(*sources: str) -> Path:
    cells = [{"cell_type": "code", "source": source, "id": f"c{at}"} for at, source in enumerate(sources)]
    write("in.ipynb", new(cells))
    return Path("in.ipynb")


def execute(*sources: str, **options: Any) -> None:
    papermill.execute_notebook(notebook(*sources), "out.ipynb", engine_name="nbops", progress_bar=False, **options)


def told(content: Any) -> list[tuple[str, str, str]]:
    """Return of each cell its status, its reason and what it printed."""
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    return [
        (
            cell["metadata"]["nbops"]["status"],
            cell["metadata"]["nbops"].get("reason", ""),
            "".join("".join(output.get("text", "")) for output in cell["outputs"]),
        )
        for cell in cells
    ]


def wait_for(path: str, process: subprocess.Popen[Any] | None = None) -> None:
    deadline = time.monotonic() + 60
    while not Path(path).exists():
        assert time.monotonic() < deadline
        assert process is None or process.poll() is None
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def runner() -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Start papermill as users do; what a test leaves is killed."""
    started: list[subprocess.Popen[Any]] = []

    def start(*sources: str) -> subprocess.Popen[Any]:
        notebook(*sources)
        command = [sys.executable, "-m", "papermill", "--engine", "nbops", "in.ipynb", "out.ipynb"]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_runner_loses_no_output(runner: Callable[..., subprocess.Popen[Any]]) -> None:
    process = runner("print('one')", "1 / 1", f"display_id = 1\n{WAITS}", "print('never')")
    wait_for("waits", process)
    time.sleep(0.5)  # for what was printed to get here
    process.kill()
    process.wait()
    out = Path("out.ipynb")
    read(out)

    recovered = recover(journal_of(out), out).content

    lost = "the process that ran the notebook ended"
    assert told(recovered) == [
        ("ok", "", "one\n"),
        ("ok", "", ""),
        ("lost", lost, "last words\n"),
        ("not run", "", ""),
    ]
    assert recovered["metadata"]["nbops"] == {"status": "lost"}
    assert [cell["metadata"]["papermill"]["status"] for cell in recovered["cells"]] == [
        *("completed", "completed", "failed", "pending")
    ]
    assert [cell["execution_count"] for cell in recovered["cells"]] == [1, 2, 3, None]
    execute("print('anew')")
    assert told(read(out).content) == [("ok", "", "anew\n")]
    assert not journal_of(out).exists()


def test_the_command_recovers_what_papermill_left(runner: Callable[..., subprocess.Popen[Any]]) -> None:
    process = runner("print('one')", WAITS, "print('never')")
    wait_for("waits", process)
    time.sleep(0.5)
    with pytest.raises(NotebookError, match="still being executed"):
        invoke(["recover", "out.ipynb"])
    process.kill()
    process.wait()
    assert invoke(["recover", "out.ipynb", "-o", "copy.ipynb"]) == 0
    assert invoke(["recover", "out.ipynb"]) == 0
    for path in ("copy.ipynb", "out.ipynb"):
        assert [status for status, _, _ in told(read(path).content)] == ["ok", "lost", "not run"]
    with pytest.raises(NotebookError, match="nothing is lacking"):
        invoke(["recover", "out.ipynb"])


def test_a_dead_stages_notebook_is_completed_from_its_journal(tiny: Any) -> None:
    tiny.notebook("waits.ipynb", "print('first')", f"print('second', flush=True)\n{LONER}\n{WAITS}", "x = 1")
    tiny.yaml("stages:\n  waits: {notebook: waits.ipynb}\n")
    code = "import sys; from nbops.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen([sys.executable, "-c", code, "run", str(tiny.root)], stdout=subprocess.DEVNULL)
    try:
        wait_for(str(tiny.root / "waits"), process)
        time.sleep(0.5)
    finally:
        process.kill()
        process.wait()
    tiny.notebook("waits.ipynb", "x = 1")

    assert tiny.run().ok

    kept = read(tiny.root / ".nbops/executed/waits-killed.ipynb").content
    assert [(status, printed) for status, _, printed in told(kept)] == [
        ("ok", "first\n"),
        ("lost", "second\nlast words\n"),
        ("not run", ""),
    ]
    assert is_gone(int((tiny.root / "loner").read_text()))


def test_a_killed_kernel_says_by_what(monkeypatch: pytest.MonkeyPatch) -> None:
    die = "print('last words', flush=True)\nimport os, time\ntime.sleep(0.3)\nos.kill(os.getpid(), {})"
    with pytest.raises(DeadKernelError, match="killed by SIGKILL, as a system out of memory does"):
        execute("x = 1", die.format(9), "y = 1")
    assert told(read("out.ipynb").content) == [
        ("ok", "", ""),
        ("killed", "killed by SIGKILL, as a system out of memory does", "last words\n"),
        ("not run", "", ""),
    ]
    with pytest.raises(DeadKernelError, match="killed by SIGSEGV"):
        execute(die.format(int(signal.SIGSEGV)))
    counts = iter([3, 4])
    monkeypatch.setattr("nbops.pipeline.engine.memory_kills", lambda: next(counts))
    with pytest.raises(DeadKernelError, match=r"killed: out of memory \(the system's, or its group's limit\)"):
        execute(die.format(9))


def test_no_memory_for_a_cell_is_its_failure() -> None:
    with pytest.raises(papermill.PapermillExecutionError):
        execute("raise MemoryError('3 TiB')", "x = 1")
    assert [cell[:2] for cell in told(read("out.ipynb").content)] == [
        ("failed", "out of memory: MemoryError: 3 TiB"),
        ("not run", ""),
    ]


def test_cells_that_are_left_out_are_not_called_executed() -> None:
    cells = [
        {"cell_type": "code", "source": "  "},
        {"cell_type": "code", "source": "1 / 0", "metadata": {"tags": ["skip-execution"]}},
        {"cell_type": "code", "source": "x = 1"},
    ]
    write("in.ipynb", new(cells))
    papermill.execute_notebook("in.ipynb", "out.ipynb", engine_name="nbops", progress_bar=False)
    content = read("out.ipynb").content
    assert [cell[:2] for cell in told(content)] == [
        ("not run", "empty"),
        ("not run", "tagged to be skipped"),
        ("ok", ""),
    ]
    assert content["metadata"]["nbops"] == {"status": "ok"}


@pytest.mark.parametrize("child", [LONER, FORKED_LONER], ids=["started", "forked"])
@pytest.mark.parametrize(
    "end", ["", "import os, time; time.sleep(0.3); os.kill(os.getpid(), 9)", "import time; time.sleep(60)"]
)
def test_children_in_sessions_of_their_own_end_with_the_kernel(child: str, end: str) -> None:
    if child is FORKED_LONER and "kill" in end:
        end = ""  # nothing tells such a one from a stranger once its kernel is dead
    with suppress(CellTimeoutError, DeadKernelError):
        execute(child, end or "x = 1", execution_timeout=3)
    assert is_gone(int(Path("loner").read_text()))


def test_what_is_written_grows_as_the_notebook_does(monkeypatch: pytest.MonkeyPatch) -> None:
    written = [0]
    os_write = os.write

    def journaled(file: int, data: Any) -> int:
        written[0] += len(data)
        return os_write(file, data)

    def whole(path: Path, data: bytes) -> None:
        written[0] += len(data)
        write_atomically(path, data)

    monkeypatch.setattr("nbops.pipeline.journal.os.write", journaled)
    monkeypatch.setattr("nbops.notebook.document.write_atomically", whole)
    monkeypatch.setattr("nbops.pipeline.execution.write_atomically", whole)
    each = {}
    for cells in (10, 100, 500):
        written[0] = 0
        execute(*["print('y' * 1000)"] * cells)
        each[cells] = written[0] / cells
        assert len(read("out.ipynb").cells) == cells
    assert each[500] < 2 * each[10]
    assert each[500] < 15_000


def test_a_notebook_that_cannot_be_written_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = [False]

    def fails(path: Path, content: Any) -> None:
        if full[0]:
            raise OSError(5, "Input/output error")
        full[0] = True
        write(path, content)

    monkeypatch.setattr("nbops.pipeline.execution.write", fails)
    with pytest.raises(StageFailed, match=r"out\.ipynb can't be written: Input/output error"):
        execute("print('kept')")
    out = tmp_path / "out.ipynb"
    assert told(recover(journal_of(out), out).content) == [("ok", "", "kept\n")]


def test_a_journal_gives_its_room_to_the_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    writes = [0]

    def fails(path: Path, content: Any) -> None:
        writes[0] += 1
        if writes[0] > 1 and journal_of(path).exists():
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr("nbops.pipeline.execution.write", fails)
    execute("print('kept')")
    assert told(read("out.ipynb").content) == [("ok", "", "kept\n")]


def test_memory_kills_are_read_where_the_system_counts_them(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/vmstat").write_text("pgfault 5\noom_kill 2\n")
    assert memory_kills(tmp_path) == 2
    (tmp_path / "proc/self/cgroup").write_text("4:cpu,memory:/a\n0::/b/c\n")
    assert memory_kills(tmp_path) == 2
    version_1 = tmp_path / "sys/fs/cgroup/memory"
    version_1.mkdir(parents=True)
    (version_1 / "memory.oom_control").write_text("under_oom 0\noom_kill 7\n")
    assert memory_kills(tmp_path) == 7
    (tmp_path / "proc/self/cgroup").write_text("0::/b/c\n")
    version_2 = tmp_path / "sys/fs/cgroup/b/c"
    version_2.mkdir(parents=True)
    (version_2 / "memory.events").write_text("max 9\noom 1\noom_kill 4\noom_group_kill 1\n")
    assert memory_kills(tmp_path) == 4
    assert memory_kills(tmp_path / "nothing") == 0
