"""What became of a run's inputs: the same as they were read, changed, or gone.

A dataset's recorded fingerprint is of its content as it was read, or of the file's bytes. A file is read again the
plain way (pandas' reader for its ending, without options) and both are compared. One that was read with options can't
be told from a changed one by that: then it's taken as unchanged only if it has the rows and columns that it had and
was last written before the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nbops.project import Project
from nbops.snapshot.fingerprint import fingerprint_file, fingerprint_frame
from nbops.tracking.reproduction.origin import Origin
from nbops.tracking.schema import DatasetVersion, RunDetail

_READERS = {
    ".csv": "read_csv",
    ".feather": "read_feather",
    ".json": "read_json",
    ".orc": "read_orc",
    ".parquet": "read_parquet",
    ".tsv": "read_table",
    ".xlsx": "read_excel",
}


@dataclass(frozen=True, slots=True)
class InputState:
    """An input of a run, now.

    Attributes
    ----------
    source
        The path relative to the project, the URL or the query.
    state
        ``same``, ``changed``, ``missing``, or ``unknown`` for what can't be looked at (a query, a URL).
    why
        By what that is known.
    """

    source: str
    state: Literal["same", "changed", "missing", "unknown"]
    why: str


def input_states(project: Project, origin: Origin) -> Iterator[InputState]:
    """Yield the state of each dataset that a run read."""
    for dataset in datasets_of(origin.run):
        yield state_of(project, dataset, origin.run.summary.started)


def datasets_of(run: RunDetail) -> list[DatasetVersion]:
    """Return the datasets that a run's snapshot names, or those that MLflow has where there is no snapshot."""
    kept = run.snapshot.get("data", {}).get("datasets")
    if kept is None:
        return run.datasets
    known = DatasetVersion.__slots__
    return [DatasetVersion(**{key: entry[key] for key in known if key in entry}) for entry in kept]


def state_of(project: Project, dataset: DatasetVersion, read_at: float) -> InputState:
    """Return what became of a dataset that was read before `read_at` (seconds since the epoch)."""
    if _is_elsewhere(dataset.source):
        return InputState(dataset.source, "unknown", "it isn't a file")
    path = project.root / dataset.source
    if not path.exists():
        is_path = Path(dataset.source).suffix.lower() in _READERS or "/" in dataset.source
        why = "there is no such file" if is_path else "it isn't a file"
        return InputState(dataset.source, "missing" if is_path else "unknown", why)
    if path.is_file() and fingerprint_file(path) == dataset.digest:
        return InputState(dataset.source, "same", "the file's bytes")
    frame = _read_plainly(path)
    if frame is not None and fingerprint_frame(frame) == dataset.digest:
        return InputState(dataset.source, "same", "the table's content")
    if path.is_file() and path.stat().st_mtime <= read_at:
        return InputState(dataset.source, "same", "not written since the run; it was read with options")
    return InputState(dataset.source, "changed", _difference(frame, dataset))


def _is_elsewhere(source: str) -> bool:
    return "://" in source or "\n" in source or len(source) > 1000 or source.lower().startswith(("select ", "with "))


def _read_plainly(path: Path) -> Any:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    import pandas as pd

    try:
        return getattr(pd, reader)(path)
    except Exception:  # noqa: BLE001  # a broken or foreign file may raise anything: it isn't what was read
        return None


def _difference(frame: Any, dataset: DatasetVersion) -> str:
    if frame is None or dataset.rows is None:
        return "its content has another fingerprint"
    if len(frame) != dataset.rows:
        return f"{dataset.rows:,} rows then, {len(frame):,} now"
    now, then = {str(name) for name in frame.columns}, set(dataset.columns)
    if now != then:
        gone, new = sorted(then - now), sorted(now - then)
        return "; ".join(
            text
            for text in (f"columns gone: {', '.join(gone)}" if gone else "", f"new: {', '.join(new)}" if new else "")
            if text
        )
    return "written since the run, and its content has another fingerprint"
