"""``nbops gc`` in the pipeline's cache: what goes, what stays, and nothing while a run is under way."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nbops.cli import gc
from nbops.errors import PipelineBusy
from nbops.pipeline import garbage
from nbops.pipeline.cache import Cache
from nbops.pipeline.workspace import Workspace
from nbops.tracking.store import Store

DAY = 24 * 3600.0


def age(folder: Path, days: float) -> None:
    moment = time.time() - days * DAY
    for path in folder.rglob("*"):
        os.utime(path, (moment, moment))


def kinds(found: list[Any]) -> dict[str, int]:
    names = [one.kind for one in found]
    return {name: names.count(name) for name in sorted(set(names))}


@pytest.mark.slow
def test_old_results_go_with_what_only_they_need(executed: Any) -> None:
    before = executed.outcomes(params={"n": 5})
    assert before == {"make": "executed", "tree": "cached", "add": "executed"}
    age(executed.root / ".nbops/cache", 40)
    age(executed.root / ".nbops/executed", 40)
    store = Store(executed.project)

    would = garbage.collect(store, older_than=30 * DAY, keep=1, dry_run=True)
    assert kinds(would) == {"cached content": 2, "cached stage": 2, "executed notebook": 2, "facts file": 2}
    assert all(one.path.exists() and one.bytes and one.why for one in would)
    assert garbage.collect(store, older_than=30 * DAY, keep=1) == would
    assert not any(one.path.exists() for one in would)

    assert set(executed.outcomes(params={"n": 5}).values()) == {"cached"}
    for path in (executed.root / "data").rglob("*.*"):
        path.unlink()
    assert set(executed.outcomes(params={"n": 5}).values()) == {"cached"}, "all that is kept can be restored"
    assert executed.outcomes()["make"] == "executed"
    assert garbage.collect(store, older_than=30 * DAY, keep=1) == []


@pytest.mark.slow
def test_using_a_result_makes_it_young(executed: Any) -> None:
    executed.run(params={"n": 5})
    age(executed.root / ".nbops/cache", 40)
    executed.run()
    executed.run(params={"n": 5})

    assert garbage.collect(Store(executed.project), older_than=30 * DAY, keep=10) == []


@pytest.mark.slow
def test_a_dead_runs_folder_goes_and_its_notebook_stays(executed: Any) -> None:
    dead = executed.root / ".nbops/work/20200101-000000-dead/make"
    dead.mkdir(parents=True)
    (dead / "executed.ipynb").write_bytes((executed.root / "make.ipynb").read_bytes())
    [leftover] = list((executed.root / ".nbops/cache/objects").glob("*/*/*"))[:1]
    leftover.with_name(".unfinished").write_text("half")

    found = garbage.collect(Store(executed.project), older_than=30 * DAY, keep=10)

    assert kinds(found) == {"cached content": 1, "work folder": 1}
    assert not dead.parent.exists()
    assert (executed.root / ".nbops/executed/make-killed.ipynb").is_file()


@pytest.mark.slow
def test_a_run_under_way_is_left_alone(executed: Any) -> None:
    age(executed.root / ".nbops/cache", 40)
    store = Store(executed.project)
    with Workspace(executed.project).hold(), pytest.raises(PipelineBusy):
        garbage.collect(store, older_than=0, keep=0)

    with Workspace(executed.project).hold():
        answer = CliRunner().invoke(gc.command, ["--project", str(executed.root), "--keep-days", "0", "--json"])
    assert answer.exit_code == 0, answer.output
    assert "another run is under way" in json.loads(answer.stdout)["left"]
    assert set(executed.outcomes().values()) == {"cached"}


@pytest.mark.slow
def test_one_verb_removes_from_cache_and_records(executed: Any) -> None:
    executed.run(params={"n": 5})
    age(executed.root / ".nbops/cache", 40)
    asked = ["--project", str(executed.root), "--keep-days", "30"]
    told = json.loads(CliRunner().invoke(gc.command, [*asked, "--dry-run", "--json"]).stdout)
    assert {one["kind"] for one in told["would_remove"]} == {"cached stage", "cached content", "facts file"}

    said = CliRunner().invoke(gc.command, asked).stdout

    assert "removed 2 cached stages" in said
    latest = Cache(executed.root / ".nbops/cache").latest_keys()
    assert {path.stem for path in (executed.root / ".nbops/cache/entries").iterdir()} == latest
