"""What goes wrong: cells that raise, kernels that die, outputs that don't come, runners that are stopped or killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from nbops.errors import PipelineBusy
from nbops.notebook.document import read
from nbops.pipeline.plan import status

pytestmark = pytest.mark.slow

FAILING = """\
stages:
  bad: {notebook: bad.ipynb, outputs: {out: bad.txt}}
  after: {notebook: fine.ipynb, inputs: {source: bad.out}, outputs: {out: after.txt}}
  last: {notebook: fine.ipynb, inputs: {source: after.out}, outputs: {out: last.txt}}
  lazy: {notebook: lazy.ipynb, outputs: {out: lazy.txt}}
  dies: {notebook: dies.ipynb, outputs: {out: dies.txt}}
  fine: {notebook: fine.ipynb, inputs: {source: words.txt}, outputs: {out: fine.txt}}
  text: {notebook: text.ipynb, outputs: {out: text.txt}, metrics: [score]}
  exits: {notebook: exits.ipynb, outputs: {out: exits.txt}}
  asks: {notebook: asks.ipynb}
"""
SLEEPER = "stages:\n  sleep: {notebook: sleep.ipynb, outputs: {out: sleep.txt}}\n"
SLEEP = """\
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "300"])
pathlib.Path("pids.tmp").write_text(f"{os.getpid()} {child.pid}")
pathlib.Path("pids.tmp").rename("pids")
if not pathlib.Path("quick").exists():
    time.sleep(300)
child.kill()
pathlib.Path(out).write_text("slept")"""


@pytest.fixture(scope="module")
def failed(new_lab: Callable[[Path], Any], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run a pipeline in which nearly everything goes wrong."""
    lab = new_lab(tmp_path_factory.mktemp("failures") / "tiny")
    write = "from pathlib import Path\nPath(out).write_text('x')"
    lab.notebook("bad.ipynb", "y = 1", "z = 2\n\nraise ValueError('boo')\n", "w = 3", parameters='out = "bad.txt"')
    lab.notebook("lazy.ipynb", "print(out)", parameters='out = "lazy.txt"')
    die = "print('last words', flush=True)\nimport os, time; time.sleep(0.5); os.kill(os.getpid(), 9)"
    lab.notebook("dies.ipynb", "y = 1", die, write, parameters='out = "dies.txt"')
    lab.notebook("fine.ipynb", write, parameters='source = "words.txt"\nout = "fine.txt"')
    lab.notebook("text.ipynb", write, "score = 'high'", parameters='out = "text.txt"')
    lab.notebook("exits.ipynb", write, "import sys; sys.exit(0)", "w = 3", parameters='out = "exits.txt"')
    lab.notebook("asks.ipynb", "name = input('name? ')")
    lab.yaml(FAILING)
    return lab, lab.run()


def stage(result: Any, name: str) -> Any:
    return next(one for one in result.stages if one.name == name)


def test_each_stage_ends_as_it_ended(failed: Any) -> None:
    lab, result = failed

    assert not result.ok
    assert {one.name: one.outcome for one in result.stages} == {
        "bad": "failed",
        "after": "skipped",
        "last": "skipped",
        "lazy": "failed",
        "dies": "failed",
        "fine": "executed",
        "text": "failed",
        "exits": "failed",
        "asks": "failed",
    }
    statuses = {run.name: run.status for run in lab.runs()}
    assert statuses == {
        "tiny": "FAILED",
        "bad": "FAILED",
        "lazy": "FAILED",
        "dies": "KILLED",
        "fine": "FINISHED",
        "text": "FAILED",
        "exits": "FAILED",
        "asks": "FAILED",
    }
    assert stage(result, "after").error == "needs bad"
    made = {path.name for path in lab.root.glob("*.txt")}
    assert made == {"words.txt", "fine.txt"}, "a stage that failed leaves no output"


def test_a_failing_cell_is_shown_with_its_place(failed: Any) -> None:
    lab, result = failed
    bad = stage(result, "bad")

    assert bad.error.splitlines() == [
        "stage 'bad', bad.ipynb, cell 4: ValueError: boo",
        "      1 │ z = 2",
        "      2 │ ",
        "  >   3 │ raise ValueError('boo')",
        "      4 │ ",
        f"  → see {bad.notebook}",
    ]
    executed = read(lab.root / bad.notebook)
    statuses = [cell["metadata"]["nbops"]["status"] for cell in executed.cells if cell["cell_type"] == "code"]
    assert statuses == ["ok", "ok", "ok", "failed", "not run"]


def test_a_killed_kernel_leaves_a_truthful_notebook(failed: Any) -> None:
    lab, result = failed
    dies = stage(result, "dies")

    assert "cell 4: the kernel died in this cell: killed by SIGKILL" in dies.error
    cells = [cell for cell in read(lab.root / dies.notebook).cells if cell["cell_type"] == "code"]
    assert [cell["metadata"]["nbops"]["status"] for cell in cells] == ["ok", "ok", "ok", "killed", "not run"]
    assert [cell["metadata"]["papermill"]["status"] for cell in cells[-2:]] == ["failed", "pending"]
    assert "last words" in str(cells[3]["outputs"])


def test_missing_output_and_metric_name_what_is_missing(failed: Any) -> None:
    _, result = failed

    assert "didn't write its output 'out'" in stage(result, "lazy").error
    assert "metric 'score' isn't a number when the notebook ends: it holds 'high'" in stage(result, "text").error


