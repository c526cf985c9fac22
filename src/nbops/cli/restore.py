"""``nbops restore RUN``: a run as a notebook again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbops.cli import tables
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.store import Store

if TYPE_CHECKING:
    from nbops.tracking.reproduction.restore import Kind, Restored

_STATE_STYLE = {"same": "green", "changed": "red", "missing": "red", "unknown": "yellow"}


@click.command(name="restore")
@click.argument("run")
@click.option(
    "-o", "--output", help="The notebook to write, '-' for standard output (default: beside the run's notebook)."
)
@click.option("--recipe/--history", default=True, help="What the result needs, or all that was executed up to it.")
@click.option("--data", "check_data", is_flag=True, help="Look whether the run's inputs are still the same.")
@click.option("--force", is_flag=True, help="Write over an existing file.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    run: str, output: str | None, recipe: bool, check_data: bool, force: bool, project: Path | None, as_json: bool
) -> int:
    """Write RUN as a notebook that runs from top to bottom.

    RUN is an id, the beginning of one, a name, or 'latest'. With --data it exits with 1 when an input changed or is missing.

    \b
    Examples:
      nbops restore 3f2a
      nbops restore latest -o again.ipynb --history
      nbops restore 3f2a --data
    """
    from nbops.notebook.document import dumps
    from nbops.tracking.reproduction.inputs import input_states
    from nbops.tracking.reproduction.origin import origin_of
    from nbops.tracking.reproduction.restore import restore, restored_document

    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    kind: Kind = "recipe" if recipe else "history"
    if output == "-":
        origin = origin_of(store, run)
        click.echo(dumps(restored_document(store, origin, kind)), nl=False)
        if not check_data:
            return 0
        return int(any(state.state in ("changed", "missing") for state in input_states(store.project, origin)))
    made = restore(store, run, output, kind=kind, force=force, check_data=check_data)
    if as_json:
        tables.print_json(
            {
                "run_id": made.run_id,
                "path": str(made.path),
                "kind": kind,
                "cells": made.cells,
                "failing": made.failing,
                "masked": made.masked,
                "inputs": made.inputs,
            }
        )
    else:
        _print(made, kind)
    return int(any(state.state in ("changed", "missing") for state in made.inputs))


def _print(made: Restored, kind: str) -> None:
    click.echo(f"{made.path}: the {kind} of run {made.run_id[:8]}, {made.cells} cells")
    if made.failing:
        click.echo(f"{made.failing} of them failed and must fail again: tagged raises-exception")
        click.echo("papermill runs everything after them, too, but ends with an error; `nbops reproduce` doesn't")
    if made.masked:
        click.echo(f"{made.masked} of them hold a masked secret: put it back before running them", err=True)
    if made.inputs:
        from rich.markup import escape

        table = tables.plain_table("inputs", "source", "state", "by")
        for state in made.inputs:
            style = _STATE_STYLE[state.state]
            table.add_row(escape(state.source), f"[{style}]{state.state}[/{style}]", escape(state.why))
        tables.print_table(table)
