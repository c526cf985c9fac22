"""What the front end tells: which notebook a kernel serves, and which of its cells is executed.

Nothing is guessed. Jupyter's server tells the notebook by a variable, VS Code by a name in the namespace and by the cell's
own address; where nobody tells, it's None, which is shown as *unknown*.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from nbops.project import Project


def cell_id_of(shell: Any) -> str | None:
    """Return the id of the cell that the kernel is executing, from the front end's own request."""
    kernel = getattr(shell, "kernel", None)
    request = kernel.get_parent("shell") if kernel else {}
    return ((request or {}).get("metadata") or {}).get("cellId")


def notebook_of(shell: Any, project: Project) -> str | None:
    """Return the notebook's path relative to the project, None where the front end doesn't tell enough to be sure.

    Jupyter's server tells by a variable, absolute or relative to its own root, and starts the kernel in the notebook's
    folder; VS Code tells by a name.
    """
    told = str(os.environ.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or "")
    if not told.endswith(".ipynb"):
        return None
    path = Path(told)
    if not path.is_absolute():
        path = Path.cwd() / path.name
        if not (path.is_file() and path.as_posix().endswith(f"/{told}")):  # the kernel has gone to another folder
            return None
    return project.relative(path)