def test_leaving_early_is_no_success(failed: Any) -> None:
    lab, result = failed
    exits = stage(result, "exits")

    assert "stage 'exits', exits.ipynb, cell 4: the cell called sys.exit()" in exits.error
    cells = [cell for cell in read(lab.root / exits.notebook).cells if cell["cell_type"] == "code"]
    assert [cell["metadata"]["nbops"]["status"] for cell in cells] == ["ok", "ok", "ok", "failed", "not run"]


def test_asking_for_input_fails_at_once(failed: Any) -> None:
    _, result = failed

    assert "cell 1: the cell asks for input, which nobody can give in a pipeline" in stage(result, "asks").error


def test_one_run_at_a_time(tiny: Any) -> None:
    sleeper(tiny)
    (tiny.root / "quick").touch()
    started, go_on = threading.Event(), threading.Event()

    def pause(event: Any) -> None:
        started.set()
        go_on.wait(60)

    first = threading.Thread(target=lambda: tiny.run(on_event=pause))
    first.start()
    try:
        assert started.wait(60)
        with pytest.raises(PipelineBusy, match=f"process {os.getpid()}"):
            tiny.run()
        second = subprocess.run(command(tiny), capture_output=True, text=True, timeout=60)
        assert second.returncode == 75
        assert "another run is under way" in second.stderr
    finally:
        go_on.set()
        first.join(120)
    assert (tiny.root / "sleep.txt").read_text() == "slept"


def test_ctrl_c_stops_kernels_and_marks_runs(tiny: Any) -> None:
    sleeper(tiny)
    runner = subprocess.Popen(command(tiny), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    pids = wait_for_pids(tiny.root, runner)

    runner.send_signal(signal.SIGINT)
    output, _ = runner.communicate(timeout=60)

    assert runner.returncode == 130, output
    assert "Traceback" not in output
    assert gone(pids), "the kernel and its children are gone"
    assert {run.name: run.status for run in tiny.runs()} == {"tiny": "KILLED", "sleep": "KILLED"}
    assert not list((tiny.root / ".nbops/work").iterdir())
    [executed] = (tiny.root / ".nbops/executed").glob("*.ipynb")
    assert read(executed).content["metadata"]["nbops"] == {"status": "cancelled"}


def test_a_second_ctrl_c_does_not_break_off_the_tidying_up(tiny: Any) -> None:
    sleeper(tiny)
    runner = subprocess.Popen(command(tiny), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    pids = wait_for_pids(tiny.root, runner)

    runner.send_signal(signal.SIGINT)
    time.sleep(0.1)
    runner.send_signal(signal.SIGINT)
    output, _ = runner.communicate(timeout=60)

    assert runner.returncode == 130, output
    assert "stopping kernels" in output
    assert "Traceback" not in output
    assert not any(is_alive(pid) for pid in pids)
    assert {run.status for run in tiny.runs()} == {"KILLED"}
    assert not list((tiny.root / ".nbops/work").iterdir())


def test_what_changes_while_its_stage_runs_is_not_kept(tiny: Any) -> None:
    tiny.notebook(
        "moves.ipynb",
        "from pathlib import Path\nPath(out).write_text(Path(words).read_text())\nPath('words.txt').write_text('ash')",
        parameters='words = "words.txt"\nout = "a.txt"',
    )
    tiny.notebook(
        "edits.ipynb",
        "import helper\nfrom pathlib import Path\nPath(out).write_text('x')\nPath('helper.py').write_text('y = 1')",
        parameters='out = "b.txt"',
    )
    tiny.yaml(
        "stages:\n"
        "  moves: {notebook: moves.ipynb, inputs: {words: words.txt}, outputs: {out: a.txt}}\n"
        "  edits: {notebook: edits.ipynb, outputs: {out: b.txt}}\n"
    )
    events: list[Any] = []

    assert tiny.run(on_event=events.append).ok
    notes = {event.stage for event in events if "changed while it ran" in event.text}
    assert notes == {"moves", "edits"}
    assert {one.name: one.state for one in status(tiny.project)} == {"moves": "stale", "edits": "stale"}
    assert (tiny.root / "a.txt").read_text() == "oak elm"


def test_killed_runner_is_cleared_away_by_the_next(tiny: Any) -> None:
    sleeper(tiny)
    runner = subprocess.Popen(command(tiny), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kernel, child = wait_for_pids(tiny.root, runner)
    runner.kill()
    runner.wait(30)
    deadline = time.monotonic() + 30
    while is_alive(kernel):
        assert time.monotonic() < deadline, "the kernel outlives its runner"
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    (tiny.root / "quick").touch()
    before = {run.run_id for run in tiny.runs()}

    result = tiny.run()

    assert {one.name: one.outcome for one in result.stages} == {"sleep": "executed"}
    assert {run.status for run in tiny.runs() if run.run_id in before} == {"KILLED"}
    assert len(before) == 2
    assert not list((tiny.root / ".nbops/work").iterdir())


def sleeper(lab: Any) -> None:
    lab.notebook("sleep.ipynb", SLEEP, parameters='out = "sleep.txt"')
    lab.yaml(SLEEPER)


def command(lab: Any) -> list[str]:
    code = "import sys; from nbops.cli import main; main(sys.argv[1:])"
    return [sys.executable, "-c", code, "run", str(lab.root)]


def wait_for_pids(root: Path, runner: subprocess.Popen[Any]) -> list[int]:
    deadline = time.monotonic() + 120
    while not (root / "pids").exists():
        assert runner.poll() is None, "the runner ended early"
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return [int(pid) for pid in (root / "pids").read_text().split()]


def gone(pids: list[int]) -> bool:
    """Whether processes have ended; a killed one may need a moment."""
    deadline = time.monotonic() + 10
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(is_alive(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    """Whether a process is there; one that waits for init to reap it isn't."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
