"""The Python face of tracking: runs, cells and what becomes of them, as DataFrames.

`runs`, `show`, `diff`, `history` and `stale` ask and return DataFrames; `restore` and `reproduce` act, as the verbs
of the command line do. In a recorded kernel what was recorded so far is flushed first, so that a run is seen by the
next line after it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbops.project import Project
from nbops.tracking.comparison.compare import compare
from nbops.tracking.recording import recorder
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.reproduction import executions
from nbops.tracking.reproduction import stale as staleness
from nbops.tracking.schema import VERSION_KINDS, RunSummary
from nbops.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from nbops.tracking.reproduction.reproduce import Reproduction
    from nbops.tracking.reproduction.restore import Kind, Restored
    from nbops.tracking.reproduction.tolerance import Tolerance

Place = Project | Path | str | None


def runs(*, where: str = "", limit: int = 100, made_again: bool = False, project: Place = None) -> pd.DataFrame:
    """Return runs, newest first, one a row, indexed by run id.

    Parameters
    ----------
    where
        A filter in MLflow's search syntax, such as ``metrics.auc > 0.7``.
    limit
        At most so many.
    made_again
        Whether to list what `reproduce` made, too.
    project
        A project or a folder in one; by default the working directory's.

    Returns
    -------
    DataFrame
        Columns ``name``, ``experiment``, ``status``, ``started``, ``seconds``, ``notebook``, ``cell_id``, ``stage``,
        ``parent``, the five versions (``version.code`` …), and ``params.*`` and ``metrics.*``.
    """
    import pandas as pd

    found = _store(project).runs(limit=limit, where=where, made_again=made_again)
    table = pd.DataFrame([_row(run) for run in found], index=pd.Index([run.run_id for run in found], name="run_id"))
    if len(table):
        table["started"] = pd.to_datetime(table["started"], unit="s", utc=True)
    return table


def show(run: str, *, project: Place = None) -> pd.DataFrame:
    """Return all that is known of a run: a row for each param, metric, version, dataset, tag and artifact.

    Parameters
    ----------
    run
        Its id, the beginning of one, its name, or ``latest``.
    project
        A project or a folder in one; by default the working directory's.

    Returns
    -------
    DataFrame
        Columns ``kind``, ``name``, ``value``.
    """
    detail = _store(project).run(run)
    summary = detail.summary
    rows: list[tuple[str, str, object]] = [
        ("run", name, getattr(summary, name))
        for name in ("run_id", "name", "experiment", "status", "notebook", "cell_id", "stage", "parent")
    ]
    rows += [("version", kind, getattr(summary.versions, kind)) for kind in VERSION_KINDS]
    rows += [("param", name, value) for name, value in sorted(summary.params.items())]
    rows += [("metric", name, value) for name, value in sorted(summary.metrics.items())]
    rows += [("dataset", dataset.source, dataset.digest) for dataset in detail.datasets]
    rows += [("artifact", path, None) for path in detail.artifacts]
    rows += [("tag", name, value) for name, value in sorted(detail.tags.items()) if not name.startswith("mlflow.log-")]
    return _frame(rows, ["kind", "name", "value"])


def diff(before: str, after: str, *, project: Place = None) -> pd.DataFrame:
    """Return in what two runs differ.

    Parameters
    ----------
    before, after
        Ids of runs, beginnings of them, names, or ``latest``.
    project
        A project or a folder in one; by default the working directory's.

    Returns
    -------
    DataFrame
        Columns ``kind`` (``versions``, ``params``, ``metrics``, ``data``, ``environment``, ``models``, ``code``),
        ``name``, ``before``, ``after``; of code, ``after`` is the unified difference.
    """
    store = _store(project)
    found = compare(store.run(before), store.run(after))
    rows: list[tuple[str, str, object, object]] = []
    for kind in ("versions", "params", "metrics", "data", "environment", "models"):
        rows += [(kind, change.name, change.before, change.after) for change in getattr(found, kind)]
    if found.code:
        rows.append(("code", "cells", None, found.code))
    return _frame(rows, ["kind", "name", "before", "after"])


def history(cell: str | None = None, *, notebook: str | None = None, project: Place = None) -> pd.DataFrame:
    """Return the executions of a cell, oldest first; without a cell, those of the newest session.

    Parameters
    ----------
    cell
        The cell's id or the beginning of it, the number of one of its executions, or a name that it defines.
    notebook
        Only of this notebook.
    project
        A project or a folder in one; by default the working directory's.

    Returns
    -------
    DataFrame
        A row an execution: ``session``, ``seq``, ``notebook``, ``cell_id``, ``version``, ``outcome``, ``started``,
        ``duration``, ``error``, ``defined``, ``runs``, ``source``, ``diff`` (from the execution before).
    """
    import pandas as pd

    place = _project(project)
    name = place.relative(Path(notebook).absolute()) if notebook else None
    found = executions.history(place, cell, notebook=name)
    columns = list(executions.Execution.__slots__)
    table = _frame([tuple(getattr(one, column) for column in columns) for one in found], columns)
    table["started"] = pd.to_datetime(table["started"], unit="s", utc=True)
    return table


def stale(notebook: Path | str | None = None, *, project: Place = None) -> pd.DataFrame:
    """Return the cells whose inputs changed since they were executed, a row for each reason.

    Parameters
    ----------
    notebook
        The notebook's path; by default all that were recorded.
    project
        A project or a folder in one; by default the notebook's.

    Returns
    -------
    DataFrame
        Columns ``notebook``, ``cell``, ``cell_id``, ``executed``, ``reason``, ``what``, ``chain``.
    """
    import pandas as pd

    found = staleness.stale(_project(project if project is not None else notebook), notebook)
    rows = [
        (cell.notebook, cell.position, cell.cell_id, cell.executed, reason.kind, reason.what, reason.chain)
        for cell in found
        for reason in cell.reasons
    ]
    table = _frame(rows, ["notebook", "cell", "cell_id", "executed", "reason", "what", "chain"])
    table["executed"] = pd.to_datetime(table["executed"], unit="s", utc=True)
    return table


def restore(
    run: str, into: Path | str | None = None, *, kind: Kind = "recipe", force: bool = False, project: Place = None
) -> Restored:
    """Write a run as a notebook that runs from top to bottom; see `nbops.tracking.reproduction.restore.restore`."""
    from nbops.tracking.reproduction.restore import restore as write

    return write(_store(project), run, into, kind=kind, force=force)


def reproduce(
    run: str,
    *,
    fresh_environment: bool = False,
    tolerance: Tolerance | None = None,
    progress: Callable[[int, int], None] | None = None,
    project: Place = None,
) -> Reproduction:
    """Run a run's recipe again and compare what it gives; see `nbops.tracking.reproduction.reproduce.reproduce`."""
    from nbops.tracking.reproduction.reproduce import reproduce as again

    return again(_store(project), run, fresh_environment=fresh_environment, tolerance=tolerance, progress=progress)


def _project(place: Place) -> Project:
    return place if isinstance(place, Project) else Project.find(place)


def _store(place: Place) -> Store:
    if active := recorder.current():
        active.flush()
    store = Store(_project(place))
    close_dead(store)
    return store


def _row(run: RunSummary) -> dict[str, Any]:
    return {
        "name": run.name,
        "experiment": run.experiment,
        "status": run.status,
        "started": run.started,
        "seconds": None if run.ended is None else run.ended - run.started,
        "notebook": run.notebook,
        "cell_id": run.cell_id,
        "stage": run.stage,
        "parent": run.parent,
        **{f"version.{kind}": getattr(run.versions, kind) for kind in VERSION_KINDS},
        **{f"params.{name}": value for name, value in sorted(run.params.items())},
        **{f"metrics.{name}": value for name, value in sorted(run.metrics.items())},
    }


def _frame(rows: list[Any], columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)
