"""What stages made, by their keys: one JSON entry a key, contents in `Objects`.

An entry is believed only after it was read whole, has a known format and belongs to its key; whatever is wrong with
it makes a miss that says why, never an error. ``latest/<stage>.json`` remembers a stage's last key, and
``facts/<key>.json`` what the key was made of, so that it can be told what changed since.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nbops.notebook.document import write_atomically
from nbops.pipeline.facts import Facts
from nbops.pipeline.hashing import Content, Hasher
from nbops.pipeline.keys import Key
from nbops.pipeline.links import DEFAULT, Link
from nbops.pipeline.model import Stage
from nbops.pipeline.objects import ObjectMissing, Objects

ENTRY_FORMAT = 1
_USED_EVERY_S = 3600.0


@dataclass(frozen=True, slots=True)
class Entry:
    """What one execution of a stage made.

    Attributes
    ----------
    key, stage, run_id
        The key that it was executed under, the stage's name, and its tracked run.
    outputs
        Content by output name.
    metrics
        Numbers by name.
    notebook
        The executed notebook, relative to the project's root.
    created, seconds
        When it ended (epoch), and how long it took.
    parts, cells
        What the key was made of; see `Key`.
    """

    key: str
    stage: str
    run_id: str
    outputs: Mapping[str, Content]
    metrics: Mapping[str, float] = field(default_factory=dict)
    notebook: str = ""
    created: float = 0.0
    seconds: float = 0.0
    parts: Mapping[str, str] = field(default_factory=dict)
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """An answer of the cache: an entry, or why there is none.

    Attributes
    ----------
    entry
        What was found, or None.
    reason
        Why there is none, in plain words.
    restores
        Outputs that aren't in the workspace as the entry says, and will be restored.
    """

    entry: Entry | None
    reason: str = ""
    restores: tuple[str, ...] = ()


class Cache:
    """A project's kept stages.

    Parameters
    ----------
    folder
        Where it lies: ``.nbops/cache``.
    links
        How files are shared between cache and workspace, in the order of preference.
    """

    def __init__(self, folder: Path, links: Sequence[Link] = DEFAULT) -> None:
        self._folder = folder
        self.objects = Objects(folder / "objects", links)
        self.hasher = Hasher(folder / "files.json")

    def find(self, stage: Stage, key: Key) -> Lookup:
        """Return the entry of a key whose outputs are in the workspace or can be restored; nothing is changed."""
        path = self._entry_path(key.digest)
        if not path.exists():
            return Lookup(None, self._why(stage, key))
        entry = _read(path)
        if entry is None or entry.key != key.digest:
            return Lookup(None, "its cache entry is corrupt")
        if set(entry.outputs) != set(stage.outputs):
            return Lookup(None, "its cache entry has other outputs")
        restores = [name for name, content in entry.outputs.items() if not self.matches(stage.outputs[name], content)]
        for name in restores:
            if not self.objects.has(entry.outputs[name]):
                return Lookup(None, f"output '{name}' is gone, from the cache too")
        return Lookup(entry, restores=tuple(restores))

    def matches(self, path: Path, content: Content) -> bool:
        """Whether a path holds just this content."""
        return self.hasher.content(path) == content

    def restore(self, stage: Stage, entry: Entry) -> list[str]:
        """Bring the workspace's outputs to what an entry says; return the names of those that were put back.

        Raises
        ------
        ObjectMissing
            If one can't be restored; says which.
        """
        restored = []
        for name, content in entry.outputs.items():
            path = stage.outputs[name]
            if self.matches(path, content):
                continue
            try:
                self.objects.restore(content, path)
            except ObjectMissing as error:
                raise ObjectMissing(f"output '{name}': {error}") from error
            restored.append(name)
        return restored

    def put(self, entry: Entry, facts: Facts | None = None) -> None:
        """Write an entry and what its key is made of; its contents must have been kept before."""
        if facts is not None:
            write_atomically(self._facts_path(entry.key), json.dumps(facts.as_dict()).encode())
        document = {"format": ENTRY_FORMAT, **asdict(entry)}
        write_atomically(self._entry_path(entry.key), json.dumps(document, indent=1).encode())
        self.mark_latest(entry)

    def facts(self, entry: Entry) -> Facts | None:
        """Return what an entry's key was made of, or None when that wasn't kept."""
        try:
            raw = json.loads(self._facts_path(entry.key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return Facts.from_dict(raw) if isinstance(raw, dict) else None

    def entries(self) -> Iterator[tuple[Path, Entry | None]]:
        """Yield every entry with its path; None for one that can't be read."""
        for path in sorted((self._folder / "entries").glob("*.json")):
            yield path, _read(path)

    def fact_paths(self) -> Iterator[Path]:
        """Yield where facts are kept: one file a key."""
        yield from sorted((self._folder / "facts").glob("*.json"))

    def latest_keys(self) -> set[str]:
        """Return the key of each stage's last entry."""
        found = (self.latest(path.stem) for path in (self._folder / "latest").glob("*.json"))
        return {entry.key for entry in found if entry is not None}

    def mark_latest(self, entry: Entry) -> None:
        """Remember that an entry is the stage's last, and that it was used just now."""
        own = self._entry_path(entry.key)
        if own.exists() and time.time() - own.stat().st_mtime > _USED_EVERY_S:
            os.utime(own)  # what `nbops gc` goes by
        path = self._folder / "latest" / f"{entry.stage}.json"
        data = json.dumps({"format": ENTRY_FORMAT, "key": entry.key}).encode()
        if not path.is_file() or path.read_bytes() != data:
            write_atomically(path, data)

    def latest(self, stage: str) -> Entry | None:
        """Return what a stage made last, whatever its key was."""
        try:
            key = json.loads((self._folder / "latest" / f"{stage}.json").read_text(encoding="utf-8"))["key"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return _read(self._entry_path(str(key)))

    def _why(self, stage: Stage, key: Key) -> str:
        last = self.latest(stage.name)
        if last is None:
            return "never executed"
        reasons = key.differs_from(last.parts)
        return f"changed: {'; '.join(reasons)}" if reasons else "its cache entry is gone"

    def _facts_path(self, digest: str) -> Path:
        return self._folder / "facts" / f"{digest}.json"

    def _entry_path(self, digest: str) -> Path:
        return self._folder / "entries" / f"{digest}.json"


def _read(path: Path) -> Entry | None:
    """Return an entry, or None when the file isn't a whole entry of a known format."""
    try:
        raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if raw.pop("format") != ENTRY_FORMAT:
            return None
        outputs = {
            name: Content(
                one["kind"], one["sha256"], int(one["size"]), tuple((f, s, int(n)) for f, s, n in one["files"])
            )
            for name, one in raw.pop("outputs").items()
        }
        metrics = {name: float(value) for name, value in raw.pop("metrics").items()}
        return Entry(outputs=outputs, metrics=metrics, cells=tuple(raw.pop("cells")), **raw)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
