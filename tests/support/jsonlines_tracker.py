"""A tracker in a few lines: everything that it is told becomes a line of a file, artifacts become files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nbops.tracking.mirrors.tracker import MetricValue, NewRun, Tracker
from nbops.tracking.schema import DatasetVersion, RunStatus


class JsonLines(Tracker):
    def _write(self, run_id: str, **line: Any) -> None:
        folder = Path(self.target or self.project.state / "lines")
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{run_id}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def start(self, run: NewRun) -> None:
        self._write(run.run_id, start=asdict(run))

    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        self._write(run_id, params=dict(params))

    def log_metrics(self, run_id: str, values: Sequence[MetricValue]) -> None:
        self._write(run_id, metrics=[[one.name, one.step, one.value] for one in values])

    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._write(run_id, tags=dict(tags))

    def log_datasets(self, run_id: str, datasets: Sequence[DatasetVersion]) -> None:
        self._write(run_id, datasets=[[one.name, one.digest] for one in datasets])

    def log_artifact(self, run_id: str, file: Path, artifact_path: str) -> None:
        place = Path(self.target or self.project.state / "lines") / run_id / artifact_path
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)

    def end(self, run_id: str, status: RunStatus, ended: float) -> None:
        self._write(run_id, end=[status, ended])

    def flush(self) -> None:
        """Every line is in its file when the call returns."""
