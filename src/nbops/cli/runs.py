"""``nbops runs``: the table of runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbops.cli import tables
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.reproduction.replay import is_reproduction
from nbops.tracking.schema import VERSION_KINDS, RunSummary
from nbops.tracking.store import Store

if TYPE_CHECKING:
    from rich.table import Table


_LONG = 16
_ROOM_FOR_PARAMS = 140
_ROOM_FOR_STATUS = 100
_ROOM_FOR_DIGESTS = 170
_MARKS = {"FINISHED": "✓", "FAILED": "✗", "KILLED": "†", "RUNNING": "…", "SCHEDULED": "…"}


@click.command(name="runs")
@click.argument("project", type=click.Path(path_type=Path), required=False)
@click.option("-n", "--limit", default=20, show_default=True, help="Show at most so many, newest first.")
@click.option("-w", "--where", default="", help='MLflow filter, e.g. "metrics.auc > 0.7".')
@click.option("-e", "--experiment", help="Only of this experiment.")
@click.option("-a", "--all", "made_again", is_flag=True, help="Also runs that `nbops reproduce` made, marked ↻.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with a picture of all.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    project: Path | None,
    limit: int,
    where: str,
    experiment: str | None,
    made_again: bool,
    html: Path | None,
    as_json: bool,
) -> None:
    """List the runs of PROJECT (default: the one the working directory lies in).

    A metric is marked ▲ where it's better and ▼ where it's worse than the experiment's baseline, which is marked ◆.
    Runs that `nbops reproduce` made are left out, and neither `latest` nor a run's name stands for them; --all shows them.
    Versions are code, data, model, environment and experiment; runs whose digests are equal don't differ in it.

    \b
    Examples:
      nbops runs
      nbops runs notebooks/flights --where "metrics.auc > 0.7"
      nbops runs --html runs.html
      nbops runs --json | jq '.[0].metrics'
    """
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    runs = store.runs(limit=limit, where=where, experiment=experiment, made_again=made_again)
    if as_json:
        tables.print_json(runs)
    elif html:
        from nbops.notebook.document import write_atomically
        from nbops.panels.pictures import page

        title = f"Runs of {store.project.name}"
        baseline = next((run.baseline for run in runs if run.baseline), None)
        write_atomically(html, page.page(title, page.table_of_runs(runs, title, baseline)).encode())
        click.echo(f"wrote {html}")
    elif not runs and (where or experiment):
        click.echo("no run fits")
    elif not runs:
        click.echo("no runs yet: `%load_ext nbops` in a notebook, or `nbops run`")
    else:
        tables.print_table(_table(runs, tables.width()))


def _telling(entry: tuple[str, str]) -> tuple[bool, bool, bool, str]:
    """Order params by what they tell: short values of plain names before nested ones, whole objects and None."""
    name, value = entry
    return value == "None", "__" in name, len(value) > _LONG, name


def _own_first(name: str) -> tuple[bool, str]:
    """Order metrics: the notebook's own before those that autologging named."""
    return name.startswith("training_") or name.endswith("_unknown_dataset"), name


def _children_below(runs: list[RunSummary]) -> Iterator[RunSummary]:
    """Yield runs in their order, but each pipeline's stages right below it."""
    shown = {run.run_id for run in runs}
    for run in runs:
        if run.parent not in shown:
            yield run
            yield from (child for child in runs if child.parent == run.run_id)


def _table(runs: list[RunSummary], width: int) -> Table:
    """Return a table of one line a run: what a narrow terminal has no room for is shortened or left out, not folded."""
    from rich.markup import escape

    with_params, with_status = width >= _ROOM_FOR_PARAMS, width >= _ROOM_FOR_STATUS
    digits = 8 if width >= _ROOM_FOR_DIGESTS else 4
    heads = ("run", "name", "status", "started", ">took") if with_status else ("run", "name", "", "started")
    table = tables.plain_table("", *heads)
    for title in ("params", "metrics") if with_params else ("metrics",):
        table.add_column(title, no_wrap=True, overflow="ellipsis", ratio=1)
    titles = (kind if len(kind) <= digits else kind[:3] for kind in VERSION_KINDS)
    table.add_column(" ".join(title.ljust(digits) for title in titles), no_wrap=True)
    for column in table.columns[: len(heads)]:
        column.no_wrap, column.overflow = True, "ellipsis"
    table.columns[1].max_width = width // 5 if with_status else 10
    table.expand = True
    parents = {run.parent for run in runs}
    shown = {run.run_id for run in runs}
    for run in _children_below(runs):
        again = "↻ " if is_reproduction(run.notebook) else ""
        name = f"{'◆ ' if run.run_id == run.baseline else ''}{again}{escape(run.name)}"
        row = [
            run.run_id[:8],
            f"[bold]{name}[/bold]" if run.run_id in parents else f"{'  ' if run.parent in shown else ''}{name}",
            tables.status_text(run.status) if with_status else _MARKS.get(run.status, "?"),
            tables.ago(run.started),
        ]
        if with_status:
            row.append(tables.took(run))
        if with_params:
            row.append(escape(tables.pairs(sorted(run.params.items(), key=_telling))))
        row.append(tables.metrics_text(run, sorted(run.metrics, key=_own_first)))
        row.append(" ".join((getattr(run.versions, kind) or "-")[:digits].ljust(digits) for kind in VERSION_KINDS))
        table.add_row(*row)
    return table
