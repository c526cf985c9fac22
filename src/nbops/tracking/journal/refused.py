"""What no store took, kept on disk: ``.nbops/journal/refused/<session>.jsonl`` and beside it the spooled files it names.

A line holds an entry, why it was refused, and when. It is written before the entry counts as replayed, so nothing that a
kernel logged is ever gone without a word: commands of nbops tell of it on stderr until ``nbops gc`` takes it away.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from nbops.project import Project
from nbops.tracking.journal.entries import Entry
from nbops.tracking.journal.file import Journal, folder_of
from nbops.tracking.redaction.redact import redact_text

_LONGEST_WHY = 2000
_NAMES_OF_FILES = ("file", "folder", "moment")


class Refusal(msgspec.Struct, frozen=True):
    """An entry that was refused."""

    entry: Entry
    why: str
    time: float


def folder(project: Project) -> Path:
    """Return where a project's refused entries lie."""
    return folder_of(project) / "refused"


def keep(journal: Journal, entry: Entry, error: Exception) -> None:
    """Append an entry with what was said of it, after the spooled files that it names.

    Raises
    ------
    OSError
        If the disk doesn't take it: the entry is not replayed then, and is tried again.
    """
    place = folder(journal.project)
    place.mkdir(parents=True, exist_ok=True)
    for name in _files_of(entry):
        _copy(journal.spool / name, place / journal.session / name)
    why = redact_text(f"{type(error).__name__}: {error}")[:_LONGEST_WHY]
    line = msgspec.json.encode(Refusal(entry, why, time.time()))
    with (place / f"{journal.session}.jsonl").open("ab", buffering=0) as stream:
        stream.write(b"\n" + line + b"\n")  # the line before may be torn


def refusals(project: Project) -> list[Refusal]:
    """Return what was refused, by session, each once though it may have been replayed twice; torn lines are left out."""
    found: dict[bytes, Refusal] = {}
    for path in sorted(folder(project).glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            with suppress(msgspec.DecodeError):
                one = msgspec.json.decode(line, type=Refusal)
                found.setdefault(msgspec.json.encode(one.entry), one)
    return list(found.values())


def told(project: Project) -> str:
    """Return a sentence on what was refused, empty if nothing was."""
    found = refusals(project)
    if not found:
        return ""
    runs = {run for run in (getattr(one.entry, "run_id", None) for one in found) if run}
    what = f"{len(found)} {'thing' if len(found) == 1 else 'things'} of {len(runs)} run{'s' * (len(runs) != 1)}"
    reason = found[-1].why.partition("\n")[0][:200]
    return f"the store refused {what}; kept in {project.relative(folder(project))} (the last: {reason})"


def _files_of(value: Any) -> list[str]:
    """Return the names of spooled files and folders that an entry refers to."""
    names: list[str] = []
    for field in value.__struct_fields__:
        held = getattr(value, field)
        if isinstance(held, msgspec.Struct):
            names += _files_of(held)
        elif field in _NAMES_OF_FILES and held:
            names.append(held)
    return names


def _copy(source: Path, target: Path) -> None:
    if not source.exists() or target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}.new")
    if source.is_dir():
        shutil.copytree(source, fresh, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, fresh)
    fresh.replace(target)
