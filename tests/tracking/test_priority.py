"""Giving way to the notebook: within a session and, where the system groups processes by session, beyond it."""

from __future__ import annotations

import json
import subprocess
import sys

CODE = """
from nbops.tracking.priority import give_way
import json, os, pathlib
group = pathlib.Path("/proc/self/autogroup")
def state():
    return os.nice(0), group.read_text() if group.exists() else ""
before = state()
give_way()
print(json.dumps([before, state()]))
"""


def _before_and_after(*, leads: bool) -> tuple[tuple[int, str], tuple[int, str]]:
    """Niceness of a process and of its group (empty where the system has no groups), before and after."""
    command = [sys.executable, "-c", CODE]
    done = subprocess.run(command, start_new_session=leads, capture_output=True, text=True, check=True)
    before, after = json.loads(done.stdout)
    return tuple(before), tuple(after)


def test_it_is_nicer_than_its_parent() -> None:
    before, after = _before_and_after(leads=False)
    assert after[0] == before[0] + 10


def test_only_a_session_of_its_own_gives_way() -> None:
    (_, grouped), (_, after) = _before_and_after(leads=True)
    assert after.endswith("nice 10\n") == bool(grouped)
    (_, before), (_, same) = _before_and_after(leads=False)
    assert same == before
