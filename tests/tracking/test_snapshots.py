"""The five versions: each changes with what it is a version of, and with nothing else."""

from __future__ import annotations

import itertools
import os
import time
from typing import Any

import pytest

from nbops.notebook.parameters import INJECTED_ID
from nbops.project import Project
from nbops.tracking import snapshots
from nbops.tracking.comparison.compare import compare
from nbops.tracking.recording.records import Data, End, Model, Session, Start
from nbops.tracking.recording.writer import Writer
from nbops.tracking.schema import VERSION_KINDS, Versions
from nbops.tracking.store import Store

_numbers = itertools.count()


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)


def run_of(
    store: Store,
    *,
    code: str = "x = 1",
    injected: str = "c = 1",
    data: str = "aa" * 16,
    where: str = "data/x.csv",
    model: str = "cc" * 32,
    **params: Any,
) -> str:
    """Make a run as a pipeline's stage would, from hand-written records."""
    session = f"s{next(_numbers)}"
    writer = Writer(store.project.sessions / f"{session}.jsonl")
    writer.write(Session(session, os.getpid(), 0.0, time.time(), stage="train"))
    for seq, (cell_id, source) in enumerate([("load", "%load_ext nbops"), (INJECTED_ID, injected), ("c", code)], 1):
        writer.write(Start(seq, cell_id, source, time.time()))
        writer.write(End(seq, "ok", 0.1))
    writer.write(Data(3, where, "read_csv", data, rows=3, columns={"x": "long"}))
    writer.write(Model(3, "m", "sklearn.X", model, 9))
    writer.close()
    run_id = store.start_run("train")
    store.log(run_id, params=params)
    snapshots.attach(store, run_id, session=session)
    store.end_run(run_id)
    return run_id


def versions(store: Store, **how: Any) -> Versions:
    return store.run(run_of(store, **how)).summary.versions


def test_each_version_changes_with_its_own(store: Store) -> None:
    base = versions(store, c=1)
    assert all(getattr(base, kind) for kind in VERSION_KINDS)
    assert versions(store, c=1) == base
    assert versions(store, c=1, code="x  =  1  # the same") == base
    assert versions(store, c=1, injected="c = 1\nout = '/somewhere/else'") == base, "paths of a run are no version"
    assert versions(store, c=1, where="/elsewhere/x.csv") == base, "data are the same wherever they lie"
    for kind, changed in (
        ("code", {"code": "x = 2"}),
        ("data", {"data": "bb" * 16}),
        ("model", {"model": "dd" * 32}),
        ("experiment", {"c": 2}),
    ):
        other = versions(store, **{"c": 1, **changed})
        assert [one for one in VERSION_KINDS if getattr(other, one) != getattr(base, one)] == [kind]


def test_what_differs_is_told(store: Store) -> None:
    before = store.run(run_of(store, c=1))
    after = store.run(run_of(store, code="x = 2\ny = 3", data="bb" * 16, c=2))
    found = compare(before, after)
    assert [(change.name, change.before, change.after) for change in found.params] == [("c", "1", "2")]
    assert {change.name for change in found.versions} == {"code", "data", "experiment"}
    edited = "".join(change.diff for change in found.code)
    assert "-x = 1" in edited
    assert "+y = 3" in edited
    assert [change.source for change in found.data] == ["data/x.csv"]
    assert not found.environment
