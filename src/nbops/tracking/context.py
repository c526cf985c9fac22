"""What MLflow asks when a run starts: the notebook and the cell that started it.

MLflow finds this provider by its entry point (`mlflow.run_context_provider`). Its tags are how the recorder finds the
runs that a cell made, whoever made them: autologging, ``mlflow.start_run`` by hand, or ``nbops.run``. The worker that
replays a fit tells what held in the kernel.
"""

from __future__ import annotations

from mlflow.tracking.context.abstract_context import RunContextProvider

from nbops.tracking.journal import replayed
from nbops.tracking.recording import recorder


class CellContext(RunContextProvider):  # type: ignore[misc]  # MLflow isn't typed
    """Tags a run with the cell that is executing."""

    def in_context(self) -> bool:
        """Whether a cell is being recorded, or what one did is replayed."""
        return replayed.tags is not None or recorder.current() is not None

    def tags(self) -> dict[str, str]:
        """Return the tags of a run started now."""
        if replayed.tags is not None:
            return replayed.tags
        active = recorder.current()
        # what MLflow takes for the source, the kernel's launcher, is never it
        return {"mlflow.source.name": "unknown notebook", **active.run_tags()} if active else {}
