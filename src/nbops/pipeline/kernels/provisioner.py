"""``nbops-warm``: Jupyter's kernel provisioner that has kernels forked, and starts them itself where that can't be.

Any kernel of ipykernel may name it in its ``kernel.json``: ``"metadata": {"kernel_provisioner": {"provisioner_name":
"nbops-warm", "config": {"preload": ["pandas"]}}}``. Kernels are forked on Linux, for a client that runs on the same machine
in the same circumstances; all others start cold, as do all with ``NBOPS_WARM_KERNELS=0``.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner
from traitlets import List, Unicode

from nbops.pipeline.kernels import circumstances, templates
from nbops.pipeline.kernels.preload import PURE
from nbops.pipeline.kernels.process import ForkedKernel, ask

_LAUNCHER = ["-m", "ipykernel_launcher", "-f"]
_TOLD_TO_POPEN = frozenset({"stdin", "preexec_fn", "pass_fds", "user", "group", "umask", "process_group"})


class WarmProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Has kernels forked off a template."""

    process: Any = None
    preload = List(Unicode(), config=True, help="Modules that a template imports before it forks.")

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Have a kernel forked, or start it."""
        forked = None
        if _is_possible(cmd, kwargs):
            try:
                forked = await asyncio.to_thread(self._fork, cmd, kwargs)
            except Exception as error:  # noqa: BLE001  # whatever it is, a kernel can be started
                self.log.warning("no kernel can be forked here, it is started: %s", error)
        if forked is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process, connection = forked
        self.pid = self.pgid = self.process.pid
        self.cwd = kwargs.get("cwd")
        self.connection_info = {**connection, "key": connection["key"].encode()}
        return self.connection_info

    async def wait(self) -> int | None:
        """Wait for the kernel's end, which its template tells."""
        process = self.process
        if not isinstance(process, ForkedKernel):
            code: int | None = await super().wait()
            return code
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        while process.poll() is None:
            ended.clear()
            told = process.fileno()
            loop.add_reader(told, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(told)
        self.process = None  # which is how it tells that there is none any more
        return int(process.returncode or 0)

    async def cleanup(self, restart: bool = False) -> None:
        """Let go of a kernel that was left to itself."""
        if isinstance(self.process, ForkedKernel):
            self.process.close()
        await super().cleanup(restart)

    def _fork(self, command: Sequence[str], options: dict[str, Any]) -> tuple[ForkedKernel, dict[str, Any]] | None:
        """Ask a template for a kernel; None where there can be none."""
        environment = dict(options.get("env") or os.environ)
        folder = Path(options.get("cwd") or Path.cwd()).absolute()
        modules = _importable(self.preload, folder)
        at = command.index("-f")
        key = circumstances.key_of([*command[:at], *command[at + 2 :]], environment)
        connection = {**self.connection_info, "key": self.connection_info["key"].decode()} if self.pid else None
        if modules is None or "curve_publickey" in self.connection_info:
            return None
        request = circumstances.request_of(command, environment, folder, connection)
        for _ in range(2):
            template = templates.find(key, modules) or templates.start(key, command, environment, modules)
            if template is None:
                return None
            try:
                with _descriptor(options.get("stdout"), 1) as output, _descriptor(options.get("stderr"), 2) as errors:
                    return ask(template.socket, request, (output, errors))
            except (ConnectionRefusedError, FileNotFoundError):  # it ended this moment, or was killed
                templates.discard(template)
            except (ConnectionError, EOFError):  # it couldn't fork just now
                continue
        templates.refuse(key)
        return None


def _is_possible(command: Sequence[str], options: dict[str, Any]) -> bool:
    """Whether this is a kernel that a template could fork."""
    if os.environ.get("NBOPS_WARM_KERNELS") == "0" or not hasattr(os, "pidfd_open"):
        return False
    if subprocess.PIPE in (options.get("stdout"), options.get("stderr")) or not _TOLD_TO_POPEN.isdisjoint(options):
        return False
    folders = (options.get("env") or os.environ).get("PYTHONPATH", "")
    if options.get("independent") or not all(map(os.path.isabs, filter(None, folders.split(os.pathsep)))):
        return False
    starts = [at for at in range(1, len(command) - 3) if list(command[at : at + 3]) == _LAUNCHER]
    return bool(starts) and "python" in Path(command[0]).name and all(f.startswith("-") for f in command[1 : starts[0]])


@contextmanager
def _descriptor(told: Any, standard: int) -> Iterator[int]:
    """Open what `subprocess.Popen` takes for an output; None is our own."""
    if told == subprocess.DEVNULL:
        with open(os.devnull, "wb") as sink:  # noqa: PTH123
            yield sink.fileno()
    else:
        yield standard if told is None else told if isinstance(told, int) else told.fileno()


def _importable(modules: Sequence[str], folder: Path) -> list[str] | None:
    """Return the modules that a template may import for a notebook in a folder; None: no template serves it."""
    own = {entry.name.removesuffix(".py") for entry in os.scandir(folder)}
    # there the same name may mean another module, which a template has imported already
    if own & (PURE | sys.stdlib_module_names) or circumstances.is_configured(folder):
        return None
    return [name for name in modules if name.partition(".")[0] not in own]
