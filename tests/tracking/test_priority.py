"""Giving way to the notebook: within a session and, where the system groups processes by session, beyond it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GROUP = Path("/proc/self/autogroup")
SWITCH = Path("/proc/sys/kernel/sched_autogroup_enabled")
GROUPED = SWITCH.exists() and SWITCH.read_text().strip() == "1" and bool(GROUP.read_text().strip())
CODE = """
from nbops.tracking.priority import give_way
import os, pathlib
before = os.nice(0)
give_way()
group = pathlib.Path("/proc/self/autogroup")
print(os.nice(0) - before, group.read_text() if group.exists() else "")
"""


def _told(*, leads: bool) -> list[str]:
    command = [sys.executable, "-c", CODE]
    return subprocess.run(command, start_new_session=leads, capture_output=True, text=True, check=True).stdout.split()


def test_it_is_nicer_than_its_parent() -> None:
    assert _told(leads=False)[0] == "10"


@pytest.mark.skipif(not GROUPED, reason="processes aren't grouped by session here")
def test_only_a_session_of_its_own_gives_way() -> None:
    before = GROUP.read_text().split()
    assert _told(leads=True)[1:][-2:] == ["nice", "10"]
    assert _told(leads=False)[1:] == before
