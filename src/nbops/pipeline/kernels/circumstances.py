"""The circumstances that a kernel is started in: what a template must share, and what a forked kernel is given.

What a process can't change afterwards, or libraries look at when they are imported, must be the same for the template and
the client: it makes the template's key. Everything else goes with the request.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_PER_KERNEL = (
    "JPY_", "JUPYTER_", "NBOPS_", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT", "KERNEL_", "PYTEST_",
)  # fmt: skip
_OF_TERMINALS = frozenset(
    {
        "_", "PWD", "OLDPWD", "SHLVL", "COLUMNS", "LINES", "TERM", "COLORTERM", "PS1", "CLICOLOR", "FORCE_COLOR", "NO_COLOR",
        "WINDOWID", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "TMUX", "TMUX_PANE", "STY", "GPG_TTY", "CLICOLOR_FORCE",
        "PAGER", "GIT_PAGER",
    }
)  # fmt: skip
_SAME = ("NSpid", "CapEff", "Seccomp", "SigIgn", "SigBlk")
_TOLD = (Path("/proc/self/cgroup"), Path("/proc/self/oom_score_adj"))
_NAMESPACES = ("ipc", "mnt", "net", "pid", "user", "uts")


def key_of(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the key of the templates that can give a kernel for this command in this environment.

    Parameters
    ----------
    command
        Interpreter and arguments, without the connection file.
    environment
        All of the kernel's variables; those of one kernel and of the terminal don't count.
    """
    content = [list(command), sorted(shared(environment).items()), _installed(Path(command[0])), *_of_process()]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:16]


def is_configured(folder: Path) -> bool:
    """Whether a folder has settings that matplotlib would read from it when it's imported."""
    return (folder / "matplotlibrc").exists()


def request_of(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, connection: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what a forked kernel is given (see `forked`).

    Parameters
    ----------
    command, environment, folder
        What it would be started with.
    connection
        Where it must be found, because it takes another's place; None: wherever it likes.
    """
    import resource

    names = [name for name in dir(resource) if name.startswith("RLIMIT_")]
    at = command.index("-f")
    return {
        "environment": {**environment, "JPY_PARENT_PID": str(os.getpid())},
        "folder": str(folder),
        "argv": list(command[at:]),
        "connection_file": command[at + 1],
        "limits": {name: resource.getrlimit(getattr(resource, name)) for name in names},
        "umask": int(_status().get("Umask", "022"), 8),
        "processors": sorted(os.sched_getaffinity(0)),
        "connection": connection,
    }


def _installed(python: Path) -> list[tuple[str, int]]:
    """Return what changes when something is installed beside an interpreter, upgraded or removed; or nbops edited."""
    folders = sorted(python.parent.parent.glob("lib/python3*/*-packages"))
    found = [(str(path), path.stat().st_mtime_ns) for path in (python.resolve(), *folders)]
    ours = Path(__file__).parents[2]
    if not any(ours.is_relative_to(folder) for folder in folders):
        found.append((str(ours), max(path.stat().st_mtime_ns for path in ours.rglob("*.py"))))
    return found


def shared(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a template has: all but those of one kernel, and of the terminal."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OF_TERMINALS and not name.startswith(_PER_KERNEL)
    }


def _of_process() -> list[Any]:
    """Return what of this process a kernel inherits and a forked one couldn't take over."""
    import resource

    hard = [resource.getrlimit(getattr(resource, name))[1] for name in dir(resource) if name.startswith("RLIMIT_")]
    status = _status()
    return [
        os.getuid(),
        os.getgid(),
        os.getgroups(),
        os.getpriority(os.PRIO_PROCESS, 0),
        hard,
        [status.get(name, "").split()[:1] if name != "NSpid" else len(status.get(name, "").split()) for name in _SAME],
        [str(path.readlink()) for path in (Path("/proc/self/ns") / name for name in _NAMESPACES) if path.exists()],
        *(path.read_text(encoding="utf-8") for path in _TOLD if path.exists()),
        sys.platform,
    ]


def _status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
