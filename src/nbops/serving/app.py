"""Starts a service: ``main(package_dir)`` is what a bundle's ``__main__`` and ``nbops serve`` run.

Nothing heavy is imported at the top, so that ``OMP_NUM_THREADS=1`` is set before numpy loads (under contention the
default multiplies the latency of one row). The socket is bound first, the model is loaded before anything is
accepted, and only then is the address printed and written to ``--port-file``: whoever sees it can send. SIGTERM
and SIGINT let the requests under way finish and end with 0.
"""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .refusal import StartError

if TYPE_CHECKING:
    from .manifest import Manifest

MAX_BODY = 16 * 1024 * 1024
GRACE_SECONDS = 30
KEEP_ALIVE_SECONDS = 75  # longer than the load balancers' usual 60, so that they close first


def main(package_dir: str | Path, argv: Sequence[str] | None = None) -> int:
    """Serve the package in `package_dir` until told to stop.

    Parameters
    ----------
    package_dir
        The folder with ``service.json`` and the scoring module.
    argv
        Command-line arguments; those of the process by default.

    Returns
    -------
    int
        The exit status: 0 after a graceful end, 2 when the service can't start.
    """
    options = _parser().parse_args(argv)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    try:
        return _serve(Path(package_dir), options)
    except StartError as error:
        sys.stderr.write(f"nbops: {error}\n")
        return 2


def _serve(folder: Path, options: argparse.Namespace) -> int:
    from . import workers
    from .manifest import read

    manifest = read(folder / "service.json")
    token = os.environ.get(options.token_env) or None
    if token is None and not is_loopback(options.host):
        raise StartError(
            f"--host {options.host} is reachable from other machines, which needs a token: set {options.token_env}"
        )
    with bind(options.host, options.port) as listener:
        announce = _announcer(manifest, options, listener)

        def run(ready: Callable[[], None]) -> None:
            _run(folder, manifest, options, token, listener, ready)

        if options.workers > 1:
            return workers.supervise(options.workers, run, announce)
        run(announce)
        return 0


def _run(
    folder: Path,
    manifest: Manifest,
    options: argparse.Namespace,
    token: str | None,
    listener: socket.socket,
    ready: Callable[[], None],
) -> None:
    from .asgi import Service
    from .metrics import Metrics
    from .model import Model
    from .scorer import Scorer
    from .server import GracefulServer

    model = Model(manifest, Scorer.load(folder, manifest), Metrics(manifest))
    service = Service(model, max_body=options.max_body, token=token)
    GracefulServer.of(service, grace=GRACE_SECONDS, keep_alive=KEEP_ALIVE_SECONDS, ready=ready).run([listener])


def is_loopback(host: str) -> bool:
    """Whether `host` can only be reached from this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket on `host` and `port` (0: a free one).

    Raises
    ------
    StartError
        If the address can't be had.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, proto)
    except OSError as error:
        raise StartError(f"--host {host}: {error.strerror or error}") from error
    try:
        if os.name == "posix":  # elsewhere the option lets two processes share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        raise StartError(f"port {port} on {host}: {error.strerror or error}") from error
    return listener


def _announcer(manifest: Manifest, options: argparse.Namespace, listener: socket.socket) -> Callable[[], None]:
    port = listener.getsockname()[1]
    host = f"[{options.host}]" if ":" in options.host else options.host

    def announce() -> None:
        if options.port_file:
            write_whole(Path(options.port_file), f"{port}\n")
        sys.stdout.write(f"{manifest.name} version {manifest.version}: http://{host}:{port}\n")
        sys.stdout.flush()

    return announce


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` so that a reader sees all of it or nothing."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Serve this model over HTTP.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument("--port-file", metavar="FILE", help="write the port here once the service listens")
    parser.add_argument("--workers", type=_positive, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--max-body", type=_positive, default=MAX_BODY, metavar="BYTES", help="largest request body")
    parser.add_argument(
        "--token-env", default="NBOPS_TOKEN", metavar="NAME", help="environment variable that holds the token"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
