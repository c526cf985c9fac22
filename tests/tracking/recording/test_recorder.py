"""What the recorder writes of cells that run in an IPython shell, and what it leaves as it was."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbops.project import Project
from nbops.tracking.recording import recorder
from nbops.tracking.recording.records import Cell, read


def _run(shell: InteractiveShell, *cells: str) -> list[Cell]:
    """Run cells and return their records, that of the loading cell left out."""
    shell.run_cell("%load_ext nbops", store_history=True)
    for cell in cells:
        shell.run_cell(cell, store_history=True)
    active = recorder.current()
    assert active
    active.flush()
    loading, *recorded = read(active.file).cells
    assert loading.start.source == "%load_ext nbops"
    return recorded


def test_a_cell_is_recorded_with_what_it_did(shell: InteractiveShell) -> None:
    first, second = _run(shell, "a = 1\nb = [a]", "b.append(a)\nlen(b)")
    assert (first.start.seq, first.start.source) == (2, "a = 1\nb = [a]")
    assert first.end
    assert (first.end.outcome, first.end.defined, first.end.used) == ("ok", ["a", "b"], [])
    assert second.end
    assert (second.end.result, second.end.used, second.end.changed) == ("2", ["a", "b"], ["b"])
    assert 0 <= second.end.duration < 5


def test_the_cell_that_loads_is_recorded_too(shell: InteractiveShell) -> None:
    shell.run_cell("%load_ext nbops\nx = 1", store_history=True)
    shell.run_cell("y = x", store_history=True)
    active = recorder.current()
    assert active
    loading, after = read(active.file).cells
    assert loading.end
    assert loading.end.defined == ["x"]
    assert after.end


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("a =", "SyntaxError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class E(Exception):\n    def __str__(self): 1 / 0\nraise E", "cancelled, or"),
        ("raise ValueError('x' * 100000)", "ValueError: xxx"),
        ("raise ValueError('postgresql://me:hunter2@host')", "ValueError: postgresql://***@host"),
    ],
)
def test_a_cell_that_fails_says_how(shell: InteractiveShell, cell: str, error: str) -> None:
    failed, after = _run(shell, cell, "1")
    assert failed.end
    assert failed.end.outcome == "error"
    assert failed.end.error
    assert failed.end.error.startswith(error)
    assert len(failed.end.error) < 3000
    assert after.end


@pytest.mark.filterwarnings("ignore:To exit")
def test_a_cell_that_exits_is_an_error(shell: InteractiveShell) -> None:
    failed = _run(shell, "raise SystemExit(3)")[0]
    assert failed.end
    assert failed.end.error == "SystemExit: 3"


def test_cells_within_cells_are_one_cell(shell: InteractiveShell) -> None:
    cells = _run(
        shell,
        "%%capture out\nprint(1); x = 1",
        "%%time\ny = x",
        "get_ipython().run_cell('z = 1'); get_ipython().run_cell('')",
        "",
        "  \n",
        "%%capture\n1 / 0",
        "done = z",
    )
    assert [cell.end and cell.end.outcome for cell in cells] == ["ok", "ok", "ok", "error", "ok"]
    assert [cell.end and cell.end.defined for cell in cells][:2] == [["out", "x"], ["y"]]
    assert shell.user_ns["done"] == 1


def test_a_cell_may_await(shell: InteractiveShell) -> None:
    cell = _run(shell, "import asyncio\nawait asyncio.sleep(0.01)\nx = 1")[0]
    assert cell.end
    assert (cell.end.outcome, cell.end.defined) == ("ok", ["asyncio", "x"])


def test_reset_reload_and_loading_again(shell: InteractiveShell, project: Project) -> None:
    cells = _run(shell, "x = 1", "%reset -f", "%load_ext nbops", "y = 1")
    assert [cell.end is not None for cell in cells] == [True] * 4
    shell.run_cell("%reload_ext nbops", store_history=True)
    shell.run_cell("z = 1", store_history=True)
    shell.run_cell("%unload_ext nbops", store_history=True)
    shell.run_cell("after = 1", store_history=True)
    assert recorder.current() is None
    one, other = (read(path) for path in sorted(project.sessions.iterdir(), key=lambda path: path.stat().st_mtime_ns))
    assert one.closed
    assert other.closed
    assert [cell.end and cell.end.outcome for cell in [*one.cells, *other.cells]] == ["ok"] * 9
    assert [cell.start.source for cell in other.cells] == ["%reload_ext nbops", "z = 1", "%unload_ext nbops"]


def test_what_a_value_shows_is_told_by_its_kind_only(shell: InteractiveShell) -> None:
    cells = _run(shell, "'my secret diary'", "import numpy as np; np.zeros((2, 3))", "1.5", "None", "object()")
    assert [cell.end and cell.end.result for cell in cells] == ["str", "ndarray (2, 3)", "1.5", None, "object"]


def test_secrets_do_not_reach_the_file(shell: InteractiveShell, project: Project) -> None:
    _run(shell, "api_key = 'hunter2'", "%env API_KEY=hunter2", "raise ValueError('password=hunter2')")
    assert "hunter2" not in "".join(path.read_text(encoding="utf-8") for path in project.sessions.iterdir())


def test_a_value_that_raises_when_looked_at_harms_nothing(shell: InteractiveShell) -> None:
    source = "class Odd:\n    def __getattr__(self, name): raise RuntimeError(name)\n    def __repr__(self): return ''\nOdd()"
    cell = _run(shell, source)[0]
    assert cell.end
    assert cell.end.outcome == "ok"


def test_threads_of_a_cell_do_not_mix_in(shell: InteractiveShell) -> None:
    _run(shell, "x = 1")
    thread = threading.Thread(target=lambda: shell.events.trigger("pre_run_cell", None))
    thread.start()
    thread.join()
    shell.run_cell("y = 1", store_history=True)
    active = recorder.current()
    assert active
    assert [cell.start.source for cell in read(active.file).cells[1:]] == ["x = 1", "y = 1"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork: Linux or macOS")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_records_nothing(shell: InteractiveShell, project: Project) -> None:
    child = "import os\npid = os.fork()\nif pid == 0:\n    from nbops.tracking.recording import recorder\n"
    child += "    os._exit(0 if recorder.current() is None else 1)\nos.waitpid(pid, 0)[1]"
    forking, after = _run(shell, child, "x = 1")
    assert forking.end
    assert forking.end.result == "0"
    assert after.end
    assert read(next(project.sessions.iterdir())).closed is None


def test_a_disk_that_fills_up_harms_no_cell(shell: InteractiveShell, project: Project) -> None:
    _run(shell, "x = 1")
    active = recorder.current()
    assert active
    assert active._writer
    full = os.open("/dev/full", os.O_WRONLY)
    kept = active._writer._descriptor
    active._writer._descriptor = full
    assert shell.run_cell("y = 2", store_history=True).success
    active._writer._descriptor = kept
    os.close(full)
    assert shell.run_cell("z = 3", store_history=True).success
    assert [cell.start.source for cell in read(active.file).cells][1:] == ["x = 1", "z = 3"]
    assert "No space left" in (project.state / "nbops.log").read_text(encoding="utf-8")


def test_where_nothing_can_be_written_the_notebook_goes_on(
    shell: InteractiveShell, project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / ".nbops").write_text("in the way", encoding="utf-8")
    assert shell.run_cell("%load_ext nbops\nx = 1", store_history=True).success
    assert recorder.current() is None
    assert "nothing can be recorded" in capsys.readouterr().err
    assert shell.user_ns["x"] == 1


def test_tables_that_pandas_reads_are_recorded(shell: InteractiveShell, project: Project) -> None:
    (project.root / "in.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    cells = _run(
        shell,
        "import pandas as pd\nframe = pd.read_csv('in.csv')\nframe['a'] = 0",
        "frame = pd.read_csv(filepath_or_buffer='in.csv', sep=',')",
        "chunks = list(pd.read_csv('in.csv', chunksize=1))",
        "import io; pd.read_csv(io.StringIO('a\\n1'))",
        "import sqlite3; pd.read_sql('select 1 as a -- ' + 'x' * 5000, sqlite3.connect(':memory:'))",
    )
    first, again, chunked, buffer, query = (cell.data[0] for cell in cells)
    assert (first.source, first.rows, first.columns) == ("in.csv", 2, {"a": "long", "b": "string"})
    assert again.digest == first.digest
    assert (chunked.source, chunked.rows) == ("in.csv", None)
    assert chunked.digest != first.digest
    assert buffer.source == "StringIO"
    assert query.source.startswith("select 1")


def test_the_notebook_is_unknown_where_nobody_tells(shell: InteractiveShell, project: Project) -> None:
    _run(shell)
    assert read(next(project.sessions.iterdir())).session.notebook is None


def test_a_path_in_another_project_stays_absolute(shell: InteractiveShell, project: Project, tmp_path: Path) -> None:
    assert Project.find(project.root).relative(tmp_path / "x.csv") == (tmp_path / "x.csv").as_posix()
