"""Traces show what was written, and only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbops.project import Project
from nbops.tracking.recording.traces import ProjectTraces


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_says_nothing_while_nothing_happens(project: Project) -> None:
    project.sessions.mkdir(parents=True)
    (project.sessions / "old.jsonl").write_text("{}\n")
    traces = ProjectTraces(project)
    assert traces.look() == []
    assert traces.look() == []


def test_notices_the_first_session_of_a_new_project(project: Project) -> None:
    traces = ProjectTraces(project)
    project.sessions.mkdir(parents=True)
    (project.sessions / "a.jsonl").write_text("{}\n")
    assert traces.look() == ["cells"]
    assert traces.look() == []


def test_notices_appends_among_many_old_sessions(project: Project) -> None:
    project.sessions.mkdir(parents=True)
    for number in range(100):
        (project.sessions / f"{number:03}.jsonl").write_text("{}\n")
    latest = project.sessions / "zzz.jsonl"
    latest.write_text("{}\n")
    traces = ProjectTraces(project)
    with latest.open("a") as session:
        session.write("{}\n")
    assert traces.look() == ["cells"]


def test_other_files_beside_the_sessions_are_not_ours(project: Project) -> None:
    project.sessions.mkdir(parents=True)
    traces = ProjectTraces(project)
    (project.sessions / "note.txt").write_text("hello")
    assert traces.look() == []


def test_notices_the_store(project: Project) -> None:
    traces = ProjectTraces(project)
    project.state.mkdir()
    (project.state / "mlflow.db").write_bytes(b"1")
    assert traces.look() == ["runs"]
    (project.state / "mlflow.db-wal").write_bytes(b"1")
    assert traces.look() == ["runs"]
    assert traces.look() == []
