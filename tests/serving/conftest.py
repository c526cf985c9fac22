"""A tiny package served by a real process over loopback: every test of the runtime talks to this one."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

SCORING = '''
"""Answers what it was sent, so that tests see what reaches a scoring function."""
import sys
import time
from pathlib import Path

import numpy as np

SCALE = float((Path(__file__).parent / "objects" / "scale.txt").read_text())
DTYPES = {
    "carrier": "str", "distance": "float64", "hour": "int64", "seats": "int32", "share": "float32",
    "night": "bool", "when": "datetime64[us]", "stamp": "datetime64[us, UTC]", "stops": "Int64", "late": "boolean",
}


def score(flights):
    dtypes = {name: str(dtype) for name, dtype in flights.dtypes.items()}
    assert dtypes == DTYPES, dtypes
    if (flights["carrier"] == "raise").any():
        raise RuntimeError("secret cause")
    if (flights["carrier"] == "exit").any():
        sys.exit(3)
    if (flights["carrier"] == "short").any():
        return np.zeros(0)
    if (flights["carrier"] == "sleep").any():
        time.sleep(1.0)
    if (flights["carrier"] == "thread").any():
        import threading
        return np.full(len(flights), float(threading.active_count()))
    return flights["distance"] * SCALE
'''

COLUMNS: list[dict[str, Any]] = [
    {"name": "carrier", "type": "string", "nullable": True},
    {"name": "distance", "type": "double", "nullable": True},
    {"name": "hour", "type": "long"},
    {"name": "seats", "type": "integer"},
    {"name": "share", "type": "float"},
    {"name": "night", "type": "boolean"},
    {"name": "when", "type": "datetime", "nullable": True},
    {"name": "stamp", "type": "datetime", "tz": "UTC"},
    {"name": "stops", "type": "long", "nullable": True, "required": False},
    {"name": "late", "type": "boolean", "nullable": True, "required": False},
]
NAMES = [column["name"] for column in COLUMNS]

ROW: dict[str, Any] = {
    "carrier": "UA",
    "distance": 1400.5,
    "hour": 5,
    "seats": 149,
    "share": 0.5,
    "night": False,
    "when": "2013-07-01T05:15:00",
    "stamp": "2013-07-01T05:15:00-04:00",
    "stops": 1,
    "late": True,
}


def rows(count: int = 1, **changes: Any) -> list[dict[str, Any]]:
    """Return `count` good rows with `changes`; a change to ``...`` leaves the field out."""
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not ...}
    return [dict(row) for _ in range(count)]


def split(records: list[dict[str, Any]]) -> dict[str, Any]:
    names = list(records[0])
    return {"dataframe_split": {"columns": names, "data": [[row[name] for name in names] for row in records]}}


def write_package(folder: Path, name: str = "echo", scoring: str = SCORING, **changes: Any) -> Path:
    """Write the package folder of a service and return it."""
    package = folder / f"{name}_service"
    (package / "objects").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "scoring.py").write_text(scoring)
    (package / "objects" / "scale.txt").write_text("1.0")
    manifest = {
        "format": 1,
        "name": name,
        "version": "3",
        "package": f"{name}_service",
        "entry": "scoring:score",
        "input": {"name": "flights", "columns": COLUMNS},
        "output": {"name": "p_late", "type": "double"},
        "versions": {
            "code": "c0dec0de",
            "data": "da7ada7a",
            "model": "1234abcd",
            "environment": None,
            "experiment": "e",
        },
        "objects": [{"path": "objects/scale.txt", "sha256": hashlib.sha256(b"1.0").hexdigest()}],
        **changes,
    }
    (package / "service.json").write_text(json.dumps(manifest))
    return package


@dataclass
class Running:
    """A service process and a client that talks to it."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    client: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = httpx.Client(base_url=self.url, timeout=30)

    def invoke(self, document: Any, **kwargs: Any) -> httpx.Response:
        if isinstance(document, bytes):
            headers = {"content-type": "application/json"}
            return self.client.post("/invocations", content=document, headers=headers, **kwargs)
        return self.client.post("/invocations", json=document, **kwargs)

    def memory(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def stop(self) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def launch(package: Path, *options: str, env: dict[str, str] | None = None) -> Running:
    """Start a service and wait for its one line."""
    log = package.parent / f"{package.name}-{time.monotonic_ns()}.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "nbops.serving", "--package", str(package), *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **(env or {})},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        process.wait(20)
        raise AssertionError(log.read_text())
    return Running(process, line.split(": ", 1)[1].strip(), log)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def service(package: Path) -> Iterator[Running]:
    running = launch(package)
    yield running
    assert running.stop() == 0


@pytest.fixture
def starts() -> Iterator[Callable[..., Running]]:
    """Start services that end with the test."""
    started: list[Running] = []

    def start(package: Path, *options: str, env: dict[str, str] | None = None) -> Running:
        started.append(launch(package, *options, env=env))
        return started[-1]

    yield start
    for running in started:
        running.stop()
