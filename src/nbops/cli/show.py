"""``nbops show RUN``: a run's page."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.cli.comparisons import difference_text
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.schema import VERSION_KINDS, RunDetail, RunSummary
from nbops.tracking.store import Store
from nbops.tracking.store.baseline import pinned


@click.command(name="show")
@click.argument("run")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--code", "with_code", is_flag=True, help="Print the executed cells too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run: str, project: Path | None, with_code: bool, as_json: bool) -> None:
    """Show a run: its params, metrics, five versions, datasets and artifacts.

    RUN is an id, the beginning of one, a name (the newest run of it), or 'latest'.

    \b
    Examples:
      nbops show latest
      nbops show 3f2a --code
    """
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    detail = store.run(run)
    if as_json:
        tables.print_json(detail)
        return
    _head(detail)
    _facts(detail, pinned(store, detail.summary.experiment) if detail.summary.baseline else None)
    if with_code:
        for cell in detail.snapshot.get("code", {}).get("cells", []):
            click.echo(f"# ── cell {cell['cell_id'] or ''}\n{cell['source']}\n")


def _head(detail: RunDetail) -> None:
    run = detail.summary
    from rich.console import Console
    from rich.markup import escape

    mark = "the baseline" if run.run_id == run.baseline else None
    where = " · ".join(filter(None, [run.notebook, run.stage and f"stage {run.stage}", run.experiment, mark]))
    Console(highlight=False).print(
        f"[bold]{escape(run.name)}[/bold]  {run.run_id}  {tables.status_text(run.status)}  {tables.took(run)}\n"
        f"{escape(where)}\n"
    )


def _facts(detail: RunDetail, base: RunSummary | None) -> None:
    from rich.markup import escape

    run = detail.summary
    snapshot = detail.snapshot
    versions = tables.plain_table("versions", "kind", "digest", "what")
    for kind in VERSION_KINDS:
        versions.add_row(kind, getattr(run.versions, kind) or "-", _what(kind, snapshot))
    tables.print_table(versions)
    if run.params:
        table = tables.plain_table("params", "name", "value")
        for key, text in sorted(run.params.items()):
            table.add_row(escape(key), escape(" ".join(text.split())))
        tables.print_table(table)
    if run.metrics:
        _metrics(run, base)
    if detail.datasets:
        table = tables.plain_table("data", "source", "fingerprint", ">rows", ">columns")
        for dataset in detail.datasets:
            rows = "" if dataset.rows is None else f"{dataset.rows:,}"
            table.add_row(escape(dataset.source), dataset.digest[:12], rows, str(len(dataset.columns) or ""))
        tables.print_table(table)
    if detail.artifacts:
        click.echo("artifacts: " + ", ".join(detail.artifacts))


def _metrics(run: RunSummary, base: RunSummary | None) -> None:
    from rich.markup import escape

    if base is None or base.run_id == run.run_id:
        table = tables.plain_table("metrics", "name", ">value")
        for key, value in sorted(run.metrics.items()):
            table.add_row(escape(key), tables.number(value))
    else:
        title = f"metrics, against the baseline {base.run_id[:8]} {base.name}"
        table = tables.plain_table(escape(title), "name", ">value", ">baseline", ">change", "")
        for key, value in sorted(run.metrics.items()):
            there = base.metrics.get(key)
            table.add_row(
                escape(key),
                tables.number(value),
                "-" if there is None else tables.number(there),
                difference_text(there, value),
                tables.verdict_text(run.against.get(key)),
            )
    tables.print_table(table)


def _what(kind: str, snapshot: dict[str, dict[str, object]]) -> str:
    part = snapshot.get(kind, {})
    match kind:
        case "code" if part:
            commit = str(part.get("commit") or "no commit")[:10]
            return f"{commit}{' + changes' if part.get('dirty') else ''}, {_count(part.get('cells'))} cells"
        case "data" if part:
            return f"{_count(part.get('datasets'))} datasets"
        case "model" if part:
            models = part.get("models")
            return ", ".join(f"{m['name']}: {m['kind']}" for m in models) if isinstance(models, list) else ""
        case "environment" if part:
            return (
                f"Python {part.get('python')}, {_count(part.get('distributions'))} distributions, {part.get('system')}"
            )
        case "experiment" if part:
            return f"{_count(part.get('params'))} params, {_count(part.get('metrics'))} metrics"
    return ""


def _count(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0
