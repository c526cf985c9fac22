"""``nbops diff A B``: in what two runs differ."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.project import Project
from nbops.tracking.compare import Change, compare
from nbops.tracking.store import Store


@click.command(name="diff")
@click.argument("before")
@click.argument("after")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(before: str, after: str, project: Path | None, as_json: bool) -> None:
    """Show in what run AFTER differs from run BEFORE: versions, params, metrics, data, packages and code.

    \b
    Examples:
      nbops diff 3f2a 91bc
      nbops diff 3f2a latest --json
    """
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    found = compare(store.run(before), store.run(after))
    if as_json:
        tables.print_json(found)
        return
    sections = {
        "versions": found.versions,
        "params": found.params,
        "metrics": found.metrics,
        "data": found.data,
        "environment": found.environment,
        "models": found.models,
    }
    for title, changes in sections.items():
        if changes:
            _print(title, changes)
    if found.code:
        _print_code(found.code)
    if not found.code and not any(sections.values()):
        click.echo("no difference")


def _print(title: str, changes: list[Change]) -> None:
    from rich.markup import escape

    columns = (">before", ">after") if title == "metrics" else ("before", "after")
    table = tables.plain_table(title, "name", *columns)
    for change in changes:
        table.add_row(*(escape(text) for text in (change.name, _text(change.before), _text(change.after))))
    tables.print_table(table)


def _text(value: str | float | None) -> str:
    if value is None:
        return "-"
    return tables.number(value) if isinstance(value, float) else " ".join(value.split())


def _print_code(diff: str) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in diff.split("\n"):
        click.secho(line, fg=colours.get(line[:1]))
