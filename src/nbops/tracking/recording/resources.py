"""What a cell costs the machine: processor seconds and the change of resident memory, each read in microseconds.

Linux tells the memory in ``/proc/self/statm``, which is kept open; elsewhere psutil asks the system. Processor time is
that of all of the process's threads, and of the child processes that it has waited for.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

if sys.platform != "win32":
    import resource

_STATM = "/proc/self/statm"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process has used up to a moment: processor seconds, and bytes of memory that it holds."""

    cpu: float
    memory: int

    def until(self, later: Usage) -> tuple[float, int]:
        """Return the processor seconds and the change of memory between two moments."""
        return max(0.0, later.cpu - self.cpu), later.memory - self.memory


class Meter:
    """Reads the usage of this process."""

    def __init__(self) -> None:
        self._page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
        self._statm = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC) if sys.platform == "linux" else None

    def read(self) -> Usage:
        """Return the usage now."""
        return Usage(_cpu(), self._memory())

    def close(self) -> None:
        """Close what is kept open."""
        if self._statm is not None:
            os.close(self._statm)
            self._statm = None

    def _memory(self) -> int:
        if self._statm is not None:
            return int(os.pread(self._statm, 128, 0).split()[1]) * self._page
        import psutil

        return int(psutil.Process().memory_info().rss)


def total_memory() -> int:
    """Return the machine's memory in bytes, or the limit of the process's control group where that is less."""
    total = installed_memory()
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text("ascii")))
        except (OSError, ValueError):  # no such group, or no limit
            continue
    return total


def installed_memory() -> int:
    """Return the machine's memory in bytes."""
    if sys.platform == "linux":  # psutil says the same, and takes longer to import than all else here together
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.virtual_memory().total)


def process_started() -> float:
    """Return when this process began, to the same clock as psutil's ``create_time``."""
    if sys.platform == "linux":
        ticks = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[19])
        boot = next(line for line in Path("/proc/stat").read_bytes().splitlines() if line.startswith(b"btime"))
        return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
    import psutil

    return float(psutil.Process().create_time())


def process_mark(pid: int) -> str:
    """Return what tells a process from a later one of the same id, whatever the clock says; empty if not known."""
    try:
        started = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text('ascii').strip()} {started}"
    except (OSError, IndexError):  # no Linux, or no such process
        return ""


def is_running(pid: int, started: float, mark: str = "") -> bool:
    """Whether a process of this machine runs: by its mark, or by when it began where it has none."""
    import psutil

    try:
        process = psutil.Process(pid)
        same = process_mark(pid) == mark if mark else abs(process.create_time() - started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _cpu() -> float:
    own = time.process_time()
    if sys.platform == "win32":
        return own
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + children.ru_utime + children.ru_stime
