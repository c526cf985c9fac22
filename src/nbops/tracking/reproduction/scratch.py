"""A copy of the project to live a run again in, so that nothing in the project itself is written over.

The copy mirrors the project's absolute path below ``.nbops/replay/<name>/``: paths that climb out of the project lead
to where the files are put that the run is known to have read there. State, version control, environments and caches
stay behind. Where the file system can, files are cloned (copy-on-write), which costs no space; what must be copied
has a limit. A folder whose holder is gone is removed by ``nbops gc``.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nbops.errors import TrackingError
from nbops.project import CONFIG_NAME, Project

MAX_COPY = 2 << 30
_MAX_FILES = 50_000
_LEFT_BEHIND = frozenset(
    {
        ".nbops",
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "venv",
        ".tox",
        ".nox",
        "node_modules",
        "__pycache__",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "mlruns",
        "mlartifacts",
    }
)
_CLONE = 0x40049409  # FICLONE, Linux: share a file's blocks until one of the two is written


@dataclass(frozen=True, slots=True)
class Scratch:
    """A copy of a project.

    Attributes
    ----------
    folder
        What is removed in the end.
    project
        The copy.
    original
        The root that it's a copy of.
    """

    folder: Path
    project: Project
    original: Path

    def led_here(self, source: str) -> str:
        """Return code whose absolute paths into the project lead to the copy."""
        return re.sub(rf"{re.escape(str(self.original))}(?![\w.-])", lambda _: str(self.project.root), source)

    def led_back(self, text: str) -> str:
        """Return text in which the copy's path reads as the project's."""
        return text.replace(str(self.project.root), str(self.original))


def replay_folder(project: Project) -> Path:
    """Return where copies of a project are made."""
    return project.state / "replay"


@contextmanager
def scratch_of(project: Project, *, reads: Iterable[Path] = (), limit: int = MAX_COPY) -> Iterator[Scratch]:
    """Copy a project and remove the copy in the end.

    Parameters
    ----------
    project
        What to copy.
    reads
        Files outside of the project that the run read; those given by a relative path are found in the copy.
    limit
        The most bytes that may have to be copied.

    Raises
    ------
    TrackingError
        If the project holds too much, or the disk has no room.
    """
    folder = replay_folder(project) / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{secrets.token_hex(3)}"
    root = folder.joinpath(*project.root.parts[1:])
    try:
        try:
            root.mkdir(parents=True)
            copier = _Copier(project.root, limit)
            copier.measure(root)
            copier.tree(project.root, root)
            for path in reads:
                if path.is_file() and not path.is_relative_to(project.root):
                    copier.file(path, folder.joinpath(*path.parts[1:]))
        except OSError as error:
            raise TrackingError(
                f"the project can't be copied: {error}",
                where=str(folder),
                remedy="make room, or see to its permissions",
            ) from error
        if not (root / CONFIG_NAME).exists():
            (root / CONFIG_NAME).write_text(f"[project]\nname = {_quoted(project.name)}\n", encoding="utf-8")
        _lead_to_store(project, root / CONFIG_NAME)
        yield Scratch(folder, Project.find(root), project.root)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lead_to_store(project: Project, config: Path) -> None:
    """Have the copy's configuration name the project's own store, where it named one relative to the root."""
    told = project.config.get("tracking", {})
    text = before = config.read_text(encoding="utf-8")
    for key, place in (("uri", project.tracking_uri), ("artifacts", project.artifact_root)):
        if key in told and told[key] != place:
            written = re.compile(rf"(\b{key}\s*=\s*)(['\"]){re.escape(str(told[key]))}\2")
            quoted = _quoted(str(place)).replace("\\", r"\\")
            text = written.sub(rf"\g<1>{quoted}", text)
    if text != before:
        config.write_text(text, encoding="utf-8")
    copy = Project.find(config)
    if "uri" in told and copy.tracking_uri != project.tracking_uri:
        raise TrackingError(
            "the store can't be named in a copy of the project",
            where=f"{project.root / CONFIG_NAME}, [tracking] uri",
            remedy="give it as an absolute path",
        )


class _Copier:
    def __init__(self, root: Path, limit: int) -> None:
        self._root = root
        self._limit = limit
        self._copied = self._files = 0

    def measure(self, target: Path) -> None:
        """Refuse what is too large before anything of it is copied, unless the file system clones."""
        size = files = 0
        for folder, folders, names in os.walk(self._root):
            folders[:] = [name for name in folders if name not in _LEFT_BEHIND]
            for name in names:
                path = Path(folder, name)
                size, files = size + path.lstat().st_size, files + 1
                if size > self._limit or files > _MAX_FILES:
                    if path.is_file() and not _cloned(path, target / name):
                        raise self._too_large()
                    (target / name).unlink(missing_ok=True)
                    return

    def tree(self, source: Path, target: Path) -> None:
        with os.scandir(source) as entries:
            listed = list(entries)
        for entry in listed:
            if entry.name in _LEFT_BEHIND or _is_environment(entry):
                continue
            path, new = Path(entry.path), target / entry.name
            if entry.is_symlink():
                self._link(path, new)
            elif entry.is_dir():
                new.mkdir()
                self.tree(path, new)
            elif entry.is_file():
                self.file(path, new)

    def file(self, source: Path, target: Path) -> None:
        self._files += 1
        target.parent.mkdir(parents=True, exist_ok=True)
        if not _cloned(source, target):
            self._copied += source.stat().st_size
            if self._copied > self._limit or self._files > _MAX_FILES:
                raise self._too_large()
            shutil.copyfile(source, target)
        shutil.copystat(source, target)

    def _too_large(self) -> TrackingError:
        return TrackingError(
            f"the project is too large to be copied (more than {self._limit / 2**20:,.0f} MiB or {_MAX_FILES:,} files), "
            "which keeps its files from being written over",
            where=str(self._root),
            remedy="--max-copy allows more; or `nbops restore` the run and execute it yourself",
        )

    def _link(self, source: Path, target: Path) -> None:
        """Copy what a link leads to: a link out of the copy would lead writes to the original."""
        led = source.resolve()
        if led.is_file():
            self.file(led, target)
        elif led.is_dir() and not self._root.is_relative_to(led) and not led.is_relative_to(self._root):
            target.mkdir()
            self.tree(led, target)
        elif led.is_dir() and led.is_relative_to(self._root) and not source.is_relative_to(led):
            target.symlink_to(os.path.relpath(led, source.parent))


def _cloned(source: Path, target: Path) -> bool:
    try:
        import fcntl
    except ImportError:  # not a system that has it
        return False
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            fcntl.ioctl(writing.fileno(), _CLONE, reading.fileno())
    except OSError:  # not a file system that can
        return False
    return True


def _is_environment(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) and (
        os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))  # noqa: PTH110, PTH118  # a path object a folder is dear
        or os.path.exists(os.path.join(entry.path, "conda-meta"))  # noqa: PTH110, PTH118
    )


def _quoted(text: str) -> str:
    import json

    return json.dumps(text)
