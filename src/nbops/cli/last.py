"""``nbops last``: the last run of a notebook, and in what it differs from the one before."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import diff, show, tables
from nbops.project import Project
from nbops.tracking.comparison.compare import compare
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.reproduction.latest import latest
from nbops.tracking.store import Store


@click.command(name="last")
@click.argument("notebook", type=click.Path(path_type=Path), required=False)
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(ctx: click.Context, notebook: Path | None, project: Path | None, as_json: bool) -> None:
    """Show the last run of NOTEBOOK, and in what it differs from the one before.

    Without NOTEBOOK it's the last run of this kernel (as `%nbops last`), or of the project.

    \b
    Examples:
      nbops last
      nbops last train.ipynb
    """
    place = Project.find(project or notebook)
    store = Store(place, say=lambda text: click.echo(text, err=True))
    close_dead(store)
    run, before = latest(store, place.relative(notebook.absolute()) if notebook else None)
    if as_json:
        details = store.run(run.run_id), store.run(before.run_id) if before else None
        tables.print_json(
            {
                "run": details[0],
                "before": before.run_id if before else None,
                "differs": compare(details[1], details[0]) if details[1] else None,
            }
        )
        return
    ctx.invoke(show.command, run=run.run_id, project=place.root)
    if before is None:
        click.echo("it's the first run")
        return
    click.echo(f"\nin what it differs from {before.name} ({before.run_id[:8]}, {tables.ago(before.started)}):")
    ctx.invoke(diff.command, runs=(before.run_id, run.run_id), project=place.root)
