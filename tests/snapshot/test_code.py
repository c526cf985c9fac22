"""The code version: commit, difference and executed cells."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbops.snapshot.code import Cell, capture, loaded_modules
from nbops.snapshot.worktree import Repository, Status


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


def _repository(folder: Path) -> Path:
    _git(folder, "init", "-b", "trunk")
    (folder / ".gitignore").write_text("ignored.py\n", encoding="utf-8")
    _notebook(folder / "a.ipynb", "x = 1", "shown once")
    (folder / "known.py").write_text("x = 1\n", encoding="utf-8")
    _git(folder, "add", ".")
    _git(folder, "commit", "-m", "first")
    return folder


def _notebook(path: Path, source: str, shown: str) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": shown}
    cell = {
        "cell_type": "code",
        "id": "c1",
        "source": source,
        "metadata": {},
        "outputs": [output],
        "execution_count": 1,
    }
    content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(content), encoding="utf-8")


def test_untracked_code_is_told_and_other_files_are_not(tmp_path: Path) -> None:
    root = _repository(tmp_path)
    assert not capture(root, []).dirty
    for name in ("new.py", "ignored.py", "data.csv"):
        (root / name).write_text(f"# {name}\n", encoding="utf-8")
    _notebook(root / "new ü.ipynb", "y = 2", "not this")
    diff = capture(root, []).diff
    assert "+++ b/new.py" in diff
    assert "+y = 2" in diff
    assert not any(word in diff for word in ("ignored", "data.csv", "not this"))


def test_notebooks_differ_by_their_code_alone(tmp_path: Path) -> None:
    root = _repository(tmp_path)
    _notebook(root / "a.ipynb", "x = 1", "shown twice")
    assert capture(root, []).diff == ""
    _notebook(root / "a.ipynb", "x = 2", "shown twice")
    assert capture(root, []).diff.splitlines()[-2:] == ["-x = 1", "+x = 2"]
    (root / "a.ipynb").unlink()
    assert "+++ /dev/null" in capture(root, []).diff


def test_git_gets_no_more_than_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    began = time.monotonic()
    repository = Repository(tmp_path, seconds=0.5)
    assert repository.line("rev-parse", "HEAD") is None
    assert repository.difference(Status("abc", "trunk", ("? new.py",))) == ""
    assert time.monotonic() - began < 5


def test_a_difference_follows_every_write(tmp_path: Path) -> None:
    _git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "one.py").write_text("x = 1\n", encoding="utf-8")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-qm", "first")
    seen = []
    for text in ("x = 2\n", "x = 3\n", "x = 1\n"):
        (tmp_path / "one.py").write_text(text, encoding="utf-8")
        seen.append(capture(tmp_path, ()).diff)
        assert capture(tmp_path, ()).diff == seen[-1]
    os.utime(tmp_path / "one.py", (1, 1))
    (tmp_path / "new.py").write_text("y = 1\n", encoding="utf-8")
    os.utime(tmp_path / "new.py", (1, 1))
    assert "+y = 1" in capture(tmp_path, ()).diff
    (tmp_path / "new.py").write_text("y = 2\n", encoding="utf-8")
    assert "+y = 2" in capture(tmp_path, ()).diff
    assert ["+x = 2" in seen[0], "+x = 3" in seen[1], seen[2]] == [True, True, ""]


def test_the_modules_that_cells_import_count(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import deeper\nx = 1\n", encoding="utf-8")
    (tmp_path / "deeper.py").write_text("y = 1\n", encoding="utf-8")
    (tmp_path / "other.py").write_text("z = 1\n", encoding="utf-8")
    cells = [Cell("a", "import helper")]
    first = capture(tmp_path, cells)
    assert set(first.modules) == {"helper", "deeper"}
    (tmp_path / "other.py").write_text("z = 2\n", encoding="utf-8")
    (tmp_path / "deeper.py").write_text("y=1  # same\n", encoding="utf-8")
    assert capture(tmp_path, cells).digest == first.digest
    (tmp_path / "deeper.py").write_text("y = 2\n", encoding="utf-8")
    assert capture(tmp_path, cells).digest != first.digest
    assert capture(tmp_path, [Cell("a", "1")]).modules == {}


def test_modules_that_were_imported_at_run_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "by_name.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("by_name")
    try:
        assert set(loaded_modules(tmp_path)) == {"by_name"}
    finally:
        del sys.modules["by_name"]
