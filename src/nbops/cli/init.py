"""``nbops init``: a new project."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.pipeline.schema import publish
from nbops.project import Project
from nbops.scaffold import lay_out


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--name", help="The project's name (default: the folder's).")
def command(folder: Path, name: str | None) -> None:
    """Lay out a project in FOLDER: nbops.toml, two notebooks, their pipeline, .gitignore and a CI workflow.

    Files that are there already are left as they are.

    \b
    Examples:
      nbops init churn
      cd churn && nbops run && nbops promote && nbops package
    """
    written, kept = lay_out(folder, name)
    publish(Project.find(folder))
    for path in written:
        click.echo(f"  made  {path}")
    for path in kept:
        click.echo(f"  kept  {path}")
    where = "" if folder == Path() else f"cd {folder} && "
    click.echo(f"next: {where}nbops run")
