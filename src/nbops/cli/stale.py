"""``nbops stale``: cells whose inputs changed since they were executed."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.project import Project
from nbops.tracking.reproduction.stale import Reason, stale


@click.command(name="stale")
@click.argument("notebook", type=click.Path(path_type=Path), required=False)
@click.option("--exit-code", is_flag=True, help="Exit with 1 when a cell is stale, as `git diff --exit-code` does.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the notebook's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(notebook: Path | None, exit_code: bool, project: Path | None, as_json: bool) -> int:
    """List the cells of NOTEBOOK (default: of all recorded ones) whose inputs changed since they were executed.

    A cell is stale when its code, a cell that it needs, a file that it read or a local module changed, or when a cell
    that it needs is stale; the chain says through which cells.

    \b
    Examples:
      nbops stale
      nbops stale train.ipynb --exit-code
      nbops stale --json
    """
    found = stale(Project.find(project or notebook), notebook)
    if as_json:
        tables.print_json(found)
    elif not found:
        click.echo("nothing is stale")
    else:
        from rich.markup import escape

        several = len({cell.notebook for cell in found}) > 1
        table = tables.plain_table(
            "", *(["notebook"] if several else []), "cell", "id", "executed", "because", "through"
        )
        for cell in found:
            for number, reason in enumerate(cell.reasons):
                head = [str(cell.position), cell.cell_id[:8], tables.ago(cell.executed)]
                row = [*([cell.notebook] if several else []), *head] if number == 0 else [""] * (3 + several)
                table.add_row(*(escape(text) for text in [*row, _text(reason), _chain(reason)]))
        tables.print_table(table)
    return int(bool(found) and exit_code)


def _text(reason: Reason) -> str:
    match reason.kind:
        case "edited":
            return f"{reason.what} was edited since"
        case "executed again":
            return f"{reason.what} was executed again"
        case "removed":
            return f"{reason.what} is gone from the notebook"
        case "file":
            return f"{reason.what} changed"
        case "module":
            return f"module {reason.what} changed"
    return f"{reason.what} is stale"


def _chain(reason: Reason) -> str:
    return " → ".join(str(position) if position else "?" for position in reason.chain) if len(reason.chain) > 1 else ""
