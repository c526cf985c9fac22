"""A notebook's namespace to slice, and scoring cells to try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from trial import Trial, run_cells, try_out


@pytest.fixture
def shell() -> Iterator[InteractiveShell]:
    """Return a shell whose history is in memory only."""
    made = InteractiveShell.instance()
    yield made
    InteractiveShell.clear_instance()


@pytest.fixture
def notebook(shell: InteractiveShell) -> Callable[..., dict[str, Any]]:
    """Return a function that executes cells as a notebook would and returns the namespace."""

    def execute(*cells: str) -> dict[str, Any]:
        run_cells(shell, cells)
        return shell.user_ns

    return execute


@pytest.fixture
def trial(shell: InteractiveShell, tmp_path: Path) -> Callable[..., Trial]:
    """Return a function that executes cells, the last one as the scoring cell, and returns what became of it."""

    def execute(*cells: str, **names: str) -> Trial:
        return try_out(shell, tmp_path, cells, **names)

    return execute
