"""The template: a process that imports what notebooks import, and then forks a kernel off itself for whoever asks.

``python template.py CONFIG`` runs in the interpreter of the kernel, where nbops needn't be installed: it needs the standard
library and ipykernel. It only imports; it never runs what it imported, so that there are no threads that a fork would lose.
A module that starts threads, opens sockets, prints or warns when it's imported isn't imported: the template begins again
without it. Spare kernels, forked and ready, wait for a client.

Clients speak over a UNIX socket (`messages`): a request (`circumstances.request_of`) comes with two descriptors for the
kernel's output; answers are the kernel's pid and connection, and later its exit code.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import secrets
import selectors
import shutil
import signal
import socket
import struct
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import forked  # type: ignore[import-not-found]  # beside this file, which is run as a script
import messages  # type: ignore[import-not-found]

_FORMAT = 1
_HARMLESS_THREADS = {"jemalloc_bg_thd"}  # it is started again in a child
_REFILL_AFTER_S = 0.2
_MOST_FAILURES = 3


class Child:
    """A forked kernel, spare or in use."""

    def __init__(self, pid: int, channel: socket.socket, connection: dict[str, Any], files: list[Path]) -> None:
        self.pid = pid
        self.channel = channel
        self.connection = connection
        self.files = files
        self.ready = False
        self.client: socket.socket | None = None


class Template:
    """Serves kernels until nobody has asked for long.

    Parameters
    ----------
    config
        ``folder`` (where the socket lies), ``arguments`` (of every kernel), ``idle`` (seconds), ``spares`` (how many),
        ``preload`` and ``left_out``, which its state tells clients.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.folder = Path(config["folder"])
        self.arguments: list[str] = config["arguments"]
        self.idle = float(config["idle"])
        self.spares = int(config["spares"])
        self.state = {name: config[name] for name in ("preload", "left_out")}
        self.children: dict[int, Child] = {}
        self.failures = 0
        self.asked = time.monotonic()
        self.selector = selectors.DefaultSelector()
        self.woken, self._waker = socket.socketpair()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def serve(self) -> forked.Role | None:
        """Serve clients; in a child, return the part that it is to play."""
        self._open()
        while True:
            role = self._refill()
            if role is not None:
                return role
            for key, _ in self.selector.select(timeout=self._patience()):
                if key.fileobj is self.listener:
                    role = self._accept()
                    if role is not None:
                        return role
                elif key.fileobj is self.woken:
                    self.woken.recv(4096)
                    self._reap()
                else:
                    key.data(key.fileobj)
            if self._is_over():
                self._close()
                return None

    def _open(self) -> None:
        for end in (self.woken, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "asked", float("-inf")))
        self.listener.bind(str(self.folder / "socket"))
        self.listener.listen(64)
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(self.woken, selectors.EVENT_READ)
        fresh = self.folder / "state.new"
        fresh.write_text(json.dumps({"format": _FORMAT, "pid": os.getpid(), **self.state}), encoding="utf-8")
        fresh.replace(self.folder / "state.json")  # from now on clients come

    def _patience(self) -> float:
        wanted = self.spares > self._waiting() and self.failures < _MOST_FAILURES
        return _REFILL_AFTER_S if wanted else 5.0

    def _waiting(self) -> int:
        return sum(child.client is None for child in self.children.values())

    def _is_over(self) -> bool:
        in_use = any(child.client is not None for child in self.children.values())
        is_idle = time.monotonic() - self.asked > self.idle
        return not in_use and (is_idle or not (self.folder / "socket").exists())

    def _close(self) -> None:
        for child in self.children.values():
            if child.client is None:
                os.kill(child.pid, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _refill(self) -> forked.Role | None:
        """Fork a spare kernel, once clients have been quiet for a moment."""
        if self._waiting() >= self.spares or self.failures >= _MOST_FAILURES:
            return None
        if time.monotonic() - self.asked < _REFILL_AFTER_S:
            return None
        try:
            return self._fork(None, [])
        except OSError:  # no room for another process now
            self.failures += 1
            return None

    def _accept(self) -> forked.Role | None:
        client, _ = self.listener.accept()
        self.asked = time.monotonic()
        client.settimeout(5.0)
        descriptors: list[int] = []
        try:
            request = messages.receive(client, descriptors)
            descriptors.append(_watch_of(client))
            spare = self._spare() if request["connection"] is None else None
            if spare is None:
                return self._fork(request, descriptors, client)
            try:
                messages.send(spare.channel, request, descriptors)
            except OSError:  # it has died: `_reap` sees to it
                spare.ready = False
                return self._fork(request, descriptors, client)
            self._hand_over(spare, client)
        except (OSError, EOFError, ValueError, LookupError):  # a client that went away, or isn't one
            client.close()
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return None

    def _spare(self) -> Child | None:
        return next((child for child in self.children.values() if child.client is None and child.ready), None)

    def _hand_over(self, child: Child, client: socket.socket) -> None:
        child.client = client
        messages.send(client, {"pid": child.pid, "connection": child.connection})

    def _fork(
        self, request: dict[str, Any] | None, descriptors: list[int], client: socket.socket | None = None
    ) -> forked.Role | None:
        if request is None or request["connection"] is None:
            connection, files = self._connection()
            file = str(files[0])
        else:  # a kernel that takes another's place: clients know where that was
            connection, files, file = request["connection"], [], request["connection_file"]
        ours, theirs = socket.socketpair()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of threads, which were looked at
            pid = os.fork()
        if pid == 0:
            kept = list(descriptors)
            descriptors.clear()  # they are the kernel's now
            self._leave([ours, *([client] if client is not None else [])])
            return forked.Role(theirs, file, self.arguments, request, kept)
        theirs.close()
        child = self.children[pid] = Child(pid, ours, connection, files)
        if client is not None:
            self._hand_over(child, client)
        else:
            self.selector.register(ours, selectors.EVENT_READ, lambda channel: self._is_ready(child, channel))
        return None

    def _is_ready(self, child: Child, channel: socket.socket) -> None:
        self.selector.unregister(channel)
        with contextlib.suppress(OSError):  # it died: `_reap` sees to it
            child.ready = bool(channel.recv(1))

    def _leave(self, others: list[socket.socket]) -> None:
        """In a child: let go of all that is the template's."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.selector.close()
        for child in self.children.values():
            others += [child.channel, *([child.client] if child.client is not None else [])]
        for end in (*others, self.listener, self.woken, self._waker):
            end.close()

    def _connection(self) -> tuple[dict[str, Any], list[Path]]:
        """Write the connection file of a kernel that is about to be forked."""
        base = self.folder / f"k{secrets.token_hex(4)}"
        channels = ("shell", "iopub", "stdin", "hb", "control")
        ports = {f"{channel}_port": number for number, channel in enumerate(channels, 1)}
        connection: dict[str, Any] = {
            "transport": "ipc",
            "ip": str(base),
            "key": secrets.token_hex(32),
            "signature_scheme": "hmac-sha256",
            "kernel_name": "",
            **ports,
        }
        file = base.with_suffix(".json")
        file.touch(mode=0o600)
        file.write_text(json.dumps(connection), encoding="utf-8")
        return connection, [file, *(Path(f"{base}-{port}") for port in ports.values())]

    def _reap(self) -> None:
        """Tell clients how their kernels ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is None:
                continue
            _unlink(child.files)
            if child.client is None:
                self.failures += not child.ready
                if child.channel in {key.fileobj for key in self.selector.get_map().values()}:
                    self.selector.unregister(child.channel)
            else:
                with contextlib.suppress(OSError):  # the client is gone as well
                    messages.send(child.client, {"exit": os.waitstatus_to_exitcode(status)})
                child.client.close()
                if self.asked > float("-inf"):  # a client that starts it anew wants it where it was
                    self.asked = time.monotonic()
            child.channel.close()


def _watch_of(client: socket.socket) -> int:
    """Return a descriptor of the client's process, as the system knows it."""
    credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return os.pidfd_open(struct.unpack("3i", credentials)[0])


def _unlink(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)


def preload(modules: list[str]) -> dict[str, str]:
    """Import modules; return those that can't be imported in a template, and why.

    A module that isn't there isn't a reason: the notebook that imports it gets its own error.
    """
    unfit: dict[str, str] = {}
    for name in modules:
        sockets = _sockets()
        said, problem = io.StringIO(), ""
        filters = list(warnings.filters)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), _noted() as warned:
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001  # any library's own code runs here
                problem = "" if isinstance(error, ModuleNotFoundError) else f"{type(error).__name__}: {error}"
        if said.getvalue() or warned:
            problem = problem or "it prints or warns"
        if _threads():
            problem = problem or f"it starts threads: {', '.join(sorted(set(_threads())))}"
        if _sockets() > sockets:
            problem = problem or "it opens sockets or devices"
        if problem:
            unfit[name] = problem
            if not problem.startswith("it prints"):
                return unfit  # this process is spoilt for whatever comes next
            warnings.filters[:] = filters  # type: ignore[index]
    return unfit


