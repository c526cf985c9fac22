"""A running service: started from an environment on a free loopback port, waited for, and stopped."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbops.errors import ServeError
from nbops.promotion.environments import clean_variables

# A killed nbops closes the pipe that is the service's input: then the service ends too.
_GUARDED = """
import os, runpy, signal, sys, threading
def watch():
    while os.read(0, 1):  # not sys.stdin: its lock, held by a daemon thread, aborts the interpreter's end
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_TAIL = 2000


@dataclass(frozen=True, slots=True)
class Running:
    """A service that answers at `url`; `seconds` is how long it took to start, `log` what it wrote."""

    url: str
    process: subprocess.Popen[bytes]
    seconds: float
    log: Path

    def last_failure(self) -> str:
        """Return the last exception in its log, with the line of the scoring code that it came from; empty for none."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        starts = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
        if not starts:
            return ""
        trace = lines[starts[-1] + 1 :]
        error = next((line for line in trace if line and not line.startswith(" ")), "")
        places = [number for number, line in enumerate(trace) if "scoring.py" in line]
        code = trace[places[-1] + 1].strip() if places and places[-1] + 1 < len(trace) else ""
        return f"{error} (at `{code}`)" if code else error


@contextlib.contextmanager
def start(python: Path, package: str, arguments: Sequence[str] = ()) -> Iterator[Running]:
    """Start a service in a folder of its own, isolated from this process's Python settings; stop it at the end.

    Raises
    ------
    ServeError
        If it ends, or isn't ready within two minutes.
    """
    with tempfile.TemporaryDirectory(prefix="nbops-") as name:
        folder = Path(name)
        port_file, log = folder / "port", folder / "log"
        command = [str(python), "-I", "-c", _GUARDED, package, "--port", "0", "--port-file", str(port_file), *arguments]
        began = time.perf_counter()
        with log.open("wb") as sink:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=sink, stderr=sink, env=clean_variables()
            )
        try:
            port = _wait(process, port_file, log, package)
            yield Running(f"http://127.0.0.1:{port}", process, time.perf_counter() - began, log)
        finally:
            stop(process)
            if process.stdin:
                process.stdin.close()


def stop(process: subprocess.Popen[bytes]) -> int:
    """End a service gracefully, by force after ten seconds; return its exit status."""
    if process.poll() is None:
        process.terminate()
    try:
        return process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _wait(process: subprocess.Popen[bytes], port_file: Path, log: Path, package: str) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if port_file.exists():
            return int(port_file.read_text(encoding="utf-8").split(":")[-1])
        if process.poll() is not None:
            raise ServeError(f"the service ended with status {process.returncode}: {_end(log)}", where=package)
        time.sleep(0.02)
    raise ServeError(f"the service isn't ready after {_START_SECONDS:.0f} s: {_end(log)}", where=package)


def _end(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip()[-_TAIL:]
