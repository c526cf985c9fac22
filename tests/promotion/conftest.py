"""A notebook's namespace to slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture
def notebook() -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that executes cells as a notebook would and returns the namespace."""
    shell = InteractiveShell.instance()
    shell.reset()

    def execute(*cells: str) -> dict[str, Any]:
        for cell in cells:
            shell.run_cell(cell, store_history=True).raise_error()
        return shell.user_ns

    yield execute
    InteractiveShell.clear_instance()
