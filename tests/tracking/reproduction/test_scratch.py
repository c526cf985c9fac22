"""A copy of a project to live a run again in, and the guard around the project itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.reproduction import guard
from nbops.tracking.reproduction.scratch import scratch_of


def test_the_copy_is_whole_and_apart(project: Project, tmp_path: Path) -> None:
    root = project.root
    (root / "data").mkdir()
    (root / "data" / "in.csv").write_text("a\n1\n", encoding="utf-8")
    (root / ".git").mkdir()
    (root / "venv").mkdir()
    (root / "envs").mkdir()
    (root / "envs" / "pyvenv.cfg").touch()
    outside = tmp_path / "shared" / "more.csv"
    outside.parent.mkdir()
    outside.write_text("b\n", encoding="utf-8")
    (root / "linked.csv").symlink_to(outside)
    (root / "within").symlink_to(root / "data")
    with scratch_of(project, reads=[outside]) as scratch:
        copy = scratch.project.root
        assert scratch.project.name == project.name
        assert copy.name == root.name
        assert not {".git", "venv", "envs", ".nbops"} & {path.name for path in copy.iterdir()}
        (copy / "data" / "in.csv").write_text("changed", encoding="utf-8")
        (copy / "linked.csv").write_text("changed", encoding="utf-8")
        assert (copy / "within" / "in.csv").read_text(encoding="utf-8") == "changed"
        assert (copy / ".." / "shared" / "more.csv").read_text(encoding="utf-8") == "b\n"
        assert scratch.led_here(f"open('{root}/x'); '{root}2/x'") == f"open('{copy}/x'); '{root}2/x'"
    assert (root / "data" / "in.csv").read_text(encoding="utf-8") == "a\n1\n"
    assert outside.read_text(encoding="utf-8") == "b\n"
    assert not scratch.folder.exists()


def test_what_is_too_large_is_refused_before_it_is_copied(project: Project) -> None:
    (project.root / "big.bin").write_bytes(bytes(2000))
    with pytest.raises(TrackingError, match="too large to be copied"), scratch_of(project, limit=1000):
        pytest.fail("never gets here")
    assert list((project.state / "replay").iterdir()) == []


def test_the_guard_refuses_writes_into_the_project(project: Project, tmp_path: Path) -> None:
    (project.root / "kept.txt").write_text("kept", encoding="utf-8")
    code = f"""
import os, shutil, sqlite3
from pathlib import Path
from nbops.tracking.reproduction.guard import protect
protect()
root, free = Path({str(project.root)!r}), Path({str(tmp_path)!r})
assert (root / "kept.txt").read_text() == "kept"
(free / "new.txt").write_text("fine")
(root / ".nbops").mkdir(exist_ok=True)
(root / ".nbops" / "state").write_text("fine")
(free / "link").symlink_to(root / "kept.txt")
tries = [
    lambda: (root / "kept.txt").write_text("no"),
    lambda: open(free / "link", "a"),
    lambda: os.open(root / "kept.txt", os.O_RDWR),
    lambda: (root / "kept.txt").unlink(),
    lambda: (root / "kept.txt").rename(root / "other.txt"),
    lambda: (free / "new.txt").rename(root / "other.txt"),
    lambda: (root / "folder").mkdir(),
    lambda: shutil.rmtree(root),
    lambda: shutil.copyfile(free / "new.txt", root / "copied.txt"),
    lambda: sqlite3.connect(root / "base.db"),
]
refused = 0
for attempt in tries:
    try:
        attempt()
    except PermissionError as error:
        refused += "nbops reproduce" in str(error)
(free / "link").unlink()
print(refused, len(tries))
"""
    variables = {**os.environ, guard.VARIABLE: guard.settings(project)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, check=False)
    assert answer.stdout.split() == ["10", "10"], answer.stderr
    assert (project.root / "kept.txt").read_text(encoding="utf-8") == "kept"
