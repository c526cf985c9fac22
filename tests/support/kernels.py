"""Kernels as JupyterLab would start them, and the sessions that they record."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from nbops.project import Project
from nbops.tracking.recording.records import SessionLog, read


def sessions(project: Project) -> list[SessionLog]:
    """Return a project's sessions, oldest first."""
    return [read(path) for path in sorted(project.sessions.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)]


@dataclass(slots=True)
class Reply:
    """What a cell gave back."""

    status: str
    text: str = ""
    error: str = ""


@dataclass(slots=True)
class Kernel:
    """A real kernel, as JupyterLab would start it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    manager: Any = None
    client: Any = None

    def start(self) -> Kernel:
        self.manager = KernelManager(kernel_name="python3")
        outside = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        self.manager.start_kernel(cwd=str(self.folder), env={**outside, **self.environment})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=30)
        return self

    @property
    def pid(self) -> int:
        return int(self.manager.provisioner.pid)

    def run(self, code: str, *, cell_id: str | None = None) -> Reply:
        """Execute a cell and return what it printed and how it ended."""
        reply, texts = Reply("?"), []

        def hook(message: dict[str, Any]) -> None:
            content = message["content"]
            texts.append(content.get("text") or content.get("data", {}).get("text/plain") or "")
            if message["msg_type"] == "error":
                reply.error = f"{content['ename']}: {content['evalue']}"

        if cell_id:
            reply.status = self.request(code, {"cellId": cell_id})
            return reply
        answer = self.client.execute_interactive(code, output_hook=hook, timeout=120)
        reply.status, reply.text = answer["content"]["status"], "".join(texts)
        return reply

    def request(self, code: str, metadata: dict[str, Any]) -> str:
        """Execute a cell as a front end does that tells of it, and return how it ended."""
        content = {"code": code, "silent": False, "store_history": True, "stop_on_error": False, "allow_stdin": True}
        message = self.client.session.msg("execute_request", {**content, "user_expressions": {}})
        message["metadata"] |= metadata
        self.client.shell_channel.send(message)
        while True:
            answer = self.client.get_shell_msg(timeout=60)
            if answer["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return str(answer["content"]["status"])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        self.manager.provisioner.process.wait(10)

    def stop(self) -> None:
        """Ask the kernel to shut down, as Jupyter does."""
        if self.client:
            self.client.stop_channels()
            self.manager.shutdown_kernel()
            self.client = None
