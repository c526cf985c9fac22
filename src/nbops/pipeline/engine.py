"""The papermill engine ``nbops``: executes a notebook in a kernel and tells the truth about it.

One asyncio loop drives one kernel, over UNIX sockets where there are any, so that kernels that start at the same time
can't take each other's ports. With a `KernelSession` the engine also sets the kernel's environment, runs code before the
first cell and reads expressions after the last; without one, as in ``papermill --engine nbops``, it does what
papermill's own does.
"""

from __future__ import annotations

import ast
import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner
from jupyter_client.session import Session
from jupyter_core.utils import ensure_async
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from papermill.engines import NBClientEngine
from papermill.log import logger
from papermill.utils import merge_kwargs, remove_args

from nbops.errors import StageFailed
from nbops.pipeline.execution import ExecutionRecord
from nbops.pipeline.following import FollowedClient
from nbops.pipeline.kernels.process import ForkedKernel
from nbops.pipeline.kernels.readiness import until_ready
from nbops.pipeline.kernels.warming import warm
from nbops.pipeline.memory import memory_kills
from nbops.pipeline.offspring import MARK, Offspring
from nbops.pipeline.session import KernelSession

# what nbclient logs of a stage, its error says as well: on a live table it would only make a mess
_UNHEARD = logging.getLogger("nbops.kernels")
_UNHEARD.addHandler(logging.NullHandler())
_SOCKET_PATH_MAX = 90
_OUT_OF_MEMORY = ("MemoryError", "_ArrayMemoryError", "OutOfMemoryError")
_IOPUB_TIMEOUT_S = 60
_LOG_TAIL = 400
_SHUTDOWN_WITHIN_S = 2.5  # twice, as Jupyter waits
_OFFSPRING_ENDS_WITHIN_S = 1.0  # of its own accord: time to leave no temporary files


