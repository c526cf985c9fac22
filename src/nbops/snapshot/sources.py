"""The version that a source gives itself: DVC's hash of a file or folder, a Delta table's number.

DVC keeps an MD5 in ``<path>.dvc`` beside what is tracked, or in ``dvc.lock`` for what a stage makes. It's claimed for a
file only if the file has it; else the version says that it was changed. A Delta table's version is its last commit's number.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_BLOCK = 1 << 22
_COMMIT = re.compile(r"(\d{20})(?:\.json|\.checkpoint.*\.parquet)$")


def delta_version(folder: Path) -> int | None:
    """Return the number of a Delta table's last commit, None if `folder` is no such table."""
    log = folder / "_delta_log"
    if not log.is_dir():
        return None
    numbers = [int(found[1]) for entry in log.iterdir() if (found := _COMMIT.search(entry.name))]
    return max(numbers, default=None)


def dvc_version(path: Path, root: Path) -> str | None:
    """Return ``dvc:`` and the hash that DVC tracks a file or its folder by, None if DVC doesn't track it.

    What differs from what is tracked ends in ``+changed``.
    """
    for tracked, entry in _tracked(path, root):
        hashed = str(entry.get("md5") or entry.get("etag") or entry.get("checksum") or "")
        if not hashed:
            continue
        expected = hashed if tracked == path else _member_hash(tracked, hashed, path, root)
        if (
            path.is_file()
            and expected is not None
            and not expected.endswith(".dir")
            and not _has(path, entry, expected)
        ):
            return f"dvc:{hashed}+changed"
        return f"dvc:{hashed}"
    return None


def _tracked(path: Path, root: Path) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Find what tracks `path` itself or a folder that it's in, the nearest first."""
    top = _repository(path) or root
    if not path.is_relative_to(top):
        return
    lineage = [path, *(folder for folder in path.parents if folder.is_relative_to(top))]
    for place in lineage:
        if (single := place.with_name(f"{place.name}.dvc")).is_file():
            yield from ((place, entry) for entry in _read(single).get("outs") or [] if _is(entry, single, place))
    for folder in lineage[1:]:
        if (lock := folder / "dvc.lock").is_file():
            stages = (_read(lock).get("stages") or {}).values()
            entries = [entry for stage in stages for kind in ("outs", "deps") for entry in stage.get(kind) or []]
            for place in lineage:
                yield from ((place, entry) for entry in entries if _is(entry, lock, place))


def _repository(path: Path) -> Path | None:
    return next((folder for folder in path.parents if (folder / ".dvc").is_dir()), None)


def _is(entry: Any, file: Path, place: Path) -> bool:
    return isinstance(entry, dict) and "path" in entry and (file.parent / str(entry["path"])).absolute() == place


def _read(file: Path) -> Mapping[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):  # half-written, or in conflict: it tells nothing
        return {}
    return content if isinstance(content, dict) else {}


def _member_hash(folder: Path, hashed: str, path: Path, root: Path) -> str | None:
    """Return the hash of a file in a tracked folder, as DVC's cache lists it; None where the cache isn't there."""
    cache = (_repository(path) or root) / ".dvc" / "cache"
    for listing in (cache / "files" / "md5" / hashed[:2] / hashed[2:], cache / hashed[:2] / hashed[2:]):
        if listing.is_file():
            members = json.loads(listing.read_text("utf-8"))
            inside = path.relative_to(folder).as_posix()
            return next((str(member["md5"]) for member in members if member.get("relpath") == inside), "new")
    return None


def _has(path: Path, entry: Mapping[str, Any], expected: str) -> bool:
    if path.name == Path(str(entry.get("path"))).name and entry.get("size") not in (None, path.stat().st_size):
        return False
    running = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            running.update(block)
    return running.hexdigest() == expected
