"""A PostgreSQL cluster for one test session: made in a temporary folder, on a loopback port, without fsync.

PostgreSQL refuses to run as root, so there it runs as the user ``postgres`` that Debian's package makes. MLflow's schema is
migrated once, into a database that each test's own is then a copy of (0.1 s instead of seconds).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

_numbers = count(1)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster, which can be stopped, and started again at its port."""

    port: int
    stop: Callable[[], None]
    start: Callable[[], None]

    def uri(self, database: str) -> str:
        return f"postgresql://nbops:secret@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template0") -> str:
        """Make a database and return its URI."""
        import psycopg

        name = f"trial_{next(_numbers)}"
        with psycopg.connect(self.uri("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.uri(name)


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Run a cluster."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    as_user = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.geteuid() == 0 else []
    folder = Path(
        tempfile.mkdtemp(prefix="nbops-pg-", dir="/tmp")
    )  # a socket's path must be short, and others' to enter
    if as_user:
        shutil.chown(folder, "postgres", "postgres")
    port = free_port()
    (password := folder / "password").write_text("secret", encoding="utf-8")
    password.chmod(0o644)
    options = (
        f"-F -c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder} "
        "-c full_page_writes=off -c synchronous_commit=off -c max_connections=200"
    )

    def run(*arguments: str) -> None:
        subprocess.run([*as_user, *arguments], check=True, cwd="/", stdout=subprocess.DEVNULL, env=_plain())

    data = str(folder / "data")
    run(
        *(str(programs / "initdb"), "-D", data, "-U", "nbops", "--no-sync", "-E", "UTF8", "--locale", "C"),
        *("-A", "scram-sha-256", f"--pwfile={password}"),
    )
    control = str(programs / "pg_ctl")

    def start() -> None:
        run(control, "-D", data, "-w", "-s", "-l", str(folder / "log"), "-o", options, "start")

    def stop(mode: str = "fast") -> None:
        run(control, "-D", data, "-w", "-s", "-m", mode, "stop")

    start()
    try:
        yield Cluster(port, stop, start)
    finally:
        stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


def _plain() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C"}
