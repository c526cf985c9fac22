"""Whether a tracker keeps the contract of `Tracker`: a class of tests for pytest, to be inherited.

Make a class ``TestMine(TrackerConformance)`` that says how to make a tracker in a folder and how to read back what it
recorded; pytest then runs every promise against it. MLflow's own implementation passes the same class.
"""

from __future__ import annotations

import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from nbops.tracking.mirrors.tracker import MetricValue, NewRun, Tracker
from nbops.tracking.schema import DatasetVersion

_DATASET = DatasetVersion("in.csv", "data/in.csv", "d" * 32, 3, {"a": "long", "b": "string"})
_MANY = 1200
_LONG = 5000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a tracker has of a run, read back: metrics by name and step, artifacts by path."""

    name: str
    status: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: frozenset[tuple[str, str]] = frozenset()
    artifacts: Mapping[str, bytes] = field(default_factory=dict)


class TrackerConformance(ABC):
    """The promises of a tracker, one test each."""

    @abstractmethod
    def make(self, folder: Path) -> Tracker:
        """Return a tracker that records into `folder`; called again, one that goes on with the same records."""

    @abstractmethod
    def recorded(self, folder: Path, run_id: str) -> Recorded:
        """Return what was recorded of a run; datasets as pairs of name and digest."""

    def test_a_run_with_all_that_was_told(self, tmp_path: Path) -> None:
        """Everything that is told is there, each kind in its place."""
        tracker, run = self.make(tmp_path), self._started(tmp_path)
        tracker.start(run)
        self._fill(tracker, run.run_id, tmp_path)
        tracker.end(run.run_id, "FINISHED", time.time())
        tracker.close()
        self._check(tmp_path, run)

    def test_what_comes_twice_is_there_once(self, tmp_path: Path) -> None:
        """After a crash another instance is told everything again."""
        run = self._started(tmp_path)
        for _ in range(2):
            tracker = self.make(tmp_path)
            tracker.start(run)
            self._fill(tracker, run.run_id, tmp_path)
            tracker.end(run.run_id, "FINISHED", run.started + 1)
            tracker.close()
        self._check(tmp_path, run)

    def test_another_instance_goes_on(self, tmp_path: Path) -> None:
        """A run that one instance started is ended by the next."""
        run = self._started(tmp_path)
        tracker = self.make(tmp_path)
        tracker.start(run)
        tracker.log_params(run.run_id, {"before": "1"})
        tracker.close()
        tracker = self.make(tmp_path)
        tracker.log_params(run.run_id, {"after": "2"})
        tracker.end(run.run_id, "KILLED", time.time())
        tracker.close()
        found = self.recorded(tmp_path, run.run_id)
        assert (dict(found.params), found.status) == ({"before": "1", "after": "2"}, "KILLED")

    def test_runs_that_are_open_at_once_do_not_mix(self, tmp_path: Path) -> None:
        """Each call belongs to the run that it names."""
        tracker = self.make(tmp_path)
        runs = [self._started(tmp_path, name) for name in ("one", "two")]
        for run in runs:
            tracker.start(run)
        for run in runs:
            tracker.log_params(run.run_id, {"own": run.name})
            tracker.log_metrics(run.run_id, [MetricValue("m", float(len(run.run_id)), time=run.started)])
        tracker.end(runs[0].run_id, "FAILED", time.time())
        tracker.end(runs[1].run_id, "FINISHED", time.time())
        tracker.close()
        found = [self.recorded(tmp_path, run.run_id) for run in runs]
        assert [(one.params["own"], one.status) for one in found] == [("one", "FAILED"), ("two", "FINISHED")]

    def test_any_text_and_any_number(self, tmp_path: Path) -> None:
        """Unicode, long texts, odd names, NaN and infinity are taken, shortened where they must be."""
        tracker, run = self.make(tmp_path), self._started(tmp_path, "näme \U0001f680")
        tracker.start(run)
        tracker.log_params(
            run.run_id, {"größe": "ż\n\U0001f680", "long": "x" * 100_000, "f1 (macro)": "1", "nul": "a\0b"}
        )
        odd = [("nan", math.nan), ("huge", math.inf), ("f1 (macro)", 0.5)]
        tracker.log_metrics(run.run_id, [MetricValue(name, value, time=run.started) for name, value in odd])
        tracker.log_tags(run.run_id, {"note": "y" * 100_000})
        tracker.end(run.run_id, "FINISHED", time.time())
        tracker.close()
        found = self.recorded(tmp_path, run.run_id)
        assert found.name == "näme \U0001f680"
        assert found.params["größe"] == "ż\n\U0001f680"
        assert len(found.params["long"]) >= _LONG
        assert len(found.params) == 4
        assert math.isnan(found.metrics["nan"][0])
        assert found.metrics["huge"][0] > 1e300
        assert len(found.metrics) == 3
        assert len(found.tags["note"]) >= _LONG

    def test_more_than_fits_into_a_call(self, tmp_path: Path) -> None:
        """Thousands of values, and the history of each metric by its steps."""
        tracker, run = self.make(tmp_path), self._started(tmp_path)
        tracker.start(run)
        tracker.log_metrics(run.run_id, [MetricValue("loss", 1 / (i + 1), i, run.started + i) for i in range(_MANY)])
        tracker.log_metrics(run.run_id, [MetricValue(f"m{i}", float(i), time=run.started) for i in range(_MANY)])
        tracker.log_params(run.run_id, {f"p{i}": str(i) for i in range(500)})
        tracker.close()
        found = self.recorded(tmp_path, run.run_id)
        assert len(found.metrics) == _MANY + 1
        assert len(found.metrics["loss"]) == _MANY
        assert found.metrics["loss"][_MANY - 1] == 1 / _MANY
        assert found.params["p499"] == "499"

    def test_a_tag_has_its_last_value(self, tmp_path: Path) -> None:
        """Tags may change."""
        tracker, run = self.make(tmp_path), self._started(tmp_path)
        tracker.start(run)
        tracker.log_tags(run.run_id, {"stage": "draft"})
        tracker.log_tags(run.run_id, {"stage": "done"})
        tracker.close()
        assert self.recorded(tmp_path, run.run_id).tags["stage"] == "done"

    def test_two_instances_at_once(self, tmp_path: Path) -> None:
        """Two kernels of one project end at the same time."""
        runs = [self._started(tmp_path, f"run {number}") for number in range(2)]
        failures: list[BaseException] = []

        def work(run: NewRun) -> None:
            try:
                tracker = self.make(tmp_path)
                tracker.start(run)
                for step in range(20):
                    tracker.log_metrics(run.run_id, [MetricValue("m", float(step), step, run.started)])
                tracker.end(run.run_id, "FINISHED", time.time())
                tracker.close()
            except BaseException as error:
                failures.append(error)
                raise

        self.make(tmp_path).close()
        threads = [threading.Thread(target=work, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        for run in runs:
            assert dict(self.recorded(tmp_path, run.run_id).metrics["m"]) == {step: float(step) for step in range(20)}

    def _started(self, folder: Path, name: str = "first") -> NewRun:
        return NewRun(uuid4().hex, name, folder.name, round(time.time(), 3), tags={"team": "a"})

    def _fill(self, tracker: Tracker, run_id: str, folder: Path) -> None:
        now = 1_700_000_000.0
        tracker.log_params(run_id, {"lr": "0.1", "model": "svm"})
        tracker.log_metrics(run_id, [MetricValue("auc", 0.7, time=now)])
        tracker.log_metrics(run_id, [MetricValue("loss", 1.0, 0, now), MetricValue("loss", 0.5, 1, now + 1)])
        tracker.log_tags(run_id, {"note": "ä"})
        tracker.log_datasets(run_id, [_DATASET])
        for artifact, content in (("report.txt", b"\xc3\xa4"), ("deep/er/data.bin", bytes(range(256)) * 100)):
            (file := folder / "told").write_bytes(content)
            tracker.log_artifact(run_id, file, artifact)
            file.unlink()
        tracker.flush()

    def _check(self, folder: Path, run: NewRun) -> None:
        found = self.recorded(folder, run.run_id)
        assert (found.name, found.status) == ("first", "FINISHED")
        assert dict(found.params) == {"lr": "0.1", "model": "svm"}
        assert {name: dict(values) for name, values in found.metrics.items()} == {
            "auc": {0: 0.7},
            "loss": {0: 1.0, 1: 0.5},
        }
        assert (found.tags["team"], found.tags["note"]) == ("a", "ä")
        assert set(found.datasets) == {(_DATASET.name, _DATASET.digest)}
        assert dict(found.artifacts) == {"report.txt": b"\xc3\xa4", "deep/er/data.bin": bytes(range(256)) * 100}
