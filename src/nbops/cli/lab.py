"""``nbops lab``: JupyterLab in the project's folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from nbops.project import Project


@click.command(name="lab", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("project", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.pass_context
def command(context: click.Context, project: Path | None) -> None:
    """Open JupyterLab in PROJECT (default: the one the working directory lies in), with its runs in the side panel.

    Other options go to `jupyter lab` as they are.

    \b
    Examples:
      nbops lab
      nbops lab notebooks/flights --no-browser --port 8890
    """
    from nbops.lab import extension_folder

    if extension_folder() is None:
        click.echo("nbops' JupyterLab extension was left out of this installation (it needs npm when built)", err=True)
    root = Project.find(project).root
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *context.args])
