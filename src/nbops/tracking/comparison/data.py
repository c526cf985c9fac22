"""Data by column and by rows; and where both contents can still be had, in which columns values differ.

A content can be had when the file of the working tree, or the one in the run's commit, still has the fingerprint that was
recorded, read the plain way (pandas' reader for its ending, without options) or by its bytes. Columns are then compared by
their own fingerprints, and where both have as many rows, row by row.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbops.project import Project
from nbops.snapshot.fingerprint import fingerprint, fingerprint_frame
from nbops.tracking.comparison.differences import Change, DataChange
from nbops.tracking.schema import DatasetVersion, RunDetail

if TYPE_CHECKING:
    import pandas as pd

_READERS = {
    ".csv": "read_csv",
    ".feather": "read_feather",
    ".json": "read_json",
    ".parquet": "read_parquet",
    ".tsv": "read_table",
}
_LARGEST = 500_000_000


def data_changes(before: RunDetail, after: RunDetail, project: Project | None = None) -> list[DataChange]:
    """Return what differs between the data of two runs; contents are looked for in `project`, if one is given.

    A dataset is known by its source. One that has gone and one that came, the only ones without a partner, are a pair: the
    same role, another file.
    """
    old, new = _by_source(before), _by_source(after)
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    pairs = [(source, source) for source in sorted(old.keys() & new.keys())]
    if len(gone) == len(come) == 1 and _related(old[gone[0]], new[come[0]]):
        pairs.append((gone.pop(), come.pop()))
    changes = [
        _changed(old[one], new[other], before, after, project)
        for one, other in pairs
        if one != other or _facts(old[one]) != _facts(new[other])
    ]
    changes += [DataChange(name, "removed", (old[name].digest, None), (old[name].rows, None)) for name in gone]
    changes += [DataChange(name, "added", (None, new[name].digest), (None, new[name].rows)) for name in come]
    return changes


def _by_source(run: RunDetail) -> dict[str, DatasetVersion]:
    return {dataset.source or dataset.name: dataset for dataset in run.datasets}


def _facts(dataset: DatasetVersion) -> tuple[object, ...]:
    return dataset.digest, dataset.rows, dataset.version, list(dataset.columns.items())


def _related(one: DatasetVersion, other: DatasetVersion) -> bool:
    shared = one.columns.keys() & other.columns.keys()
    return one.name == other.name or 2 * len(shared) >= max(len(one.columns), len(other.columns), 1)


def _changed(
    old: DatasetVersion, new: DatasetVersion, before: RunDetail, after: RunDetail, project: Project | None
) -> DataChange:
    source = old.source if old.source == new.source else f"{old.source} → {new.source}"
    both = [name for name in new.columns if name in old.columns]
    values, note = (None, "")
    if project is not None and old.digest != new.digest:
        values, note = _values(old, new, before, after, project)
    return DataChange(
        source or old.name,
        "changed",
        (old.digest, new.digest),
        (old.rows, new.rows),
        added=[name for name in new.columns if name not in old.columns],
        removed=[name for name in old.columns if name not in new.columns],
        retyped=[Change(n, old.columns[n], new.columns[n]) for n in both if old.columns[n] != new.columns[n]],
        reordered=both != [name for name in old.columns if name in new.columns],
        values=values,
        versions=(old.version, new.version),
        note=note,
    )


def _values(
    old: DatasetVersion, new: DatasetVersion, before: RunDetail, after: RunDetail, project: Project
) -> tuple[dict[str, int | None] | None, str]:
    one, other = _content(old, before, project), _content(new, after, project)
    if one is None or other is None:
        gone = [name for name, frame in (("before", one), ("after", other)) if frame is None]
        return None, f"the content {' and '.join(gone)} can't be had any more, or was read with options"
    return _differing(one, other), ""


def _differing(one: pd.DataFrame, other: pd.DataFrame) -> dict[str, int | None]:
    """Return how many rows differ in each common column whose values differ; None where the rows can't be paired."""
    found: dict[str, int | None] = {}
    for name in other.columns:
        if name not in one.columns or not one.columns.is_unique or not other.columns.is_unique:
            continue
        left, right = one[name].reset_index(drop=True), other[name].reset_index(drop=True)
        if fingerprint(left) == fingerprint(right):
            continue
        if len(left) != len(right):
            found[str(name)] = None
            continue
        differ = (left.astype(object) != right.astype(object)) & ~(left.isna() & right.isna())
        found[str(name)] = int(differ.sum())
    return found


def _content(dataset: DatasetVersion, run: RunDetail, project: Project) -> pd.DataFrame | None:
    path = project.root / dataset.source
    reader = _READERS.get(Path(dataset.source).suffix.lower())
    if reader is None or "://" in dataset.source:
        return None
    if path.is_file() and path.stat().st_size <= _LARGEST:
        found = _read(reader, path.read_bytes(), dataset.digest)
        if found is not None:
            return found
    commit = (run.snapshot.get("code") or {}).get("commit")
    committed = _committed(project.root, str(commit), dataset.source) if commit else None
    return _read(reader, committed, dataset.digest) if committed is not None else None


def _read(reader: str, content: bytes, digest: str) -> pd.DataFrame | None:
    """Return the frame in a file's content if it's the one with this fingerprint."""
    import pandas as pd
    import xxhash

    try:
        frame: Any = getattr(pd, reader)(io.BytesIO(content))
    except Exception:  # noqa: BLE001  # whatever a reader raises over what isn't its format any more
        return None
    whole = xxhash.xxh3_128(content).hexdigest()
    return frame if digest in (whole, fingerprint_frame(frame)) else None


def _committed(root: Path, commit: str, source: str) -> bytes | None:
    answer = subprocess.run(
        ["git", "-C", str(root), "cat-file", "blob", f"{commit}:./{source}"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return answer.stdout if answer.returncode == 0 and len(answer.stdout) <= _LARGEST else None


def described(change: DataChange) -> Mapping[str, str]:
    """Return a change in words, by what it's about."""
    words: dict[str, str] = {}
    if change.digests[0] != change.digests[1]:
        words["fingerprint"] = " → ".join((digest or "-")[:8] for digest in change.digests)
    if change.versions[0] != change.versions[1]:
        words["version"] = " → ".join(version or "-" for version in change.versions)
    if change.rows[0] != change.rows[1]:
        words["rows"] = " → ".join("-" if rows is None else f"{rows:,}" for rows in change.rows)
    if change.added:
        words["columns added"] = ", ".join(change.added)
    if change.removed:
        words["columns removed"] = ", ".join(change.removed)
    if change.retyped:
        words["retyped"] = ", ".join(f"{column.name}: {column.before} → {column.after}" for column in change.retyped)
    if change.reordered:
        words["order"] = "the same columns in another order"
    if change.values is not None:
        counted = (name if rows is None else f"{name} ({rows:,} rows)" for name, rows in change.values.items())
        words["values differ in"] = ", ".join(counted) or "no column that both have"
    elif change.note:
        words["values"] = change.note
    return words
