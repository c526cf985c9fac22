"""Find a template that fits, or start one; templates of one user share a folder that only they can enter.

A template fits if its circumstances are the kernel's and it has imported at least what the notebook does. One that is started
imports what its like had imported as well and takes their place, so that notebooks of one environment come to share one. It
ends by itself when nobody has asked for long (``NBOPS_WARM_IDLE_S``, ten minutes unless told otherwise).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nbops.pipeline.kernels.circumstances import shared

_SCRIPT = Path(__file__).with_name("template.py")
_START_WITHIN_S = 120.0
_TRY_AGAIN_AFTER_S = 600.0
_IDLE_S = 600.0
_SPARES = 1
_MOST = 8  # each takes the memory of what it has imported
_LONGEST_FOLDER = 60  # paths of sockets have room for about 100


@dataclass(frozen=True, slots=True)
class Template:
    """A template that runs.

    Attributes
    ----------
    folder
        Where its socket and its kernels' lie.
    pid
        Its process.
    preload
        What it was told to import.
    """

    folder: Path
    pid: int
    preload: frozenset[str]

    @property
    def socket(self) -> Path:
        """Where it's asked for kernels."""
        return self.folder / "socket"


def find(key: str, modules: Sequence[str]) -> Template | None:
    """Return the smallest running template of a key that has imported these modules."""
    fitting = [template for template in _running(key) if template.preload.issuperset(modules)]
    return min(fitting, key=lambda template: len(template.preload), default=None)


def start(key: str, command: Sequence[str], environment: Mapping[str, str], modules: Sequence[str]) -> Template | None:
    """Start a template, or find that somebody has; None where none can be, which is remembered for a while.

    Parameters
    ----------
    key
        What tells which kernels it can give.
    command
        The kernel's: interpreter, its flags, ``-m ipykernel_launcher -f FILE``, arguments.
    environment
        The kernel's variables.
    modules
        What to import.
    """
    from filelock import FileLock

    base = base_folder()
    with FileLock(base / "start.lock"):
        _sweep(base)
        found = find(key, modules)
        if found is not None or (base / f"{key}.refused").exists():
            return found
        alike = list(_running(key))
        if not alike and len(list(_running("*"))) >= _MOST:
            return None
        wanted = frozenset(modules).union(*(template.preload for template in alike))
        made = _launch(base / f"{key}-{secrets.token_hex(3)}", command, environment, sorted(wanted))
        if made is None:
            refuse(key)
            return None
        for template in alike:  # it ends when its kernels have
            with suppress(ProcessLookupError):
                os.kill(template.pid, signal.SIGTERM)
        return made


def base_folder() -> Path:
    """Return the folder of this user's templates, made if need be.

    Raises
    ------
    PermissionError
        If somebody else could enter it.
    """
    told = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    parent = told if len(told) < _LONGEST_FOLDER and os.access(told, os.W_OK) else "/tmp"
    base = Path(parent) / f"nbops-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077 or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{base} isn't a folder that only this user can enter")
    return base


def stop_all() -> None:
    """End this user's templates; kernels that are in use go on."""
    for template in _running("*"):
        with suppress(ProcessLookupError):
            os.kill(template.pid, signal.SIGTERM)


def refuse(key: str) -> None:
    """Start no template of a key for a while."""
    (base_folder() / f"{key}.refused").touch()


def discard(template: Template) -> None:
    """Forget a template that doesn't answer."""
    shutil.rmtree(template.folder, ignore_errors=True)


def _sweep(base: Path) -> None:
    """Remove what templates left that were killed, or didn't come to be."""
    for path in base.iterdir():
        with suppress(FileNotFoundError):  # another one sweeps as well
            age = time.time() - path.stat().st_mtime
            if path.suffix == ".refused":
                if age > _TRY_AGAIN_AFTER_S:
                    path.unlink()
            elif path.is_dir() and _is_dead(path, age):
                shutil.rmtree(path, ignore_errors=True)


def _is_dead(folder: Path, age: float) -> bool:
    try:
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except FileNotFoundError:  # it is being started
        return age > _START_WITHIN_S
    except ValueError:
        return True
    return not _lives(folder, state["pid"])


def _lives(folder: Path, pid: int) -> bool:
    """Whether a process is the template of a folder, which its command names; a zombie has no command."""
    try:
        return json.dumps(str(folder)).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _running(key: str) -> Iterator[Template]:
    """Yield the templates of a key."""
    for folder in base_folder().glob(f"{key}-*"):
        with suppress(FileNotFoundError, ValueError):  # being started, or ending
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            if state["format"] == 1 and _lives(folder, state["pid"]):
                yield Template(folder, state["pid"], frozenset(state["preload"]))


def _launch(
    folder: Path, command: Sequence[str], environment: Mapping[str, str], modules: Sequence[str]
) -> Template | None:
    folder.mkdir(mode=0o700)
    at = command.index("-m")
    config = {
        "folder": str(folder),
        "flags": list(command[1:at]),
        "arguments": list(command[at + 4 :]),
        "preload": list(modules),
        "left_out": {},
        "detached": False,
        "idle": float(os.environ.get("NBOPS_WARM_IDLE_S", _IDLE_S)),
        "spares": _SPARES,
    }
    with (folder / "log").open("wb") as log:
        try:
            began = subprocess.run(  # it leaves a process behind, and ends when that can be asked
                [*command[:at], str(_SCRIPT), json.dumps(config)],
                cwd="/",
                env=shared(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=_START_WITHIN_S,
                check=False,
            ).returncode
        except subprocess.TimeoutExpired:
            began = 1
    if began != 0:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    return Template(folder, state["pid"], frozenset(modules))
