"""Contents kept by their digest: ``objects/ab/cdef…``, each written once, whole or not at all.

Objects are read-only files, shared with the workspace where the file system can (see `nbops.pipeline.links`). What is
given back is verified first: an object that isn't there, or whose bytes are no longer what its name says, makes
`ObjectMissing`, and a corrupt one is removed so that it is kept anew next time.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from nbops.pipeline.hashing import Content, hash_file
from nbops.pipeline.links import DEFAULT, READ_ONLY, Link, transfer

_DIGEST_DIGITS = 64


class ObjectMissing(LookupError):
    """A kept content isn't there, or isn't what it was."""


class Objects:
    """A folder of contents by digest.

    Parameters
    ----------
    folder
        Where it lies.
    links
        How files are shared between it and the workspace, in the order of preference.
    """

    def __init__(self, folder: Path, links: Sequence[Link] = DEFAULT) -> None:
        self._folder = folder
        self._links = links

    def keep(self, path: Path, content: Content) -> None:
        """Keep a copy of the file or folder at `path`, whose content is `content`."""
        if content.kind == "file":
            self._keep_file(path, content.sha256, content.size)
        for name, sha256, size in content.files:
            self._keep_file(path / name, sha256, size)

    def has(self, content: Content) -> bool:
        """Whether all files of a content are kept, by name and size."""
        return all(self._is_there(sha256, size) for _, sha256, size in _files(content))

    def restore(self, content: Content, path: Path) -> None:
        """Put a content at `path`, in place of what is there.

        Raises
        ------
        ObjectMissing
            If it isn't kept, or is corrupt; `path` is as it was.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}"
        try:
            if content.kind == "file":
                self._restore_file(content.sha256, staged)
            else:
                staged.mkdir()
            for name, sha256, _ in content.files:
                (staged / name).parent.mkdir(parents=True, exist_ok=True)
                self._restore_file(sha256, staged / name)
            put_in_place(staged, path)
        finally:
            remove(staged)

    def paths(self) -> Iterator[tuple[str, Path]]:
        """Yield the digest and the path of everything that is kept."""
        for path in sorted(self._folder.glob("??/??/*")):
            digest = "".join(path.parts[-3:])
            if len(digest) == _DIGEST_DIGITS:
                yield digest, path

    def leftovers(self) -> Iterator[Path]:
        """Yield files that were never finished."""
        yield from self._folder.glob("??/??/.*")

    def _path(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:4] / sha256[4:]

    def _is_there(self, sha256: str, size: int) -> bool:
        path = self._path(sha256)
        return path.is_file() and path.stat().st_size == size

    def _keep_file(self, path: Path, sha256: str, size: int) -> None:
        if self._is_there(sha256, size):
            return
        target = self._path(sha256)
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{uuid.uuid4().hex}")
        try:
            transfer(path, staged, self._links)
            staged.chmod(READ_ONLY)
            _sync(staged)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)

    def _restore_file(self, sha256: str, to: Path) -> Link:
        from concurrent.futures import ThreadPoolExecutor

        source = self._path(sha256)
        try:
            link = transfer(source, to, self._links)
        except FileNotFoundError as error:
            raise ObjectMissing("its kept content is missing") from error
        with ThreadPoolExecutor(1) as pool:
            # the disk writes while the processor reads; what arrived is read, so that the way is verified as well
            written = pool.submit(_sync, to)
            digest = hash_file(to)
            written.result()
        if digest != sha256:
            source.unlink(missing_ok=True)
            raise ObjectMissing("its kept content is corrupt")
        return link


def put_in_place(staged: Path, path: Path) -> None:
    """Move a finished file or folder to its place, in place of what is there; across file systems too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if staged.stat().st_dev != path.parent.stat().st_dev:
        near = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}"
        if staged.is_dir():
            shutil.copytree(staged, near)
        else:
            shutil.copyfile(staged, near)
        remove(staged)
        staged = near
    if staged.is_file():
        _sync(staged)
    if path.is_dir() and not path.is_symlink():
        # a folder can't be replaced by one rename: the old one steps aside first
        aside = path.parent / f".{path.name}.{uuid.uuid4().hex[:8]}.old"
        path.rename(aside)
        try:
            staged.replace(path)
        except OSError:
            aside.rename(path)
            raise
        remove(aside)
    elif staged.is_dir():
        path.unlink(missing_ok=True)
        staged.rename(path)
    else:
        staged.replace(path)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files(content: Content) -> list[tuple[str, str, int]]:
    return [("", content.sha256, content.size)] if content.kind == "file" else list(content.files)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
