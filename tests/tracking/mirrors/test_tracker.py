"""Trackers: the contract as two implementations keep it, and mirrors, which copy ended runs and never break tracking."""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from types import SimpleNamespace

import pytest

from jsonlines_tracker import JsonLines
from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.mirrors.conformance import Recorded, TrackerConformance
from nbops.tracking.mirrors.mirroring import catch_up
from nbops.tracking.mirrors.mlflow_tracker import MlflowTracker
from nbops.tracking.mirrors.tracker import Tracker, mirror
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.store import Store


def read_lines(folder: Path, run_id: str) -> Recorded:
    lines = [json.loads(line) for line in (folder / f"{run_id}.jsonl").read_text(encoding="utf-8").splitlines()]
    params, tags, metrics, datasets = {}, {}, {}, set()
    name, status = "", "RUNNING"
    for line in lines:
        if start := line.get("start"):
            name = start["name"]
            tags |= start["tags"]
        params |= line.get("params", {})
        tags |= line.get("tags", {})
        for key, step, value in line.get("metrics", []):
            metrics.setdefault(key, {})[step] = value
        datasets |= {tuple(pair) for pair in line.get("datasets", [])}
        status = line["end"][0] if "end" in line else status
    files = [path for path in (folder / run_id).rglob("*") if path.is_file()]
    artifacts = {path.relative_to(folder / run_id).as_posix(): path.read_bytes() for path in files}
    return Recorded(name, status, params, metrics, tags, frozenset(datasets), artifacts)


class TestJsonLines(TrackerConformance):
    def make(self, folder: Path) -> Tracker:
        return JsonLines(Project(folder), str(folder / "lines"))

    def recorded(self, folder: Path, run_id: str) -> Recorded:
        return read_lines(folder / "lines", run_id)


class TestMlflow(TrackerConformance):
    def make(self, folder: Path) -> Tracker:
        return MlflowTracker(Project(folder), f"sqlite:///{folder / 'mirror.db'}")

    def recorded(self, folder: Path, run_id: str) -> Recorded:
        store = Store(Project(folder, {"tracking": {"uri": f"sqlite:///{folder / 'mirror.db'}"}}))
        detail = store.run(run_id)
        own = detail.summary.run_id

        def history(name: str) -> dict[int, float]:
            if name[1:].isdigit():  # a thousand of them have one value each
                return {0: detail.summary.metrics[name]}
            return {point.step: point.value for point in store.metric_history(own, name)}

        return Recorded(
            detail.summary.name,
            detail.summary.status,
            detail.summary.params,
            {name: history(name) for name in detail.summary.metrics},
            detail.tags,
            frozenset((dataset.name, dataset.digest) for dataset in detail.datasets),
            {path: store.download(own, path, folder / "back").read_bytes() for path in detail.artifacts},
        )


class Broken(JsonLines):
    def flush(self) -> None:
        raise ConnectionError("no network")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Install two trackers: one that works, one that can't."""
    monkeypatch.setitem(sys.modules, "broken_tracker", SimpleNamespace(Broken=Broken))
    points = [
        EntryPoint("lines", "jsonlines_tracker:JsonLines", "nbops.tracker"),
        EntryPoint("broken", "broken_tracker:Broken", "nbops.tracker"),
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [p for p in points if p.group == group])


def configured(project: Project, mirrors: str) -> Store:
    (project.root / "nbops.toml").write_text(
        f"[tracking]\nexperiment = 'trial'\nmirrors = {mirrors}\n", encoding="utf-8"
    )
    return Store(Project.find(project.root))


def test_ended_runs_are_mirrored_once_whole(project: Project, installed: None, tmp_path: Path) -> None:
    store = configured(project, f'["lines={tmp_path / "lines"}"]')
    run_id = store.start_run("first", tags={"team": "a"})
    store.log(run_id, params={"lr": 0.1})
    for step in range(3):
        store.client.log_metric(run_id, "loss", 1 / (step + 1), step=step)
    store.log_datasets(run_id, [DatasetVersion("in.csv", "in.csv", "d" * 32)])
    store.log_text(run_id, "ä", "notes/a.txt")
    assert catch_up(store) == 0, "it hasn't ended"
    store.end_run(run_id)
    child = store.start_run("child", parent=run_id)
    store.end_run(child, "FAILED")
    assert catch_up(store) == 2
    assert catch_up(store) == 0
    found = read_lines(tmp_path / "lines", run_id)
    assert (found.name, found.status, found.params) == ("first", "FINISHED", {"lr": "0.1"})
    assert found.metrics == {"loss": {0: 1.0, 1: 0.5, 2: 1 / 3}}
    assert (found.tags["team"], found.datasets) == ("a", {("in.csv", "d" * 32)})
    assert found.artifacts == {"notes/a.txt": "ä".encode()}
    assert read_lines(tmp_path / "lines", child).status == "FAILED"


def test_a_mirror_that_fails_stops_neither_the_others_nor_anybody(project: Project, installed: None) -> None:
    store = configured(project, '["broken", "lines"]')
    run_id = store.start_run("first")
    store.end_run(run_id)
    began = time.monotonic()
    assert catch_up(store) == 1
    assert time.monotonic() - began < 10
    assert "no network" in (project.state / "nbops.log").read_text(encoding="utf-8")
    assert store.run(run_id).tags["nbops.mirrored"] == "lines"


def test_a_tracker_that_is_not_installed_is_named(project: Project, installed: None) -> None:
    with pytest.raises(TrackingError, match="did you mean 'lines'"):
        mirror(configured(project, '["line"]').project)
    store = configured(project, '["line"]')
    store.start_run("goes on")
    assert catch_up(store) == 0


def test_without_mirrors_nothing_is_looked_for(project: Project) -> None:
    assert catch_up(Store(project)) == 0
    assert not project.state.exists()
