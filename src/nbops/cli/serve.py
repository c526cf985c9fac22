"""``nbops serve``: a bundle's service, in the environment that it was proven in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nbops.cli import tables
from nbops.errors import ServeError, nearest
from nbops.project import Project
from nbops.tracking.store.migration import cache_folder

if TYPE_CHECKING:
    import pandas as pd

    from nbops.data.drift import ColumnDrift
    from nbops.data.replay import Replay
    from nbops.promotion.bundle import Bundle

_SINGLE_ROWS = 200
_SHOWN_COLUMNS = 6


@click.command(name="serve")
@click.argument("target", type=click.Path(path_type=Path, exists=True), required=False)
@click.option("--host", default="127.0.0.1", show_default=True, help="Other than loopback wants NBOPS_TOKEN to be set.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="0 (the default) takes a free port.")
@click.option("--workers", default=1, type=click.IntRange(1), show_default=True, help="Processes that serve.")
@click.option("--replay", type=click.Path(path_type=Path, exists=True), help="Send this table's rows, report, stop.")
@click.option("--where", default="", help="With --replay: only rows for which this expression holds.")
@click.option("--rows", default=10_000, type=click.IntRange(1), show_default=True, help="With --replay: rows sent.")
@click.option("--batch", default=20, type=click.IntRange(1), show_default=True, help="With --replay: rows a request.")
@click.option("--json", "as_json", is_flag=True, help="With --replay: print JSON.")
def command(
    target: Path | None,
    host: str,
    port: int,
    workers: int,
    replay: Path | None,
    where: str,
    rows: int,
    batch: int,
    as_json: bool,
) -> None:
    """Serve TARGET: a bundle, or a project's folder (then the bundle of its champion).

    Speaks MLflow's /invocations and the Open Inference Protocol (/v2); /healthz, /readyz, /metrics and /openapi.json tell
    about it. Ctrl-C stops it.

    \b
    Examples:
      nbops serve --port 8080
      nbops serve bundles/flights-late-1
      nbops serve --replay july.parquet --where "origin == 'JFK'" --rows 1000
    """
    from nbops.promotion import environments
    from nbops.promotion.bundle import open_bundle
    from nbops.promotion.service import python_minor

    bundle = open_bundle(_bundle_path(target))
    if bundle.python != python_minor():
        raise ServeError(
            f"the bundle was proven with Python {bundle.python}, this is Python {python_minor()}",
            where=str(bundle.path),
            remedy=f"use nbops of an environment with Python {bundle.python}, or its Dockerfile",
        )
    python = environments.make(_environments(bundle), bundle.lock, bundle.wheel)
    if replay is None:
        _serve(python, bundle, ["--host", host, "--port", str(port), "--workers", str(workers)])
        return
    _replay(python, bundle, _read_rows(replay, where, rows, bundle), batch, as_json)


def _bundle_path(target: Path | None) -> Path:
    if target is not None and (target / "bundle.json").is_file():
        return target.resolve()
    from nbops.tracking.store import Store

    project = Project.find(target)
    store = Store(project, say=lambda text: click.echo(text, err=True))
    champion = store.registry.by_alias(project.model_name, "champion") if store.exists else None
    path = project.bundles / f"{project.model_name}-{champion.version}" if champion else None
    if path is None or not path.is_dir():
        raise ServeError("there is no bundle of the champion", where=str(project.root), remedy="nbops package")
    return path


def _environments(bundle: Bundle) -> Path:
    """Return where environments are kept: in the bundle's project, else in the user's cache."""
    state = Project.find(bundle.path.parent).state
    return (state if state.is_dir() else cache_folder()) / "environments"


def _serve(python: Path, bundle: Bundle, arguments: list[str]) -> None:
    """Become the service: its output, signals and exit status are then its own."""
    from nbops.promotion.environments import clean_variables

    variables = clean_variables()
    if token := os.environ.get("NBOPS_TOKEN"):
        variables["NBOPS_TOKEN"] = token
    os.execve(python, [str(python), "-I", "-m", bundle.package, *arguments], variables)


def _read_rows(path: Path, where: str, rows: int, bundle: Bundle) -> pd.DataFrame:
    import pandas as pd

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": lambda path: pd.read_csv(path),
        ".feather": lambda path: pd.read_feather(path),
        ".json": lambda path: pd.read_json(path),
        ".parquet": lambda path: pd.read_parquet(path),
    }
    if path.suffix not in readers:
        raise ServeError(f"can't read '{path.suffix}' files", where=str(path), remedy=f"one of {', '.join(readers)}")
    frame = readers[path.suffix](path)
    if where:
        try:
            frame = frame.query(where)
        except Exception as error:
            raise ServeError(f"--where {where!r}: {error}", where=str(path)) from error
    columns = [column["name"] for column in _manifest(bundle)["input"]["columns"]]
    for column in columns:
        if column not in frame.columns:
            raise ServeError(f"no column '{column}'", where=str(path), remedy=nearest(column, map(str, frame.columns)))
    return frame[columns].head(rows)


def _manifest(bundle: Bundle) -> dict[str, Any]:
    return bundle.read(f"service/{bundle.package}/service.json")


def _replay(python: Path, bundle: Bundle, frame: pd.DataFrame, batch: int, as_json: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from nbops.data.drift import drift
    from nbops.data.replay import replay
    from nbops.promotion import running

    console = Console(stderr=True)
    with running.start(python, bundle.package) as service:
        if not as_json:
            click.echo(f"{bundle.name} {bundle.version} on {service.url}, ready after {service.seconds:.1f} s")
        with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
            bar = progress.add_task("sending", total=len(frame))
            sent = replay(
                service.url, frame, batch=batch, on_progress=lambda done, _: progress.update(bar, completed=done)
            )
        single = replay(service.url, frame.head(_SINGLE_ROWS), batch=1)
        status = running.stop(service.process)
    moved = drift(frame, bundle.read("profile.json"))
    if as_json:
        tables.print_json(_as_json(sent, single, moved))
    else:
        _report(frame, sent, single, moved, _manifest(bundle)["output"]["name"], batch)
        click.echo(f"stopped, exit status {status}")
    if sent.errors or single.errors:
        first = (sent.errors or single.errors)[0]
        raise ServeError(f"{len(sent.errors)} requests were refused, the first: {first.message}", where=bundle.name)


def _as_json(sent: Replay, single: Replay, moved: list[ColumnDrift]) -> Mapping[str, Any]:
    from dataclasses import asdict

    return {
        "rows": sent.rows,
        "requests": sent.requests,
        "seconds": sent.seconds,
        "errors": len(sent.errors),
        "predictions": json.loads(json.dumps(sent.predictions.tolist())),
        "latency_ms": {"batch": asdict(sent.latencies_ms), "single": asdict(single.latencies_ms)},
        "drift": [asdict(column) for column in moved],
    }


def _report(
    frame: pd.DataFrame, sent: Replay, single: Replay, moved: list[ColumnDrift], output: str, batch: int
) -> None:
    import pandas as pd

    predictions = pd.Series(sent.predictions, name=output)
    shown = frame.iloc[:5, :_SHOWN_COLUMNS].reset_index(drop=True).assign(**{output: predictions})
    more = f", and {frame.shape[1] - _SHOWN_COLUMNS} more columns" if frame.shape[1] > _SHOWN_COLUMNS else ""
    table = tables.plain_table(f"predictions (the first rows{more})", *shown.columns)
    for row in shown.itertuples(index=False):
        table.add_row(*(f"{value:.4g}" if isinstance(value, float) else str(value) for value in row))
    tables.print_table(table)
    if pd.api.types.is_numeric_dtype(predictions.dtype):
        click.echo(
            f"{output}: mean {predictions.mean():.4f}, 5 % {predictions.quantile(0.05):.4f}, "
            f"95 % {predictions.quantile(0.95):.4f}"
        )
    table = tables.plain_table("latency, ms", "request", ">requests", ">p50", ">p95", ">p99", ">max", ">rows/s")
    for label, what in ((f"{batch} rows", sent), ("1 row", single)):
        times = what.latencies_ms
        numbers = (times.p50, times.p95, times.p99, times.max)
        table.add_row(label, str(what.requests), *(f"{ms:.1f}" for ms in numbers), f"{what.rows / what.seconds:,.0f}")
    tables.print_table(table)
    table = tables.plain_table("drift against training", "column", ">PSI", "level", ">missing", ">new values", "")
    styles = {"stable": "green", "moderate": "yellow", "large": "red"}
    for column in moved:
        new = "" if column.new_share is None else f"{column.new_share:.1%}"
        bar = "█" * min(30, round(column.psi * 40))
        level = f"[{styles[column.level]}]{column.level}[/]"
        table.add_row(column.column, f"{column.psi:.3f}", level, f"{column.missing_change:+.1%}", new, bar)
    tables.print_table(table)
