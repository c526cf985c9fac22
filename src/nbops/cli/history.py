"""``nbops history [CELL]``: every execution of a cell."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.project import Project
from nbops.tracking.reproduction.executions import history


@click.command(name="history")
@click.argument("cell", required=False)
@click.option("--notebook", type=click.Path(path_type=Path), help="Only of this notebook.")
@click.option("--diff/--no-diff", "with_diff", default=True, help="Show what was edited between executions.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(cell: str | None, notebook: Path | None, with_diff: bool, project: Path | None, as_json: bool) -> None:
    """List every execution of CELL: version, outcome, duration, runs, and what was edited between.

    CELL is a cell's id or the beginning of it, the number of one of its executions, or a name that it defines; without
    it, the newest session's cells are listed.

    \b
    Examples:
      nbops history
      nbops history 3f2a91bc
      nbops history model --json
    """
    place = Project.find(project or notebook)
    found = history(place, cell, notebook=place.relative(notebook.absolute()) if notebook else None)
    if as_json:
        tables.print_json(found)
        return
    from rich.markup import escape

    table = tables.plain_table("", ">cell", "id", "version", "outcome", "executed", ">took", "runs", "code")
    for one in found:
        took = "" if one.duration is None else f"{one.duration:.2f} s"
        runs = " ".join(run[:8] for run in one.runs)
        first = next((line for line in one.source.split("\n") if line.strip()), "")
        row = (
            str(one.seq),
            (one.cell_id or "")[:8],
            one.version,
            one.outcome,
            tables.ago(one.started),
            took,
            runs,
            first[:60],
        )
        table.add_row(*(escape(text) for text in row))
    tables.print_table(table)
    for one in found:
        if with_diff and cell is not None and one.diff:
            click.echo(f"before execution {one.seq} ({one.session}):")
            print_diff(one.diff)


def print_diff(diff: str) -> None:
    """Print a unified diff in its colours."""
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.split("\n"):
        click.secho(line, fg=colours.get(line[:1]))
