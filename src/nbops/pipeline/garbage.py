"""What the pipeline's cache holds and no kept stage needs, found and removed.

Who removes holds the run lock, so that no run is under way. An entry is kept while it is its stage's last or was used
lately, a content while a kept entry names it. An executed notebook is kept while a kept entry names it, while it is
young, or as long as it is among the newest of its stage. A work folder that is there while the lock is free is a dead
run's: its half-executed notebooks are kept, and its runs are KILLED.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from nbops.pipeline.cache import Cache, Entry
from nbops.pipeline.workspace import Workspace
from nbops.tracking.reproduction.collect import Rubbish, discard, size
from nbops.tracking.store import Store

_EXECUTED = re.compile(r"(?P<stage>.+)-(?:[0-9a-f]{8}|killed)\.ipynb")


def collect(store: Store, *, older_than: float, keep: int, dry_run: bool = False) -> list[Rubbish]:
    """Remove what no kept stage needs, and return it.

    Parameters
    ----------
    store
        The project's store, where the runs of dead work folders are closed.
    older_than
        In seconds: entries used and notebooks executed since then stay.
    keep
        How many of a stage's newest executed notebooks stay, however old.
    dry_run
        Only look.

    Raises
    ------
    PipelineBusy
        If a run is under way: then nothing was removed.
    """
    with Workspace(store.project).hold() as workspace:
        found = list(_rubbish(workspace, time.time() - older_than, keep))
        if not dry_run:
            if workspace.stale():
                workspace.clean(store)
            discard(found)
        return found


def _rubbish(workspace: Workspace, limit: float, keep: int) -> Iterator[Rubbish]:
    state = workspace.project.state
    cache = Cache(state / "cache")
    kept: list[Entry] = []
    last = cache.latest_keys()
    for path, entry in cache.entries():
        if (entry is not None and entry.key in last) or path.stat().st_mtime > limit:
            if entry is not None:
                kept.append(entry)
        else:
            yield Rubbish("cached stage", path, size(path), "not its stage's last, and not used for long")
    yield from _facts(cache, {entry.key for entry in kept})
    yield from _contents(cache, kept)
    yield from _notebooks(state / "executed", {Path(entry.notebook).name for entry in kept}, limit, keep)
    for path in workspace.stale():
        yield Rubbish("work folder", path, size(path), "the run that made it died")


def _facts(cache: Cache, kept: set[str]) -> Iterator[Rubbish]:
    for path in cache.fact_paths():
        if path.stem not in kept:
            yield Rubbish("facts file", path, size(path), "the cached stage that it tells of goes")


def _contents(cache: Cache, kept: list[Entry]) -> Iterator[Rubbish]:
    needed = {digest for entry in kept for content in entry.outputs.values() for digest in content.digests}
    for digest, path in cache.objects.paths():
        if digest not in needed:
            yield Rubbish("cached content", path, _freed(path), "no cached stage that is kept made it")
    for path in cache.objects.leftovers():
        yield Rubbish("cached content", path, _freed(path), "it was never finished")


def _notebooks(folder: Path, needed: set[str], limit: float, keep: int) -> Iterator[Rubbish]:
    stages: dict[str, list[tuple[float, Path]]] = {}
    for path in folder.glob("*.ipynb"):
        if match := _EXECUTED.fullmatch(path.name):
            stages.setdefault(match["stage"], []).append((path.stat().st_mtime, path))
    for _, found in sorted(stages.items()):
        for executed, path in sorted(found, reverse=True)[keep:]:
            if path.name not in needed and executed <= limit:
                yield Rubbish("executed notebook", path, size(path), f"not among the {keep} newest of its stage")


def _freed(path: Path) -> int:
    """Return the bytes that removing a file gives back: none while the workspace has a hard link to it."""
    stat = path.stat()
    return stat.st_size if stat.st_nlink == 1 else 0
