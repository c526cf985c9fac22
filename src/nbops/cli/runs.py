"""``nbops runs``: the table of runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbops.cli import tables
from nbops.project import Project
from nbops.tracking.schema import VERSION_KINDS, RunSummary
from nbops.tracking.sessions import close_dead
from nbops.tracking.store import Store

if TYPE_CHECKING:
    from rich.table import Table


_LONG = 16


@click.command(name="runs")
@click.argument("project", type=click.Path(path_type=Path), required=False)
@click.option("-n", "--limit", default=20, show_default=True, help="Show at most so many, newest first.")
@click.option("-w", "--where", default="", help='MLflow filter, e.g. "metrics.auc > 0.7".')
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(project: Path | None, limit: int, where: str, as_json: bool) -> None:
    """List the runs of PROJECT (default: the one the working directory lies in).

    \b
    Examples:
      nbops runs
      nbops runs notebooks/flights --where "metrics.auc > 0.7"
      nbops runs --json | jq '.[0].metrics'
    """
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    runs = store.runs(limit=limit, where=where)
    if as_json:
        tables.print_json(runs)
    elif not runs:
        click.echo("no runs yet: `%load_ext nbops` in a notebook, or `nbops run`")
    else:
        tables.print_table(_table(runs))


def _telling(param: tuple[str, str]) -> tuple[bool, bool, str]:
    """Order params by what they tell: short values of plain names before nested ones and whole objects."""
    name, value = param
    return "__" in name, len(value) > _LONG, name


def _table(runs: list[RunSummary]) -> Table:
    kinds = " ".join(kind[:8].ljust(8) for kind in VERSION_KINDS)
    table = tables.plain_table("", "run", "name", "status", "started", ">took", "params", "metrics", kinds)
    parents = {run.run_id for run in runs if any(child.parent == run.run_id for child in runs)}
    for run in runs:
        is_child = run.parent is not None and any(other.run_id == run.parent for other in runs)
        name = f"[bold]{run.name}[/bold]" if run.run_id in parents else f"{'  ' if is_child else ''}{run.name}"
        table.add_row(
            run.run_id[:8],
            name,
            tables.status_text(run.status),
            tables.ago(run.started),
            tables.took(run),
            tables.pairs(sorted(run.params.items(), key=_telling)),
            tables.pairs([(key, tables.number(value)) for key, value in sorted(run.metrics.items())]),
            " ".join((getattr(run.versions, kind) or "-").ljust(8) for kind in VERSION_KINDS),
        )
    return table
