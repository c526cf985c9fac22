"""What the code ran on: processor, cores, memory, and graphics cards where a driver tells of them."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine, as far as it matters for results.

    Attributes
    ----------
    processor
        Its model's name.
    cores
        Logical cores that this process may use.
    memory_bytes
        Physical memory.
    gpus
        Names of graphics cards.
    """

    processor: str
    cores: int
    memory_bytes: int
    gpus: tuple[str, ...] = ()


@lru_cache(maxsize=1)
def capture() -> Hardware:
    """Return this machine's hardware; asked once a process."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Hardware(_processor(), cores, psutil.virtual_memory().total, _gpus())


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpus() -> tuple[str, ...]:
    if not shutil.which("nvidia-smi"):
        return ()
    query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=5, check=True)
    except (subprocess.SubprocessError, OSError):  # a tool without a working driver means no usable card
        return ()
    return tuple(line.strip() for line in answer.stdout.splitlines() if line.strip())
