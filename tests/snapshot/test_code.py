"""The code version: commit, difference and executed cells."""

from __future__ import annotations

import subprocess
from pathlib import Path

from nbops.snapshot.code import Cell, capture


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def test_outside_a_repository_only_the_cells_count(tmp_path: Path) -> None:
    code = capture(tmp_path, [Cell("a", "x = 1")])
    assert (code.commit, code.branch, code.diff, code.dirty) == (None, None, "", False)
    assert code.digest == capture(tmp_path, [Cell("b", "x=1  # same")]).digest
    assert code.digest != capture(tmp_path, [Cell("a", "x = 2")]).digest


def test_a_repository_before_its_first_commit_has_none(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-b", "trunk")
    code = capture(tmp_path, [])
    assert (code.commit, code.branch) == (None, "trunk")


def test_the_difference_from_the_commit_below_the_project(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    _git(tmp_path, "init", "-b", "trunk")
    for path in (tmp_path / "outside.py", project / "inside.py"):
        path.write_text("x = 1\n", encoding="utf-8")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "first")
    clean = capture(project, [])
    assert clean.commit
    assert len(clean.commit) == 40
    assert not clean.dirty
    for path in (tmp_path / "outside.py", project / "inside.py"):
        path.write_text("x = 2\n", encoding="utf-8")
    diff = capture(project, []).diff
    assert "inside.py" in diff
    assert "outside.py" not in diff
    assert "+x = 2" in diff
