"""What `nbops gc` removes, and what it leaves alone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
import pytest

from nbops.notebook import document
from nbops.project import Project
from nbops.tracking.recording.records import Closed, End, Output, Session, Start
from nbops.tracking.recording.writer import Writer
from nbops.tracking.reproduction.collect import Rubbish, collect, deleted_runs, purge
from nbops.tracking.store import Store

DAY = 24 * 3600.0


def session(
    project: Project, name: str, *, days: float, cell: str = "a", notebook: str | None = "n.ipynb", alive: bool = False
) -> Path:
    """Write a session of some days ago whose only cell showed something."""
    (project.state / "outputs").mkdir(parents=True, exist_ok=True)
    output = project.state / "outputs" / f"of-{name}"
    output.write_text("shown", encoding="utf-8")
    when = time.time() - days * DAY
    process = psutil.Process()
    writer = Writer(project.sessions / f"{name}.jsonl")
    pid, started = (process.pid, process.create_time()) if alive else (1, 1.0)
    host = os.uname().nodename
    writer.write(Session(name, pid, started, when, notebook=notebook, host=host))
    writer.write(Start(1, cell, "x = 1", when))
    writer.write(End(1, "ok", 0.1, outputs=[Output("stdout", "text/plain", f"of-{name}", 5, 5)]))
    if not alive:
        writer.write(Closed("ok", when))
    writer.close()
    for path in (writer.path, output):
        os.utime(path, (when, when))
    return writer.path


def names(found: list[Rubbish]) -> set[str]:
    return {one.path.name for one in found}


@pytest.fixture
def store(project: Project) -> Store:
    document.write(project.root / "n.ipynb", document.new([{"cell_type": "code", "id": "kept", "source": "x = 1"}]))
    return Store(project)


def test_what_nothing_refers_to_goes(store: Store) -> None:
    project = store.project
    old = session(project, "old", days=60)
    gone = session(project, "gone", days=60, notebook="gone.ipynb")
    young = session(project, "young", days=1, notebook="gone.ipynb")
    last = session(project, "last", days=90, cell="kept")
    alive = session(project, "alive", days=60, alive=True)
    looked = collect(store, keep=0, dry_run=True)
    assert names(looked) == {"old.jsonl", "gone.jsonl", "of-old", "of-gone"}
    assert all(path.exists() for path in (old, gone))
    assert names(collect(store, keep=0)) == names(looked)
    assert not old.exists()
    assert not gone.exists()
    assert young.exists()
    assert last.exists()
    assert alive.exists()
    assert {path.name for path in (project.state / "outputs").iterdir()} == {"of-young", "of-last", "of-alive"}
    assert collect(store, keep=0) == []


def test_the_newest_sessions_of_a_notebook_stay(store: Store) -> None:
    for days in (40, 50, 60):
        session(store.project, f"s{days}", days=days)
    assert names(collect(store, keep=2)) == {"s60.jsonl", "of-s60"}


def test_outputs_of_this_hour_stay(store: Store) -> None:
    folder = store.project.state / "outputs"
    folder.mkdir(parents=True)
    (folder / "fresh").write_text("of a cell whose record isn't written yet", encoding="utf-8")
    assert collect(store, older_than=0, keep=0) == []


def test_copies_and_environments(store: Store) -> None:
    state = store.project.state
    dead = state / "replay" / "20260101-000000-999999999-aaa"
    held = state / "replay" / f"20260101-000000-{os.getpid()}-bbb"
    environment = state / "environments" / "run-abc"
    proven = state / "environments" / "0123456789ab"
    for folder in (dead, held, environment, proven):
        folder.mkdir(parents=True)
        (folder / "file").write_text("12345", encoding="utf-8")
        os.utime(folder, (1, 1))
    found = collect(store)
    assert names(found) == {dead.name, environment.name}
    assert {one.bytes for one in found} == {5}
    assert held.exists()
    assert proven.exists()


@pytest.mark.slow
def test_what_stores_refused_is_kept_for_a_while(store: Store) -> None:
    refused = store.project.state / "journal" / "refused"
    refused.mkdir(parents=True)
    for name, days in (("old.jsonl", 60), ("young.jsonl", 1)):
        (refused / name).write_text("{}\n", encoding="utf-8")
        os.utime(refused / name, (time.time() - days * DAY,) * 2)
    os.utime(refused, (time.time() - 60 * DAY,) * 2)
    assert names(collect(store)) == {"old.jsonl"}
    assert [path.name for path in refused.iterdir()] == ["young.jsonl"]


def test_runs_hold_their_session_and_are_purged_only_when_deleted(store: Store) -> None:
    path = session(store.project, "old", days=60)
    run = store.start_run("kept", tags={"nbops.session": "old"})
    store.end_run(run)
    assert collect(store, keep=0) == []
    assert path.exists()
    store.client.delete_run(run)
    assert [one.run_id for one in deleted_runs(store)] == [run]
    purge(store, deleted_runs(store))
    assert deleted_runs(Store(store.project)) == []
    assert path.name in names(collect(store, keep=0))
