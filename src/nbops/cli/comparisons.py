"""How a comparison is printed: a table for each thing that differs, and the code cell by cell as coloured diffs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import click

from nbops.cli import tables
from nbops.tracking.comparison.compare import Overview, Row
from nbops.tracking.comparison.data import described
from nbops.tracking.comparison.differences import CellChange, Comparison, MetricChange, RunLabel
from nbops.tracking.comparison.samples import is_of_fold
from nbops.tracking.comparison.significance import PairedTest, sentence
from nbops.tracking.schema import VERSION_KINDS

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_KIND_COLOURS = {"added": "green", "removed": "red", "same": None}


def print_comparison(found: Comparison, *, everything: bool = False) -> None:
    """Print in what two runs differ; with `everything` also the cells that are the same."""
    if found.same and not everything:
        click.echo("no difference")
        return
    _labels([found.before, found.after])
    _table("params", [(change.name, change.before, change.after) for change in found.params], "before", "after")
    _metrics(found.metrics)
    _tests(found.tests)
    for data in found.data:
        rows = [(what, text) for what, text in described(data).items()]
        _table(f"data  {data.source} ({data.kind})", rows, "", "")
    packages = [(change.name, change.kind, change.before, change.after) for change in found.environment]
    _table("environment", packages, "", "before", "after")
    _table(
        "models",
        [(change.name, _model(change.before), _model(change.after)) for change in found.models],
        "before",
        "after",
    )
    _table("modules", [(change.name, change.before, change.after) for change in found.modules], "before", "after")
    _code(found.code, everything=everything)


def print_overview(found: Overview) -> None:
    """Print several runs side by side: what differs of their params, metrics and versions, and each against the first."""
    heads = [f"{run.run_id[:8]} {run.name}" for run in found.runs]
    _matrix("versions", heads, found.versions)
    for title, rows in (("params", found.params), ("metrics", found.metrics)):
        _matrix(title, heads, [row for row in rows if row.differs], right=title == "metrics")
        same = sum(not row.differs for row in rows)
        if same:
            click.echo(f"{same} {title} are the same in all\n")
    told = [(head, in_short(pair)) for head, pair in zip(heads[1:], found.against_first, strict=True)]
    _table(f"against {heads[0]}", told, "what differs")


def in_short(found: Comparison) -> str:
    """Return in what two runs differ, counted, in a line."""
    kinds = Counter(cell.kind for cell in found.code if cell.kind != "same")
    parts = [f"{count} {'cell' if count == 1 else 'cells'} {kind}" for kind, count in kinds.items()]
    parts += [f"data {change.source} {change.kind}" for change in found.data]
    packages = Counter(change.kind for change in found.environment)
    parts += [f"{count} {'package' if count == 1 else 'packages'} {kind}" for kind, count in packages.items()]
    if found.models:
        parts.append(f"models: {', '.join(change.name for change in found.models)}")
    counted = {"params": len(found.params), "metrics": len(found.metrics)}
    parts += [f"{count} {name}" for name, count in counted.items() if count]
    return "; ".join(parts) or "no difference"


def _labels(runs: Iterable[RunLabel]) -> None:
    from rich.markup import escape

    some = list(runs)
    table = tables.plain_table("", "run", "name", *VERSION_KINDS)
    for run in some:
        digests = []
        for kind in VERSION_KINDS:
            text = getattr(run.versions, kind) or "-"
            differs = any(getattr(other.versions, kind) != getattr(some[0].versions, kind) for other in some)
            digests.append(f"[bold yellow]{text}[/bold yellow]" if differs else f"[dim]{text}[/dim]")
        table.add_row(run.run_id[:8], escape(run.name), *digests)
    tables.print_table(table)


def _metrics(changes: Iterable[MetricChange]) -> None:
    some = list(changes)
    rows = [change for change in some if not is_of_fold(change.name)] or some
    if not rows:
        return
    from rich.markup import escape

    table = tables.plain_table("metrics", "name", ">before", ">after", ">change", "")
    for change in rows:
        table.add_row(
            escape(change.name),
            _text(change.before),
            _text(change.after),
            difference_text(change.before, change.after),
            tables.verdict_text(change.verdict),
        )
    tables.print_table(table)
    if len(rows) < len(some):
        click.echo(f"and {len(some) - len(rows)} metrics by fold (see significance)\n")


def difference_text(before: float | None, after: float | None) -> str:
    """Return ``+0.01 (+1.4 %)``."""
    if before is None or after is None:
        return ""
    share = f" ({(after - before) / abs(before):+.1%})".replace("%", " %") if before else ""
    return f"{after - before:+.4g}{share}"


def _tests(tests: Iterable[PairedTest]) -> None:
    by_result: dict[str, list[str]] = {}
    for test in tests:
        by_result.setdefault(sentence(test), []).append(test.metric)
    rows = [(", ".join(names[:6]) + (" …" if len(names) > 6 else ""), text) for text, names in by_result.items()]
    _table("significance", rows, "")


def _model(model: Mapping[str, Any] | None) -> str | None:
    if model is None:
        return None
    size = f", {model['bytes']:,} bytes" if isinstance(model.get("bytes"), int) else ""
    params = model.get("params")
    told = f" {params}" if params else ""
    return f"{model.get('kind', '?')} {str(model.get('digest', ''))[:8]}{size}{told}"


def _table(title: str, rows: Iterable[tuple[Any, ...]], *columns: str) -> None:
    some = list(rows)
    if not some:
        return
    from rich.markup import escape

    table = tables.plain_table(escape(title), "name" if columns and columns[0] else "", *columns[: len(some[0]) - 1])
    if not any(columns):
        table.show_header = False
    for row in some:
        table.add_row(*(escape(_text(cell)) for cell in row))
    tables.print_table(table)


def _matrix(title: str, heads: list[str], rows: list[Row], *, right: bool = False) -> None:
    if not rows:
        return
    from rich.markup import escape

    table = tables.plain_table(title, "name", *(f">{escape(head)}" if right else escape(head) for head in heads))
    for row in rows:
        values = [escape(_text(value)) for value in row.values]
        if row.differs:
            usual = Counter(values).most_common(1)[0][0]
            values = [value if value == usual else f"[bold yellow]{value}[/bold yellow]" for value in values]
        table.add_row(escape(row.name), *values)
    tables.print_table(table)


def _code(cells: Iterable[CellChange], *, everything: bool) -> None:
    some = list(cells)
    for cell in some:
        if cell.kind == "same" and not everything:
            continue
        click.secho(f"cell {_place(cell)} {cell.kind}", bold=True, fg=_KIND_COLOURS.get(cell.kind, "yellow"))
        for line in cell.diff.split("\n") if cell.diff else ():
            click.secho(f"  {line}", fg=_COLOURS.get(line[:1]))
    same = sum(cell.kind == "same" for cell in some)
    if some and same < len(some) and not everything:
        click.echo(f"{same} {'cell is' if same == 1 else 'cells are'} the same")


def _place(cell: CellChange) -> str:
    if cell.before is None or cell.after is None or cell.before == cell.after:
        return str(cell.after or cell.before)
    return f"{cell.before} → {cell.after}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return tables.number(value) if isinstance(value, float) else " ".join(str(value).split())
