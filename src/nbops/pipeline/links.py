"""How a file gets from the cache to the workspace and back: shared by the file system where it can, else copied.

``reflink``
    The two files share their blocks until one is written to: free, and safe. Btrfs, XFS, bcachefs and APFS-like
    systems have it (``FICLONE`` on Linux).
``hardlink``
    Two names of one file: free everywhere, but whoever writes into the one writes into the other. So the file is made
    read-only, and it's only done where ``[pipeline] links`` asks for it.
``copy``
    A copy, made in the kernel where it can be (``copy_file_range``).

They are tried in the order that the project's settings name them; a copy is always the last.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from nbops.errors import ProjectError, nearest
from nbops.project import CONFIG_NAME, Project

Link = Literal["reflink", "hardlink", "copy"]
LINKS: tuple[Link, ...] = ("reflink", "hardlink", "copy")
DEFAULT: tuple[Link, ...] = ("reflink", "copy")
_FICLONE = 0x40049409
_COPY_AT_ONCE = 64 << 20
# the file system can't, or the two lie on different ones
_CANNOT = {
    errno.EOPNOTSUPP,
    errno.ENOTTY,
    errno.EXDEV,
    errno.EINVAL,
    errno.ENOSYS,
    errno.EPERM,
    errno.EMLINK,
    errno.EACCES,
}
READ_ONLY = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


def configured(project: Project) -> tuple[Link, ...]:
    """Return what a project's ``[pipeline] links`` names, such as ``"reflink,copy"``, in order.

    Raises
    ------
    ProjectError
        If it names anything else.
    """
    told = project.config.get("pipeline", {}).get("links")
    if told is None:
        return DEFAULT
    named = [word.strip() for word in told.split(",")] if isinstance(told, str) else [str(told)]
    for word in named:
        if word not in LINKS:
            where = f"{project.root / CONFIG_NAME}, [pipeline] links"
            raise ProjectError(f"'{word}' is no kind of link", where=where, remedy=nearest(word, LINKS))
    return tuple(link for word in named for link in LINKS if link == word)


def transfer(source: Path, target: Path, links: Iterable[Link] = DEFAULT) -> Link:
    """Make `target`, which must not be there, hold what `source` holds; return by what means. Nothing is synced.

    Raises
    ------
    OSError
        If not even a copy can be made.
    """
    for link in links:
        if link == "reflink" and _reflink(source, target):
            return link
        if link == "hardlink" and _hardlink(source, target):
            return link
    _copy(source, target)
    return "copy"


def _reflink(source: Path, target: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
        else:
            return True
    target.unlink()
    return False


def _hardlink(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        return False
    target.chmod(READ_ONLY)
    return True


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("xb") as writer:
        if not _copied_in_kernel(reader.fileno(), writer.fileno()):
            shutil.copyfileobj(reader, writer, 1 << 20)


def _copied_in_kernel(reader: int, writer: int) -> bool:
    """Copy in the kernel; False when nothing was copied because it can't."""
    if not hasattr(os, "copy_file_range"):
        return False
    copied = 0
    while True:
        try:
            count = os.copy_file_range(reader, writer, _COPY_AT_ONCE)
        except OSError as error:
            if copied or error.errno not in _CANNOT:
                raise
            return False
        if count == 0:
            # some file systems say so for files that they make up: what is left is copied by hand
            return copied > 0 or os.fstat(reader).st_size == 0
        copied += count
