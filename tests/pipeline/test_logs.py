"""``nbops logs``: what stages printed, of kept executions and of the one under way."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nbops.cli import logs
from nbops.errors import PipelineError

NBOPS = [sys.executable, "-m", "nbops"]
NOISY = "stages:\n  noisy: {notebook: noisy.ipynb}\n"


def invoke(root: Path, *words: str) -> str:
    result = CliRunner().invoke(logs.command, [*words, "--project", str(root)], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result.output


@pytest.mark.slow
def test_a_stages_output_and_error_are_shown_with_the_cell(tiny: Any) -> None:
    tiny.notebook(
        "noisy.ipynb", "print('hello')", "6 * 7", "quiet = 1", "token = 'hunter2hunter2'\nprint(token)\n1 / 0", "2"
    )
    tiny.yaml(NOISY)
    assert tiny.outcomes() == {"noisy": "failed"}

    shown = invoke(tiny.root, "noisy")

    assert shown.startswith("noisy: failed · .nbops/executed/noisy-")
    assert "── noisy, cell 1 · ok" in shown
    assert "hello\n" in shown
    assert "42\n" in shown
    assert "cell 3" not in shown, "it printed nothing"
    assert "── noisy, cell 4 · failed" in shown
    assert "  1 / 0\n" in shown
    assert "ZeroDivisionError" in shown
    assert "hunter2" not in shown
    assert invoke(tiny.root) == shown, "the newest execution of all"
    only = invoke(tiny.root, "noisy", "--cell", "3")
    assert "quiet = 1" in only
    assert "hello" not in only
    told = json.loads(invoke(tiny.root, "--json"))
    assert [(cell["number"], cell["status"]) for cell in told["cells"]] == [
        (1, "ok"),
        (2, "ok"),
        (3, "ok"),
        (4, "failed"),
    ]
    with pytest.raises(PipelineError, match=r"cell 5 .* wasn't executed"):
        invoke(tiny.root, "noisy", "--cell", "5")
    with pytest.raises(PipelineError, match="did you mean 'noisy'"):
        invoke(tiny.root, "nosy")


def test_nothing_executed_says_how_to_begin(tiny: Any) -> None:
    with pytest.raises(PipelineError, match=r"no stage was executed yet\n  → nbops run"):
        invoke(tiny.root)
    with pytest.raises(PipelineError, match="no run is under way"):
        invoke(tiny.root, "-f")


@pytest.mark.slow
def test_a_run_tells_which_execution(executed: Any) -> None:
    executed.notebook("loud.ipynb", "print('number', n)", parameters="n = 1")
    executed.yaml("stages:\n  loud: {notebook: loud.ipynb}\n")
    first = executed.run(params={"n": 5})
    executed.run(params={"n": 6})

    assert "number 6" in invoke(executed.root, "loud")
    assert "number 5" in invoke(executed.root, "--run", first.stages[0].run_id[:8])
    for path in (executed.root / ".nbops/executed").glob("loud-*"):
        path.unlink()
    assert "number 5" in invoke(executed.root, "--run", first.stages[0].run_id), "the store has it too"
    assert "number 5" in invoke(executed.root, "loud", "--run", first.run_id)


@pytest.mark.slow
def test_the_run_under_way_is_followed_to_its_end(tiny: Any) -> None:
    wait = "import time\nfrom pathlib import Path\nprint('begun', flush=True)\n"
    wait += "while not Path('go').exists():\n    time.sleep(0.05)\nprint('went on')"
    tiny.notebook("noisy.ipynb", "print('first')", wait, "print('last')")
    tiny.yaml(NOISY)
    run = subprocess.Popen([*NBOPS, "run"], cwd=tiny.root, stdout=subprocess.DEVNULL)
    follow = None
    try:
        deadline = time.monotonic() + 90
        while "begun" not in (shown := _try(tiny.root)):
            assert time.monotonic() < deadline, shown
            assert run.poll() is None
            time.sleep(0.1)
        assert shown.startswith("noisy: running")
        assert "── noisy, cell 2 · running ──" in shown
        follow = subprocess.Popen([*NBOPS, "logs", "-f"], cwd=tiny.root, stdout=subprocess.PIPE, text=True)
        assert follow.stdout is not None
        heard = ""
        while "begun" not in heard:
            heard += follow.stdout.readline()
        (tiny.root / "go").touch()
        heard += follow.communicate(timeout=60)[0]
    finally:
        (tiny.root / "go").touch()
        run.wait(60)
        if follow is not None and follow.poll() is None:
            follow.kill()
    assert follow.returncode == 0
    words = [heard.index(word) for word in ("first", "begun", "went on", "last", "noisy: ok")]
    assert words == sorted(words)
    assert heard.count("begun") == heard.count("last") == 1


def _try(root: Path) -> str:
    try:
        return invoke(root, "noisy")
    except PipelineError:
        return ""
