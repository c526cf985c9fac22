"""``nbops promote``: through the gates to an alias."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import progress, tables
from nbops.project import Project
from nbops.promotion.candidates import from_pipeline, from_run
from nbops.promotion.promote import promote
from nbops.tracking.store import Store


@click.command(name="promote")
@click.argument("target", required=False)
@click.option("--alias", default="champion", show_default=True, help="The alias that the model is to hold.")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(target: str | None, alias: str, reason: str, project: Path | None, as_json: bool) -> None:
    """Register a model and give it an alias, if it passes the gates in nbops.toml.

    TARGET is a run (id, beginning of one, or name), or a project's folder: then it is what its pipeline makes now.

    \b
    Examples:
      nbops promote
      nbops promote notebooks/flights --alias challenger
      nbops promote 3f2a --reason "better on long flights"
    """
    is_folder = target is not None and Path(target).is_dir()
    found = Project.find(target if is_folder else project)
    store = Store(found, say=lambda text: click.echo(text, err=True))
    candidate = from_run(store, target) if target and not is_folder else from_pipeline(store)
    with progress.cells() as cells:
        done = promote(
            store,
            candidate,
            alias=alias,
            reason=reason,
            say=lambda text: click.echo(text, err=True),
            progress=cells,
        )
    if as_json:
        tables.print_json(done)
        return
    if done.gates:
        table = tables.plain_table("gates", "gate", "outcome", "evidence")
        for result in done.gates:
            table.add_row(result.gate, f"[green]{result.outcome}[/green]", result.evidence)
        tables.print_table(table)
    else:
        click.echo("no gates were asked: [gates] in nbops.toml names them")
    before = f" (was version {done.previous})" if done.previous and done.previous != done.version else ""
    click.echo(f"{done.model} version {done.version} is now '{done.alias}'{before}, run {done.run_id[:8]}")