@contextlib.contextmanager
def _noted() -> Any:
    """Note what is warned of, without undoing what a module does to the filters."""
    noted: list[str] = []
    shown = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: noted.append(str(message))
    try:
        yield noted
    finally:
        warnings.showwarning = shown


def _survives_a_fork() -> bool:
    """Whether a forked process computes: some numerical libraries wait there for threads that aren't."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            ones = numpy.ones((200, 200))
            numpy.dot(ones, ones)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _threads() -> list[str]:
    """Return the names of threads that a fork would lose; BLAS and jemalloc start theirs again in a child."""
    names = []
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # it has just ended
            names.append((task / "comm").read_text().strip())
    own = Path("/proc/self/comm").read_text().strip()
    unnamed = names.count(own) - 1
    others = [name for name in names if name != own and name not in _HARMLESS_THREADS]
    return others + [own] * max(0, unnamed - _blas_threads())


def _blas_threads() -> int:
    """Return how many threads the copies of OpenBLAS that are loaded may have, which survive forks."""
    cores = len(os.sched_getaffinity(0))
    libraries = {
        line.rpartition(" ")[2]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "libscipy_openblas" in line
    }
    return len(libraries) * (max(cores, os.cpu_count() or 1) - 1)


def _sockets() -> int:
    count = 0
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # that of the listing itself
            count += str(descriptor.readlink()).startswith(("socket:", "/dev/nvidia", "/dev/kfd", "/dev/dri"))
    return count


def _detach(state: Path) -> None:
    """Go on in a process of no parent; this one ends when that can be asked for kernels, or has failed."""
    pid = os.fork()
    if pid == 0:
        os.setsid()
        return
    while not state.exists():
        if os.waitpid(pid, os.WNOHANG)[0]:
            os._exit(1)
        time.sleep(0.005)
    os._exit(0)


def main(config: dict[str, Any]) -> None:
    """Import, then serve; in a child, be a kernel."""
    if not config["detached"]:
        _detach(Path(config["folder"]) / "state.json")
    left_out: dict[str, str] = config["left_out"]
    draws_inline = "MPLBACKEND" not in os.environ
    if draws_inline:  # as ipykernel will set it, too late for a matplotlib that has been imported
        os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    unfit = preload(["ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell"]) if not left_out else {}
    unfit |= preload([name for name in config["preload"] if name not in left_out])
    if draws_inline:
        del os.environ["MPLBACKEND"]
    if unfit:
        again = {**config, "detached": True, "left_out": {**left_out, **unfit}}
        os.execv(sys.executable, [sys.executable, *config["flags"], __file__, json.dumps(again)])
    import ipykernel.ipkernel
    import ipykernel.kernelapp
    import ipykernel.zmqshell  # noqa: F401

    gc.collect()
    gc.freeze()
    if not _survives_a_fork():
        sys.exit("a forked process can't compute")
    template = Template(config)
    role = template.serve()
    if role is not None:
        del template
        forked.play(role)


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120
    sys.path[:] = [folder for folder in sys.path if folder != here]
    del sys.modules["forked"], sys.modules["messages"]  # a notebook may have modules of these names
    main(json.loads(sys.argv[1]))
