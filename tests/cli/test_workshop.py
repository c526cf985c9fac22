"""The workshop behind ``make demo`` and ``make test``, interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TIDY = """
import pathlib, sys, time
try:
    pathlib.Path("started").touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(1)
    pathlib.Path("tidied").touch()
    sys.exit(130)
"""
SCRIPT = """
import sys
from pathlib import Path
from workshop import interruptible, run
with interruptible("make it"):
    run(sys.executable, "child.py", cwd=Path("."), hold_errors=len(sys.argv) > 1)
"""
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir() or os.name == "nt", reason="needs the repository and signals")


def interrupt(folder: Path, child: str, *arguments: str) -> tuple[int, str]:
    (folder / "child.py").write_text(child)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while not (folder / "started").exists():
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    return process.returncode, output


def test_ctrl_c_leaves_the_command_time_to_tidy_up(tmp_path: Path) -> None:
    status, output = interrupt(tmp_path, TIDY)

    assert (status, output.strip()) == (130, "interrupted; `make it` goes on from here")
    assert (tmp_path / "tidied").exists()


def test_a_command_that_answers_with_a_traceback_is_not_heard(tmp_path: Path) -> None:
    status, output = interrupt(tmp_path, TIDY.replace("time.sleep(1)", "raise"), "held")

    assert (status, output.strip()) == (130, "interrupted; `make it` goes on from here")


def test_an_environment_is_whole_only_after_its_last_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import workshop

    monkeypatch.setattr(workshop, "_STEPS", tmp_path / "steps")
    with workshop._changing_environment():
        pass
    assert (tmp_path / "steps" / "whole").exists()
    with pytest.raises(KeyboardInterrupt), workshop._changing_environment():
        raise KeyboardInterrupt
    assert not (tmp_path / "steps" / "whole").exists()
