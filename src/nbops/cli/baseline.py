"""``nbops baseline RUN``: the run that an experiment is measured by."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.schema import RunSummary
from nbops.tracking.store import Store
from nbops.tracking.store.baseline import pin, pinned, unpin


@click.command(name="baseline")
@click.argument("run", required=False)
@click.option("--show", is_flag=True, help="Show the baseline (so does giving no RUN).")
@click.option("--unset", is_flag=True, help="Take the baseline away.")
@click.option("--experiment", help="Of this experiment (default: the project's; with RUN: the run's).")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    run: str | None, show: bool, unset: bool, experiment: str | None, project: Path | None, as_json: bool
) -> None:
    """Pin RUN as the baseline of its experiment: every other run is then shown as better or worse than it.

    Whether more or less of a metric is better is told by its name; where it can't be, say so in nbops.toml:
    `[tracking] metrics = {profit = "max"}`.

    \b
    Examples:
      nbops baseline 3f2a
      nbops baseline --show
      nbops baseline --unset
    """
    if run and (show or unset):
        raise click.UsageError("RUN pins a baseline; --show and --unset take none")
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    if run:
        found: RunSummary | None = pin(store, run)
    elif unset:
        found = unpin(store, experiment)
    else:
        found = pinned(store, experiment)
    if as_json:
        tables.print_json(found)
        return
    if found is None:
        remedy = "`nbops baseline RUN` pins one"
        raise TrackingError(f"the experiment '{experiment or store.project.experiment}' has no baseline", remedy=remedy)
    what = "is the baseline of" if not unset else "is no longer the baseline of"
    click.echo(f"{found.run_id[:8]} {found.name} {what} '{found.experiment}'  {tables.versions_text(found.versions)}")
    if not unset:
        names = sorted(found.metrics)
        click.echo(tables.pairs([(name, tables.number(found.metrics[name])) for name in names], limit=8))
