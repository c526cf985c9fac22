"""What is held to be looked at later, and written beside the journal: bounded in memory, and the same thing only once.

A frame is held as a shallow copy, which copy-on-write keeps as it was; an array is hashed, and copied only if its content
isn't in the spool already; everything else is pickled at once. What doesn't fit within ``[tracking] memory`` isn't held. A
file of the spool is named by what is in it.
"""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbops.project import Project
from nbops.tracking.journal.entries import Held

_OWN_MODULE = b"__main__"


class TooLarge(Exception):
    """What should be held doesn't fit within the bound."""


@dataclass(slots=True)
class Holding:
    """A value that is held; `write` puts it into the spool and gives the memory back."""

    size: int
    write: Callable[[], Held]
    drop: Callable[[], None]


class Spool:
    """A session's folder of values.

    Parameters
    ----------
    folder
        Made when first needed.
    project
        Says how much may be held.
    """

    def __init__(self, folder: Path, project: Project) -> None:
        self.folder = folder
        self._most = bound(project)
        self._held = 0
        self._lock = threading.Lock()
        self._written: dict[str, Held] = {}

    def hold(self, value: Any) -> Holding:
        """Keep a value as it is now.

        Raises
        ------
        TooLarge
            If that would take more memory than is allowed.
        Exception
            Whatever the value's own code raises when it's pickled.
        """
        kind = type(value).__module__.partition(".")[0]
        if kind == "pandas" and hasattr(value, "memory_usage"):
            return self._hold_frame(value)
        if kind == "numpy" and type(value).__name__ == "ndarray" and not value.dtype.hasobject:
            return self._hold_array(value)
        return self.hold_bytes(dump(value))

    def hold_bytes(self, content: bytes, name: str | None = None) -> Holding:
        """Keep bytes, pickled already; named ones are written at once where they don't fit within the bound."""
        file = name or f"value-{_digest(content)}"
        try:
            return self._holding(len(content), lambda: self._write_once(file, lambda: content, Held(file)))
        except TooLarge:
            if name is None:
                raise
            held = self._write_once(file, lambda: content, Held(file))
            return Holding(0, lambda: held, lambda: None)

    def put(self, content: bytes) -> str:
        """Write bytes at once and return the file's name."""
        name = f"value-{_digest(content)}"
        return self._write_once(name, lambda: content, Held(name)).file

    def put_files(self, paths: list[Path]) -> str:
        """Copy files and folders into a new folder of the spool and return its name."""
        import shutil
        import uuid

        name = f"files-{uuid.uuid4().hex}"
        target = self.folder / name
        target.mkdir(parents=True)
        for path in paths:
            if path.is_dir():
                shutil.copytree(path, target / path.name)
            else:
                shutil.copyfile(path, target / path.name)
        return name

    def _hold_frame(self, frame: Any) -> Holding:
        import pandas as pd

        size = _size_of(frame)
        lazily = int(pd.__version__.partition(".")[0]) >= 3
        taken = self._take(size)
        try:
            copy = frame.copy(deep=not lazily)
        except BaseException:
            taken()
            raise

        def write() -> Held:
            try:
                from nbops.snapshot.fingerprint import fingerprint_frame, schema_of

                whole = copy if hasattr(copy, "columns") else copy.to_frame()
                digest = fingerprint_frame(whole)
                name = f"{type(copy).__name__.lower()}-{digest}"
                rows, columns = len(copy), schema_of(whole)
                return self._write_once(
                    name, lambda: dump(copy), Held(name, digest, type(copy).__name__, rows, columns)
                )
            finally:
                taken()

        return Holding(size, write, taken)

    def _hold_array(self, array: Any) -> Holding:
        import numpy as np
        import xxhash

        flat = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        content = xxhash.xxh3_128(flat.view(np.uint8).data if flat.size else b"").hexdigest()
        order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        name = f"array-{content}-{array.dtype.str.strip('<>|=')}-{'x'.join(map(str, array.shape))}-{order}"
        rows = array.shape[0] if array.ndim else None
        held = Held(name, content, "ndarray", rows)
        if self._is_there(name):
            return Holding(0, lambda: held, lambda: None)
        taken = self._take(array.nbytes)
        try:
            copy = array.copy(order="K") if flat is array else np.array(array, copy=True, order="K")
        except BaseException:
            taken()
            raise

        def write() -> Held:
            try:
                return self._write_once(name, lambda: dump(copy), held)
            finally:
                taken()

        return Holding(array.nbytes, write, taken)

    def _holding(self, size: int, put: Callable[[], Held]) -> Holding:
        taken = self._take(size)

        def write() -> Held:
            try:
                return put()
            finally:
                taken()

        return Holding(size, write, taken)

    def _take(self, size: int) -> Callable[[], None]:
        """Count memory as taken; return what gives it back, once."""
        with self._lock:
            if self._held + size > self._most:
                raise TooLarge(f"{size / 1e6:.0f} MB more than [tracking] memory allows ({self._most / 1e6:.0f} MB)")
            self._held += size
        left = [size]

        def give_back() -> None:
            with self._lock:
                self._held -= left.pop() if left else 0

        return give_back

    def _is_there(self, name: str) -> bool:
        """Whether a value is in the spool; it stays there for a while then."""
        if name not in self._written:
            return False
        try:
            os.utime(self.folder / name)
        except OSError:  # the worker has done with it and removed it
            self._written.pop(name, None)
            return False
        return True

    def _write_once(self, name: str, content: Callable[[], bytes], held: Held) -> Held:
        if not self._is_there(name):
            path = self.folder / name
            fresh = path.with_name(f"{name}.{threading.get_ident()}.new")
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                with fresh.open("wb", buffering=0) as stream:
                    left = memoryview(content())
                    while left:
                        left = left[stream.write(left) :]
                fresh.replace(path)
            except BaseException:
                with suppress(OSError):
                    fresh.unlink(missing_ok=True)
                raise
            self._written[name] = held
        return held


def dump(value: Any) -> bytes:
    """Pickle a value so that another process can read it, classes of the notebook included."""
    try:
        content = pickle.dumps(value, protocol=5)
        if _OWN_MODULE not in content:
            return content
    except Exception:  # noqa: BLE001  # any object's own code runs here; cloudpickle may know how
        content = b""
    import cloudpickle  # type: ignore[import-untyped]

    return bytes(cloudpickle.dumps(value, protocol=5))


def bound(project: Project) -> int:
    """Return how many bytes may be held at a time: ``[tracking] memory``."""
    from nbops.tracking.recording.resources import installed_memory

    allowed = project.held_memory
    return int(installed_memory() * allowed) if isinstance(allowed, float) else allowed


def _size_of(frame: Any) -> int:
    """Return a frame's bytes, by pandas' own quick count where it still has that."""
    size = getattr(getattr(frame, "_mgr", None), "nbytes", None)
    if isinstance(size, int):
        return size
    usage = frame.memory_usage(index=False)
    return int(usage.sum() if hasattr(frame, "columns") else usage)


def _digest(content: bytes) -> str:
    import xxhash

    return str(xxhash.xxh3_128(content).hexdigest())
