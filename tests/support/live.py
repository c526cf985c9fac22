"""A notebook lived in a real kernel: cells executed under their ids, in any order, as JupyterLab does it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_client.manager import KernelManager

from nbops.notebook import document


class LiveNotebook:
    """A notebook's file and the kernel that executes its cells.

    Parameters
    ----------
    path
        The notebook's file, written at once.
    cells
        Markdown as text, code as (id, source).
    """

    def __init__(self, path: Path, cells: Sequence[str | tuple[str, str]]) -> None:
        self.path = path
        self.sources: dict[str, str] = {}
        self._cells = list(cells)
        self.save()

    def save(self, **edited: str) -> None:
        """Write the file, with some cells' code replaced."""
        made: list[dict[str, Any]] = []
        for number, cell in enumerate(self._cells):
            if isinstance(cell, str):
                made.append({"cell_type": "markdown", "id": f"words-{number}", "source": cell, "metadata": {}})
                continue
            name, source = cell[0], edited.get(cell[0], self.sources.get(cell[0], cell[1]))
            self.sources[name] = source
            tags = {"tags": ["parameters"]} if name == "parameters" else {}
            made.append({"cell_type": "code", "id": name, "source": source, "metadata": tags})
        document.write(self.path, document.new(made))

    def __enter__(self) -> LiveNotebook:
        self.manager = KernelManager(kernel_name="python3")
        environment = {**os.environ, "JPY_SESSION_NAME": str(self.path), "MPLBACKEND": "agg"}
        self.manager.start_kernel(cwd=str(self.path.parent), env=environment, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel()

    def run(self, *names: str) -> list[str]:
        """Execute cells by id, in the order given (all, by default); return how each ended."""
        return [self.execute(self.sources[name], name) for name in names or self.sources]

    def execute(self, source: str, cell_id: str | None = None) -> str:
        """Execute code and return ``ok`` or ``error``."""
        # else a kernel throws away what it's asked shortly after an error
        content = {"code": source, "silent": False, "store_history": True, "stop_on_error": False, "allow_stdin": False}
        message = self.client.session.msg("execute_request", content, metadata={"cellId": cell_id} if cell_id else {})
        self.client.shell_channel.send(message)
        while True:
            reply = self.client.get_shell_msg(timeout=180)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return str(reply["content"]["status"])
