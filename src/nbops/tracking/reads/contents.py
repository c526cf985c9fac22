"""The content of files that were read: a digest for one, for a folder, for several.

A file counts as it was when it was read: one whose size, time or number on the disk has changed since has no known content.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from nbops.snapshot.fingerprint import UNKNOWN, fingerprint_file
from nbops.snapshot.streams import joined
from nbops.tracking.reads.files import Opened, state_of

_FEW = 20
_MOST = 100_000


def opened(paths: Iterable[Path]) -> list[Opened]:
    """Return the files at `paths`, those in folders included, as they are now."""
    found = (file for path in paths for file in _files(path))
    return [Opened(file, state) for file, _ in zip(found, range(_MOST), strict=False) if (state := state_of(file))]


def files_digest(files: list[Opened]) -> str | None:
    """Return 32 hex digits over the files, "unknown" if one has changed; None if they were only there for a moment."""
    digests = []
    for file in files:
        if state_of(file.path) is None and file.path.startswith(tempfile.gettempdir()):
            return None
        digest = fingerprint_file(Path(file.path)) if state_of(file.path) == file.state else UNKNOWN
        if digest == UNKNOWN or state_of(file.path) != file.state:
            return UNKNOWN
        digests.append(digest)
    if len(digests) < 2:
        return digests[0] if digests else UNKNOWN
    folder = os.path.commonpath([Path(file.path).parent for file in files])
    names = [os.path.relpath(file.path, folder) for file in files]
    pairs = sorted(zip(names, digests, strict=True))
    return joined(f"{name} {digest}".encode("utf-8", "surrogateescape") for name, digest in pairs).hex()


def grouped(files: list[Opened]) -> Iterator[list[Opened]]:
    """Yield files one by one, or those of a folder and an ending together where they are many."""
    groups: dict[tuple[Path, str], list[Opened]] = defaultdict(list)
    for file in files:
        path = Path(file.path)
        groups[path.parent, path.suffix].append(file)
    for group in groups.values():
        yield from [group] if len(group) > _FEW else [[file] for file in group]


def _files(path: Path) -> Iterator[str]:
    if not path.is_dir():
        yield str(path.absolute())
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "_delta_log")))
        yield from (str(Path(folder, name).absolute()) for name in sorted(names) if not name.startswith("."))
