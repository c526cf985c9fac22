"""`nbops.run`: a run around any code, in a notebook or out of one.

In a recorded kernel the run is tagged with its cell and gets its snapshot when the cell has ended; elsewhere it gets the
versions of the script and the environment at its end. What autologging and ``mlflow.*`` calls log inside lands in it. An
exception ends it as FAILED, an interrupt as KILLED.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nbops.project import Project
from nbops.tracking.autolog import Autologging
from nbops.tracking.recording.recorder import current
from nbops.tracking.redaction.redact import redact_value
from nbops.tracking.snapshots import attach_script
from nbops.tracking.store import EndStatus


@contextmanager
def run(
    name: str, *, params: Mapping[str, object] | None = None, tags: Mapping[str, str] | None = None
) -> Iterator[Any]:
    """Make a run of the code in the ``with`` block.

    Parameters
    ----------
    name
        The run's name.
    params, tags
        Logged at its start.

    Yields
    ------
    mlflow.ActiveRun
        MLflow's own active run.

    Examples
    --------
    >>> with nbops.run("first try", params={"lr": 0.1}):  # doctest: +SKIP
    ...     model.fit(X, y)
    """
    recorder = current()
    autologging = recorder.autologging if recorder else Autologging(Project.find())
    autologging.ensure()
    import mlflow

    autologging.give_way()
    around = mlflow.active_run()
    active = mlflow.start_run(run_name=name, tags=dict(tags or {}), nested=around is not None)
    status: EndStatus = "FAILED"
    try:
        if params:
            mlflow.log_params({key: redact_value(key, value) for key, value in params.items()})
        yield active
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        # the block may have left runs of its own open, or have ended this one: all but what was open around it ends
        while (top := mlflow.active_run()) and (around is None or top.info.run_id != around.info.run_id):
            mlflow.end_run(status)
        if recorder is None:
            attach_script(autologging.store, active.info.run_id)
