"""The contract of a tracker: where runs can be recorded beside the project's own store.

A tracker is a class registered as an entry point of the group ``nbops.tracker`` and named in nbops.toml, ``[tracking]
mirrors = ["name"]`` or ``["name=target"]``, where the target is a text of its own (an address, a folder). Runs are told to it
from the store, in a process of their own, so that it can be slow or fail without anybody waiting (see `mirroring`). Whether
an implementation keeps the contract is what `nbops.tracking.mirrors.conformance` checks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nbops.errors import TrackingError, nearest
from nbops.project import Project
from nbops.tracking.schema import DatasetVersion, RunStatus

GROUP = "nbops.tracker"


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run that starts: `run_id` is the store's, `started` in seconds since the epoch."""

    run_id: str
    name: str
    experiment: str
    started: float
    parent: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricValue:
    """A metric at one step; the value may be NaN or infinite."""

    name: str
    value: float
    step: int = 0
    time: float = 0.0


class Tracker(ABC):
    """Records runs elsewhere.

    Every call names its run by the id of `NewRun`, and any number of runs may be open at a time. A call may come again after
    a crash, from another instance too, and then leaves what the first one left: `start` of a run that exists goes on with it.
    Names and texts are any Unicode of any length; what a tracker can't hold it shortens or replaces, and never refuses.
    Instances needn't be safe for several threads, but two of them may be at work at once. What can't be done now (no
    network) is raised, and comes again later.

    Parameters
    ----------
    project
        Whose runs they are.
    target
        What nbops.toml says after ``name=``.
    """

    def __init__(self, project: Project, target: str = "") -> None:
        self.project = project
        self.target = target

    @abstractmethod
    def start(self, run: NewRun) -> None:
        """Begin a run, or go on with it."""

    @abstractmethod
    def log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Record params; one that is told again has the value that it had."""

    @abstractmethod
    def log_metrics(self, run_id: str, values: Sequence[MetricValue]) -> None:
        """Record metrics, in any order of steps."""

    @abstractmethod
    def log_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; the last value counts."""

    @abstractmethod
    def log_datasets(self, run_id: str, datasets: Sequence[DatasetVersion]) -> None:
        """Record which data a run read."""

    @abstractmethod
    def log_artifact(self, run_id: str, file: Path, artifact_path: str) -> None:
        """Keep a file's content under a path of the run; the file may be gone after the call."""

    @abstractmethod
    def end(self, run_id: str, status: RunStatus, ended: float) -> None:
        """Close a run: FINISHED, FAILED or KILLED."""

    @abstractmethod
    def flush(self) -> None:
        """Return when all that was told so far is safe."""

    def close(self) -> None:
        """Flush, and give up what is held; called once, last."""
        self.flush()


def mirror(project: Project) -> list[tuple[str, Tracker]]:
    """Return the trackers that nbops.toml names, each with its name there.

    Raises
    ------
    TrackingError
        If one isn't installed.
    """
    return [(name, _load(name)(project, name.partition("=")[2])) for name in mirror_names(project)]


def mirror_names(project: Project) -> list[str]:
    """Return what ``[tracking] mirrors`` says; cheap, where there is nothing to do."""
    names = project.config.get("tracking", {}).get("mirrors", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        where = f"{project.root / 'nbops.toml'}, [tracking]"
        raise TrackingError(f"can't read mirrors = {names!r}", where=where, remedy='mirrors = ["name"]')
    return list(dict.fromkeys(names))


def _load(name: str) -> type[Tracker]:
    from importlib.metadata import entry_points

    known = {point.name: point for point in entry_points(group=GROUP)}
    key = name.partition("=")[0]
    if key not in known:
        remedy = f"{nearest(key, known)}; a tracker is an entry point of the group {GROUP}"
        raise TrackingError(f"no tracker '{key}' is installed", where="nbops.toml, [tracking] mirrors", remedy=remedy)
    loaded: type[Tracker] = known[key].load()
    return loaded
