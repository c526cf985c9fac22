"""What the front end tells: which notebook a kernel serves, and which of its cells is executed.

Nothing is guessed. Jupyter's server (JupyterLab, Notebook 7) tells the notebook by a variable and the cell in the
request; VS Code tells the notebook by a name in the namespace and the cell by its address, which holds the notebook's
too. papermill, ``jupyter nbconvert`` and ``jupyter execute`` tell nothing: there the notebook is the one on their command
line, and the cell the next one of that notebook with the source that is executed, because they execute all in order. What
nobody tells is None, shown as *unknown*.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nbops.project import Project

_VS_CODE = "__vsc_ipynb_file__"
_VS_CODE_CELL = "vscode-notebook-cell:"
_TEMPLATE = "/kernels/template.py"
_RUNNERS = frozenset({"papermill", "nbconvert", "jupyter-nbconvert", "jupyter-execute"})
_TAKES = {"-p": 2, "--parameters": 2, "-r": 2, "--parameters_raw": 2, "--output": 1}  # options: how many words follow


def notebook_of(shell: Any, project: Project) -> str | None:
    """Return the notebook's path relative to the project, None where the front end doesn't tell enough to be sure."""
    kernel = getattr(shell, "kernel", None)
    if kernel is None:  # a shell in a terminal; the variables there are of somebody else
        return None
    path = _told_by_vs_code(shell, kernel) or _told_by_server() or _told_by_runner()
    return project.relative(path) if path else None


def request_of(kernel: Any) -> Mapping[str, Any]:
    """Return the metadata of the request that a kernel is answering."""
    message = kernel.get_parent("shell") if hasattr(kernel, "get_parent") else {}
    return (message or {}).get("metadata") or {}


class CellIds:
    """Tells the ids of a session's cells, one execution after the other.

    Parameters
    ----------
    shell
        The IPython shell.
    project, notebook
        Where the notebook is, if that's known.
    """

    def __init__(self, shell: Any, project: Project, notebook: str | None) -> None:
        self._shell = shell
        self._kernel = getattr(shell, "kernel", None)
        self._path = project.root / notebook if notebook and _runner() else None
        self._waiting: list[tuple[str | None, str]] | None = None

    def of(self, source: str, info: Any) -> str | None:
        """Return the id of the cell that is executed, None where nobody tells."""
        told = getattr(info, "cell_id", None)
        if told is None and self._kernel is not None:
            told = request_of(self._kernel).get("cellId")
        if told is not None:
            return str(told)
        return self._next(source) if self._path else None

    def _next(self, source: str) -> str | None:
        """Return the id of the first cell not executed yet that has this source: a runner leaves none out."""
        if self._waiting is None:
            self._waiting = list(_cells(self._path)) if self._path else []
        for number, (cell_id, text) in enumerate(self._waiting):
            if text == source:
                del self._waiting[: number + 1]
                return cell_id
        return None


def _cells(path: Path) -> Iterator[tuple[str | None, str]]:
    """Return the notebook's code cells with the ids that they have of their own: formats before 4.5 have none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        yield from ((cell.get("id"), "".join(cell["source"])) for cell in cells)
    except (OSError, ValueError, LookupError, TypeError):  # moved, or of an old format: nothing is known of its cells
        return


def _told_by_vs_code(shell: Any, kernel: Any) -> Path | None:
    told = shell.user_ns.get(_VS_CODE)
    if isinstance(told, str) and told.endswith(".ipynb"):
        return Path(told)
    address = str(request_of(kernel).get("cellId") or "")
    if not address.startswith(_VS_CODE_CELL):
        return None
    parts = urllib.parse.urlsplit(address)
    path = urllib.parse.unquote(parts.path)
    return Path(path) if not parts.netloc and path.endswith(".ipynb") else None


def _told_by_server() -> Path | None:
    """Return what Jupyter's server told: absolute or relative to its root; it starts kernels in the notebook's folder."""
    told = os.environ.get("JPY_SESSION_NAME", "")
    if not told.endswith(".ipynb") or _is_inherited("JPY_SESSION_NAME", told):
        return None
    path = Path(told)
    if not path.is_absolute():
        path = Path.cwd() / path.name
        if not (path.is_file() and path.as_posix().endswith(f"/{told}")):  # the kernel has gone to another folder
            return None
    return path


def _is_inherited(name: str, value: str) -> bool:
    """Whether a variable is the parent process's own: a kernel that was started from within another kernel."""
    import psutil

    try:
        return bool(psutil.Process(_client()).environ().get(name) == value)
    except (psutil.Error, OSError):  # not ours to look at: a server's kernel in a container of its own
        return False


def _told_by_runner() -> Path | None:
    runner = _runner()
    if runner is None:
        return None
    folders, named = runner
    if len(named) != 1:
        return None
    found = {path.resolve() for folder in folders if (path := Path(folder, named[0])).is_file()}
    return found.pop() if len(found) == 1 else None


def _runner() -> tuple[list[str], list[str]] | None:
    """Return the folders that a runner of notebooks may have been started in, and its notebooks; None if it's no runner."""
    client = _client()
    # most kernels' parents aren't runners, which is told without psutil's import
    if sys.platform == "linux" and not any(Path(word).name in _RUNNERS for word in _command(client)[:4]):
        return None
    import psutil

    try:
        parent = psutil.Process(client)
        command = parent.cmdline()
        folders = [parent.cwd(), parent.environ().get("PWD") or parent.cwd()]
    except (psutil.Error, OSError):
        return None
    for number, word in enumerate(command[:4]):
        name = Path(word).name.removesuffix(".exe")
        if name in _RUNNERS:
            return folders, _notebooks(name, command[number + 1 :])
    return None


def _client() -> int:
    """Return the process that started this one, or had it forked off a template."""
    parent = os.getppid()
    if sys.platform == "linux" and any(word.endswith(_TEMPLATE) for word in _command(parent)[:4]):
        return int(os.environ.get("JPY_PARENT_PID") or parent)
    return parent


def _command(process: int) -> list[str]:
    try:
        return os.fsdecode(Path(f"/proc/{process}/cmdline").read_bytes()).split("\0")
    except OSError:  # it has ended, or isn't ours
        return []


def _notebooks(runner: str, arguments: list[str]) -> list[str]:
    """Return the notebooks that a runner was told to execute, without what its options take."""
    named: list[str] = []
    skipped = 0
    for argument in arguments:
        if skipped:
            skipped -= 1
        elif argument.startswith("-"):
            skipped = 0 if "=" in argument else _TAKES.get(argument, 0)
        elif argument.endswith(".ipynb"):
            named.append(argument)
    return named[:1] if runner == "papermill" else named
