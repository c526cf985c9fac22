"""Ended runs, copied from the store to the trackers that nbops.toml names.

Copying starts from the store rather than from what a kernel calls, so that nothing is missing in a mirror, whoever logged it:
autologging, a pipeline, ``mlflow`` by hand. It is done where nobody waits (``python -m`` this module, with a folder),
which the process that replays journals starts now and then. A run that a tracker has taken says so by its tag
``nbops.mirrored``; one that it couldn't take is written to nbops' log and tried again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nbops.project import Project
from nbops.tracking.failures import log_failure
from nbops.tracking.mirrors.tracker import MetricValue, NewRun, Tracker, mirror, mirror_names
from nbops.tracking.priority import give_way
from nbops.tracking.store import Store, search
from nbops.tracking.store.entities import dataset_of, summary_of

if TYPE_CHECKING:
    from mlflow.entities import Run

TAG = "nbops.mirrored"
_MOST = 1000


def catch_up(store: Store) -> int:
    """Copy the project's ended runs that a mirror doesn't have yet; return how many copies were made. Never raises."""
    made = 0
    try:
        if not mirror_names(store.project):
            return 0
        for name, tracker in mirror(store.project):
            made += sum(1 for _ in _copies(store, name, tracker))
    except Exception:  # noqa: BLE001  # a mirror never breaks tracking
        log_failure(store.project)
    return made


def start(project: Project) -> None:
    """Have a process of its own catch up, if there are mirrors; returns at once."""
    if not mirror_names(project):
        return
    subprocess.Popen(
        [sys.executable, "-m", "nbops.tracking.mirrors.mirroring", str(project.root)],
        env={name: value for name, value in os.environ.items() if name != "NBOPS_KERNEL"},  # it outlives a notebook's
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def main(root: str) -> None:
    """Catch up until there is nothing left; a second process leaves it to the first."""
    from filelock import FileLock, Timeout

    give_way()
    project = Project.find(root)
    try:
        with FileLock(project.state / "mirror.lock", timeout=0):
            while catch_up(Store(project)):
                pass
    except Timeout:
        return


def copy(store: Store, run: Run, experiment: str, tracker: Tracker) -> None:
    """Tell a tracker all that the store knows of a run."""
    summary = summary_of(run, experiment)
    run_id = summary.run_id
    tags = {key: value for key, value in run.data.tags.items() if key != TAG}
    tracker.start(NewRun(run_id, summary.name, experiment, summary.started, summary.parent, tags))
    tracker.log_tags(run_id, tags)
    tracker.log_params(run_id, summary.params)
    for name in summary.metrics:
        history = store.metric_history(run_id, name)
        tracker.log_metrics(run_id, [MetricValue(name, point.value, point.step, point.time) for point in history])
    tracker.log_datasets(run_id, [dataset_of(item) for item in run.inputs.dataset_inputs])
    with TemporaryDirectory(prefix="nbops-mirror-") as folder:
        for path in store.artifacts(run_id):
            file = store.download(run_id, path, Path(folder))
            tracker.log_artifact(run_id, file, path)
            file.unlink()
    if summary.ended is not None:
        tracker.end(run_id, summary.status, summary.ended)
    tracker.flush()


def _copies(store: Store, name: str, tracker: Tracker) -> Iterator[Run]:
    """Yield each run that was copied; what stops this tracker is written down, because the others may be able."""
    try:
        for run in _missing(store, name):
            copy(store, run, store.project.experiment, tracker)
            has = _has(store.client.get_run(run.info.run_id))
            store.client.set_tag(run.info.run_id, TAG, ", ".join([*has, name]))
            yield run
        tracker.close()
    except Exception:  # noqa: BLE001  # no network, no room: it comes again
        log_failure(store.project)


def _missing(store: Store, name: str) -> Iterator[Run]:
    experiment = store.client.get_experiment_by_name(store.project.experiment)
    if experiment is None:
        return
    newest = list(search.runs(store.client, [experiment.experiment_id], "", _MOST))
    for run in reversed(newest):  # parents before their children
        if run.info.status in ("FINISHED", "FAILED", "KILLED") and name not in _has(run):
            yield run


def _has(run: Run) -> list[str]:
    return [name for name in run.data.tags.get(TAG, "").split(", ") if name]


if __name__ == "__main__":
    main(sys.argv[1])
