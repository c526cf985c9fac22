"""The workshop: one environment in ``.venv``, with pinned packages and nbops installed from its own wheel.

Standard library only, because this runs before anything is installed. The wheel is built from a copy of the files that
git knows, as from a clean clone. What is done is remembered in ``.venv``, so that a second call does nothing; an
environment in which an installation was broken off is made anew. Ctrl-C reaches the command that runs as well: it is
left the time to put things in order.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
WHEELS = ROOT / "build" / "wheels"
_OLDEST = (3, 11)
_STEPS = VENV / "workshop"
_WHOLE = "whole"
_PATIENCE_S = 30
_INTERRUPTED = 130
_NOT_SOURCES = {".git", ".venv", "build", "dist", "node_modules", ".nbops", "labextension", "__pycache__", "bundles"}


def say(text: str) -> None:
    """Print a step's heading."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("", "")
    print(f"\n{bold}── {text}{plain}", flush=True)


@contextmanager
def interruptible(command: str) -> Iterator[None]:
    """End a script that is interrupted with one line and status 130."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"\ninterrupted; `{command}` goes on from here")
        sys.exit(_INTERRUPTED)


def run(*command: str | Path, cwd: Path = ROOT, hold_errors: bool = False, **variables: str) -> None:
    """Run a command to its end; its failure is this process's.

    With `hold_errors` what it says on standard error comes at its end, and not at all when it is interrupted: for
    commands that answer Ctrl-C with a traceback.
    """
    words = [str(part) for part in command]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            words, cwd=cwd, env={**os.environ, **variables}, stderr=errors if hold_errors else None
        )
        try:
            status = process.wait()
        except KeyboardInterrupt:
            _let_end(process)
            raise
        errors.seek(0)
        held = errors.read().decode(errors="replace")
    if status not in (-signal.SIGINT, _INTERRUPTED):
        print(held, end="", file=sys.stderr, flush=True)
    if status in (-signal.SIGINT, _INTERRUPTED):
        raise KeyboardInterrupt
    if status:
        print(f"failed with status {status}: {' '.join(map(str, command))}", file=sys.stderr)
        sys.exit(status)


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a command that was interrupted too; one that goes on regardless is asked to end, then made to."""
    for stop in (process.terminate, process.kill):
        try:
            process.wait(_PATIENCE_S)
            return
        except subprocess.TimeoutExpired:
            stop()
        except KeyboardInterrupt:  # Ctrl-C again: the next step at once
            stop()
    process.wait()


@contextmanager
def _changing_environment() -> Iterator[None]:
    """Mark the environment as unfinished while it is changed, so that what is broken off isn't taken for whole."""
    (_STEPS / _WHOLE).unlink(missing_ok=True)
    yield
    _STEPS.mkdir(exist_ok=True)
    (_STEPS / _WHOLE).touch()


def prepare(lock: str) -> None:
    """Make ``.venv`` with the packages of ``requirements/<lock>.lock`` and nbops."""
    if sys.version_info < _OLDEST:
        sys.exit(
            f"Python {_OLDEST[0]}.{_OLDEST[1]} or newer is needed, this is {sys.version.split()[0]} ({sys.executable})"
        )
    requirements = ROOT / "requirements" / f"{lock}.lock"
    if not PYTHON.exists() or not (_STEPS / _WHOLE).exists():
        say("making .venv")
        with _changing_environment():
            venv.create(VENV, with_pip=True, clear=True)
    if not _done(f"packages-{lock}", [requirements]):
        say(f"installing the packages of {requirements.relative_to(ROOT)}")
        with _changing_environment():
            pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
            run(PYTHON, *pip, "-r", ROOT / "requirements" / "uv.lock")
            _uv("--require-hashes", "-r", requirements)
            _remember(f"packages-{lock}", [requirements])
    sources = list(_sources())
    if not _done("nbops", sources):
        wheel = build_wheel()
        with _changing_environment():
            _uv("--no-deps", "--reinstall-package", "nbops", wheel)
            _remember("nbops", sources)


def build_wheel() -> Path:
    """Build nbops' wheel from a copy of its sources and return its path."""
    say("building nbops" + ("" if shutil.which("npm") else ", without its JupyterLab extension, which needs npm"))
    shutil.rmtree(WHEELS, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="nbops-build-") as name:
        copy = Path(name)
        for path in _sources():
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        run(PYTHON, "-m", "hatchling", "build", "-t", "wheel", "-d", WHEELS, cwd=copy, hold_errors=True)
    return next(WHEELS.glob("*.whl"))


def _uv(*arguments: str | Path) -> None:
    install = ("pip", "install", "--quiet", "--compile-bytecode", "--python", PYTHON)
    run(PYTHON, "-m", "uv", *install, *arguments)


def _sources() -> Iterable[Path]:
    """Return what goes into the wheel: the files that git knows or would, or all but build products without git."""
    parts = ("src", "extension", "jupyter-config", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE")
    listing = (
        subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard", "--", *parts],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        ).stdout.split("\n")
        if shutil.which("git")
        else []
    )
    found = [ROOT / line for line in listing if line]
    if not found:
        candidates = [path for part in parts for path in [ROOT / part, *(ROOT / part).rglob("*")]]
        found = [path for path in candidates if not _NOT_SOURCES & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def _done(step: str, files: Sequence[Path]) -> bool:
    stamp = _STEPS / step
    return stamp.exists() and stamp.read_text(encoding="utf-8") == _digest(files)


def _remember(step: str, files: Sequence[Path]) -> None:
    _STEPS.mkdir(exist_ok=True)
    (_STEPS / step).write_text(_digest(files), encoding="utf-8")


def _digest(files: Sequence[Path]) -> str:
    running = hashlib.sha256((shutil.which("npm", path=os.environ.get("PATH", "")) is not None and b"npm") or b"")
    for path in files:
        running.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return running.hexdigest()