class NotebookEngine(NBClientEngine):  # type: ignore[misc]
    """Papermill's engine interface over `NotebookClient`."""

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        session: KernelSession | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """Execute a parameterised notebook and return it with its outputs."""
        if session:
            nb.metadata.papermill.update(session.metadata)
        record = ExecutionRecord(
            nb,
            output_path=output_path,
            progress_bar=progress_bar,
            log_output=log_output,
            autosave_cell_every=autosave_cell_every,
        )
        record.notebook_start()
        try:
            cls.execute_managed_notebook(record, kernel_name, log_output=log_output, session=session, **kwargs)
        finally:
            record.notebook_complete()
        return record.nb

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: ExecutionRecord,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        session: KernelSession | None = None,
        **kwargs: Any,
    ) -> NotebookNode:
        """Execute the notebook that `nb_man` records."""
        options = merge_kwargs(
            {
                "iopub_timeout": _IOPUB_TIMEOUT_S,
                **remove_args(["input_path", "timeout", "startup_timeout"], **kwargs),
            },
            timeout=execution_timeout or kwargs.get("timeout"),
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            log=_UNHEARD if session else logger,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        return NotebookClient(nb_man, session=session, **options).execute()


class CellSession(Session):  # type: ignore[misc]
    """A messaging session that tells the kernel which cell it executes, as JupyterLab does."""

    cell_id: str | None = None

    def msg(self, msg_type: str, *arguments: Any, metadata: dict[str, Any] | None = None, **options: Any) -> Any:
        """Return a message; an execution request carries the cell's id."""
        if msg_type == "execute_request" and self.cell_id:
            metadata = {**(metadata or {}), "cellId": self.cell_id}
        return super().msg(msg_type, *arguments, metadata=metadata, **options)


class NotebookClient(FollowedClient):
    """Executes a notebook's cells in a kernel of its own.

    Parameters
    ----------
    nb_man
        The record of the execution.
    session
        What a pipeline's stage wants beyond that.
    """

    def __init__(self, nb_man: ExecutionRecord, session: KernelSession | None = None, **options: Any) -> None:
        super().__init__(nb_man, **options)
        self._session = session
        self._scratch: Path | None = None
        self._offspring = Offspring(nb_man.execution)
        self._offspring_ends_within_s = _OFFSPRING_ENDS_WITHIN_S
        self._memory_kills = 0

    def execute(self, **kwargs: Any) -> NotebookNode:
        """Execute the notebook; in a thread of its own when the caller runs an event loop, as Jupyter does."""
        self.reset_execution_trackers()
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._execute(**kwargs))
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(self._execute(**kwargs))).result()

    async def _execute(self, **kwargs: Any) -> NotebookNode:
        session = self._session
        if session:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None

            def stop() -> None:
                loop.call_soon_threadsafe(task.cancel)

            session.begin(stop)
            kwargs = {"cwd": str(session.folder), **kwargs}
        given = dict(session.environment) if session else {}
        kwargs = {"env": {**os.environ, **given, MARK: self.nb_man.execution}, **kwargs}
        self._memory_kills = memory_kills()
        try:
            log = self._connect_privately()
            with log.open("wb") as sink:
                await self.async_start_new_kernel(**{"stdout": sink, "stderr": sink, **kwargs})
            if isinstance(self.km.provisioner, LocalProvisioner):  # others' process ids may be another machine's
                self._offspring = Offspring(self.nb_man.execution, self.km.provisioner.pid)
            await self.async_start_new_kernel_client()
            if session and session.setup:
                await self._silently(session.setup)
            if await self._execute_cells():
                self.nb_man.outcome = "ok"
                if session and session.expressions:
                    await self._evaluate(session)
            await self._read_language()
        except asyncio.CancelledError:
            self._kill()
            if self.nb_man.outcome == "not run":
                self.nb_man.outcome = "cancelled"
            raise
        finally:
            if session:
                session.end()
            self.set_widgets_metadata()
            await self._clean_up()
        return self.nb

    async def _execute_cells(self) -> bool:
        """Execute the cells in order; True when all ran, False when one raised."""
        record = self.nb_man
        assert self.kc is not None
        total = sum(_is_executed(cell) for cell in self.nb.cells)
        for index, cell in enumerate(self.nb.cells):
            if self._session and self._session.on_cell and _is_executed(cell):
                self._session.on_cell(self.code_cells_executed + 1, total)
            record.cell_start(cell, index)
            if cell.cell_type == "code" and not _is_executed(cell):
                record.cell_ended(cell, index, "not run", "tagged to be skipped" if cell.source.strip() else "empty")
                continue
            self.kc.session.cell_id = cell.get("id")
            try:
                await self.async_execute_cell(cell, index)
            except CellExecutionError as error:
                record.cell_exception(cell, cell_index=index, exception=error)
                record.cell_ended(cell, index, "failed", _reason(error))
                return False
            except CellTimeoutError:
                record.cell_ended(cell, index, "timeout", f"after {self._get_timeout(cell)} s")
                self._kill()
                raise
            except DeadKernelError as error:
                task = asyncio.current_task()
                if task is not None and task.cancelling():  # nbclient takes a cancellation for a dead kernel
                    record.cell_ended(cell, index, "cancelled")
                    raise asyncio.CancelledError from error
                reason = await self._death()
                record.cell_ended(cell, index, "killed", reason)
                raise DeadKernelError(f"the kernel died in this cell: {reason}") from error
            except asyncio.CancelledError:
                record.cell_ended(cell, index, "cancelled")
                raise
            record.cell_ended(cell, index, "ok")
        self.kc.session.cell_id = None
        return True

    async def _silently(self, code: str) -> None:
        reply = await self._request(code, {})
        if reply["status"] != "ok":
            raise StageFailed(
                f"the kernel can't load nbops: {reply.get('ename')}: {reply.get('evalue')}",
                remedy="install nbops in the kernel's environment",
            )

    async def _evaluate(self, session: KernelSession) -> None:
        reply = await self._request("", dict(session.expressions))
        for name, answer in reply.get("user_expressions", {}).items():
            if answer["status"] == "ok":
                session.values[name] = str(ast.literal_eval(answer["data"]["text/plain"]))
            else:
                session.problems[name] = f"{answer['ename']}: {answer['evalue']}"

    async def _request(self, code: str, expressions: dict[str, str]) -> dict[str, Any]:
        assert self.kc is not None
        message = self.kc.execute(
            code, silent=True, store_history=False, user_expressions=expressions, allow_stdin=False
        )
        reply = await self.async_wait_for_reply(message)
        if reply is None:
            raise DeadKernelError("the kernel gave no answer")
        content: dict[str, Any] = reply["content"]
        return content

    async def _read_language(self) -> None:
        assert self.kc is not None
        reply = await self.async_wait_for_reply(self.kc.kernel_info())
        if reply is not None:
            self.nb.metadata["language_info"] = reply["content"]["language_info"]

    async def _death(self) -> str:
        code = await self.km.provisioner.poll() if self.km and self.km.provisioner else None
        if code == -signal.SIGKILL:
            if memory_kills() > self._memory_kills:
                return "killed: out of memory (the system's, or its group's limit)"
            return "killed by SIGKILL, as a system out of memory does"
        if code is not None and code < 0:
            return f"killed by {signal.Signals(-code).name}"
        end = "it ended" if code is None else f"exit status {code}"
        log = Path(self.km.connection_file).with_name("kernel.log") if self.km else None
        said = log.read_text(encoding="utf-8", errors="replace").strip()[-_LOG_TAIL:] if log and log.exists() else ""
        return f"{end}; it said: {said}" if said else end

    def _connect_privately(self) -> Path:
        """Make the kernel's manager, with its connection file and sockets in a folder that only we can enter.

        Return where the kernel's own messages, which belong to no cell, shall go.
        """
        self.km = self.create_kernel_manager()
        preload = self._session.preload if self._session else ()
        if preload is not None:
            folder = self._session.folder if self._session else Path.cwd()
            sources = [cell.source for cell in self.nb.cells if cell.cell_type == "code"]
            setup = [self._session.setup] if self._session else []
            warm(self.km, [*sources, *setup], folder, also=preload)
        scratch = self._session.scratch if self._session else None
        if scratch is None or len(str(scratch)) > _SOCKET_PATH_MAX:
            scratch = self._scratch = Path(tempfile.mkdtemp(prefix="nbops-"))
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.km.connection_file = str(scratch / "kernel.json")
        self.km.session = CellSession(parent=self.km)
        import zmq

        if sys.platform != "win32" and zmq.has("ipc") and len(str(scratch)) <= _SOCKET_PATH_MAX:
            self.km.transport = "ipc"
            self.km.ip = str(scratch / "k")
        return scratch / "kernel.log"

    def _kill(self) -> None:
        """Kill the kernel with its children: it is a process group of its own."""
        self._offspring.look()
        self._offspring_ends_within_s = 0.0
        provisioner = self.km.provisioner if self.km else None
        group = getattr(provisioner, "pgid", None)
        if group and group != os.getpgrp():
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                logger.debug("the kernel had ended already")

    async def _clean_up(self) -> None:
        try:
            if self.km is not None and self.km.provisioner is not None:
                self._offspring.look()
                await self._shut_down()
                await self._async_cleanup_kernel()
        finally:
            self._offspring.end(self._offspring_ends_within_s)
            if self._scratch:
                shutil.rmtree(self._scratch, ignore_errors=True)

    async def _shut_down(self) -> None:
        """End a forked kernel as Jupyter ends kernels, but see at once that it has ended, not ten times a second."""
        provisioner = self.km.provisioner if self.km else None
        if self.km is None or provisioner is None or not isinstance(provisioner.process, ForkedKernel):
            return
        for ask in (self.km.request_shutdown, provisioner.terminate, provisioner.kill):
            await ensure_async(ask())
            with suppress(TimeoutError):  # it is asked more firmly then
                await asyncio.wait_for(provisioner.wait(), _SHUTDOWN_WITHIN_S)
                return

    async def async_start_new_kernel_client(self) -> Any:
        """Return a client of the kernel once it answers."""
        assert self.km is not None
        self.kc = self.km.client()
        await ensure_async(self.kc.start_channels())
        try:
            await until_ready(self.kc, lambda: ensure_async(self.km.is_alive()), self.startup_timeout)
        except RuntimeError:
            await self._async_cleanup_kernel()
            raise
        self.kc.allow_stdin = False
        return self.kc


def _reason(error: CellExecutionError) -> str:
    said = f"{error.ename}: {error.evalue}".rstrip(": ")
    return f"out of memory: {said}" if error.ename in _OUT_OF_MEMORY else said


def _is_executed(cell: NotebookNode) -> bool:
    return (
        cell.cell_type == "code" and bool(cell.source.strip()) and "skip-execution" not in cell.metadata.get("tags", [])
    )
