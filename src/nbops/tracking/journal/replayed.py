"""What the worker is replaying: the tags that held in the kernel then, for whoever asks in which context a run starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

tags: dict[str, str] | None = None


@contextmanager
def within(run: Any, uri: str, told: dict[str, str]) -> Iterator[None]:
    """Have a run of the store at `uri` be the active one, and its tags hold, as they did in the kernel."""
    global tags
    import mlflow
    from mlflow.tracking.fluent import ActiveRun, _active_run_stack

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    stack = _active_run_stack.get()
    stack.append(ActiveRun(run))
    tags = told
    try:
        yield
    finally:
        tags = None
        stack.pop()
        mlflow.set_tracking_uri(before)
