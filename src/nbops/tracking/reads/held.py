"""Tables held to be fingerprinted later: which can be, how, and how much of them.

A shallow copy costs microseconds, and under copy-on-write it keeps its content whatever is done to the original. What isn't
copied on write (pandas 2, cells that hold lists) can't be held; nor can more than a share of the machine's memory,
``[tracking] memory``: bytes, such as ``"2GB"``, or a share such as 0.1.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from nbops.project import Project
from nbops.tracking.recording.resources import total_memory

_OBJECT = 64
_ROW = 200
_FEW = 20


class Held:
    """How much is held, and how much may be.

    Parameters
    ----------
    most
        Asked once, for how many bytes.
    """

    def __init__(self, most: Callable[[], int]) -> None:
        self._ask = most
        self._most: int | None = None
        self._now = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Hold `size` bytes more; False if that were too many."""
        with self._lock:
            if self._most is None:
                self._most = self._ask()
            if self._now + size > self._most:
                return False
            self._now += size
            return True

    def release(self, size: int) -> None:
        """Hold `size` bytes less."""
        with self._lock:
            self._now -= size


def allowed(project: Project) -> int:
    """Return how many bytes may be held: what the project says, of this machine's memory."""
    told = project.held_memory
    return int(told * total_memory()) if isinstance(told, float) else told


def shallow(table: Any) -> Any:
    """Return a copy of a table that shares its content."""
    root = type(table).__module__.partition(".")[0]
    if root in ("pandas", "geopandas"):
        return table.copy(deep=False)
    return table.clone() if root == "polars" else table


def keeps_content(table: Any) -> bool:
    """Whether a shallow copy stays as it is when the original is changed."""
    root = type(table).__module__.partition(".")[0]
    if root in ("polars", "pyarrow"):
        return True
    if root in ("pandas", "geopandas"):
        return _copies_on_write() and not any(_has_mutable(column) for column in _columns(table))
    return isinstance(table, list) and all(isinstance(row, tuple) for row in table[:_FEW])


def size_of(table: Any) -> int:
    """Return about how many bytes a table takes."""
    root = type(table).__module__.partition(".")[0]
    if root in ("pandas", "geopandas"):
        objects = sum(1 for column in _columns(table) if column.dtype == object)
        usage = table.memory_usage(deep=False)
        return int(usage if isinstance(usage, int) else usage.sum()) + objects * len(table) * _OBJECT
    if root == "polars":
        return int(table.estimated_size())
    return int(table.nbytes) if root == "pyarrow" else len(table) * _ROW


def _columns(table: Any) -> list[Any]:
    return [column for _, column in table.items()] if hasattr(table, "columns") else [table]


def _has_mutable(column: Any) -> bool:
    if column.dtype != object:
        return False
    plain = (str, bytes, int, float, bool, complex, tuple, type(None))
    first = column.iloc[:_FEW]
    return not all(isinstance(value, plain) or type(value).__hash__ is not None for value in first)


def _copies_on_write() -> bool:
    pandas = sys.modules["pandas"]
    if int(pandas.__version__.partition(".")[0]) >= 3:
        return True
    return pandas.options.mode.copy_on_write is True
