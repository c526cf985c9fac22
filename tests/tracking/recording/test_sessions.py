"""Which sessions are over: the dead are closed, the living and the unknown are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from nbops.project import Project
from nbops.tracking.recording.cells import badges
from nbops.tracking.recording.records import Closed, End, Session, Start, read
from nbops.tracking.recording.sessions import close_dead, is_alive
from nbops.tracking.recording.writer import Writer
from nbops.tracking.store import Store

HERE = Session.here("s", "a.ipynb", None, None)


def _write(project: Project, session: Session, *, ended: bool = False) -> Path:
    path = project.sessions / f"{session.session}.jsonl"
    writer = Writer(path)
    writer.write(session)
    writer.write(Start(1, "cell", "x = 1", 1.0))
    if ended:
        writer.write(End(1, "ok", 0.1))
    writer.close()
    return path


@pytest.fixture
def gone() -> Session:
    """Return a session of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return msgspec.structs.replace(HERE, pid=process.pid)


def test_the_living_are_left_alone(project: Project) -> None:
    path = _write(project, HERE)
    assert is_alive(HERE, path)
    assert close_dead(Store(project)) == []
    assert read(path).closed is None
    assert [badge.outcome for badge in badges(project, "a.ipynb")] == ["running"]


def test_the_dead_are_closed_even_before_there_is_a_store(project: Project, gone: Session) -> None:
    path = _write(project, gone)
    assert [badge.outcome for badge in badges(project, "a.ipynb")] == ["killed"]
    assert close_dead(Store(project)) == []
    closed = read(path).closed
    assert closed
    assert closed.outcome == "killed"
    assert [badge.outcome for badge in badges(project, "a.ipynb")] == ["killed"]


def test_a_process_id_that_is_used_again_is_another_process(project: Project) -> None:
    for other in ({"process": f"{HERE.process}1"}, {"process": "", "process_started": HERE.process_started - 60}):
        path = _write(project, msgspec.structs.replace(HERE, **other))
        close_dead(Store(project))
        assert read(path).closed
        path.unlink()


def test_a_session_of_another_machine_is_given_a_week(project: Project, gone: Session) -> None:
    path = _write(project, msgspec.structs.replace(gone, host="elsewhere"))
    close_dead(Store(project))
    assert read(path).closed is None
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(path, (week_ago, week_ago))
    close_dead(Store(project))
    assert read(path).closed


def test_a_torn_last_line_does_not_keep_a_session_open(project: Project, gone: Session) -> None:
    path = _write(project, gone)
    with path.open("ab") as stream:
        stream.write(b'{"type":"end","se')
    close_dead(Store(project))
    size = path.stat().st_size
    assert read(path).closed
    close_dead(Store(project))
    assert path.stat().st_size == size


def test_badges_tell_the_last_execution_over_all_sessions(project: Project, gone: Session) -> None:
    first = _write(project, gone, ended=True)
    writer = Writer(first)
    writer.write(Closed("ok", 2.0))
    writer.close()
    _write(project, msgspec.structs.replace(HERE, session="t"))
    _write(project, msgspec.structs.replace(HERE, session="u", notebook="other.ipynb"))
    (project.sessions / "junk.jsonl").write_text("junk", encoding="utf-8")
    badge = badges(project, "a.ipynb")[0]
    assert (badge.outcome, badge.count, badge.duration) == ("running", 2, None)
