"""Whether it was for want of memory that a process was killed: Linux counts such kills, and tells nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/")


def memory_kills(root: Path = _ROOT) -> int:
    """Return how many processes have been killed for want of memory: in our control group, where that is counted.

    Parameters
    ----------
    root
        Where ``proc`` and ``sys`` lie.
    """
    for counters in (*_of_group(root), root / "proc/vmstat"):
        try:
            lines = counters.read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        for name, _, number in (line.partition(" ") for line in lines):
            if name == "oom_kill":
                return int(number)
    return 0


def _of_group(root: Path) -> Iterator[Path]:
    """Name the files that may hold our group's counters; a container sees its own group as the topmost."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    mounted = root / "sys/fs/cgroup"
    for _, controllers, path in (group.split(":", 2) for group in groups):
        if controllers == "":
            places, name = [mounted, mounted / "unified"], "memory.events"
        elif "memory" in controllers.split(","):
            places, name = [mounted / "memory"], "memory.oom_control"
        else:
            continue
        for place in places:
            yield place / path.lstrip("/") / name
            yield place / name
