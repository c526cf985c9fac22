"""``nbops gc``: remove what nothing refers to any more."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import click

from nbops.cli import tables
from nbops.errors import PipelineBusy
from nbops.pipeline import garbage
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.reproduction.collect import Rubbish, collect, deleted_runs, purge
from nbops.tracking.store import Store

_AGE = re.compile(r"(?P<count>\d+(?:\.\d+)?)\s*(?P<unit>[smhdw]?)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0, "": 86400.0}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> float:
    match = _AGE.fullmatch(value.strip())
    if match is None:
        raise click.BadParameter(f"'{value}' isn't an age such as 30d, 12h or 2w", ctx, param)
    return float(match["count"]) * _SECONDS[match["unit"]]


@click.command(name="gc")
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option(
    "--older-than",
    "--keep-days",
    "older_than",
    metavar="AGE",
    callback=_seconds,
    default="30d",
    show_default=True,
    help="What is younger stays; a number alone is days.",
)
@click.option(
    "--keep",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Sessions of each notebook, and executed notebooks of each stage, that stay.",
)
@click.option("--runs", is_flag=True, help="Also purge the runs that were deleted in MLflow, after asking.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    dry_run: bool, older_than: float, keep: int, runs: bool, yes: bool, project: Path | None, as_json: bool
) -> None:
    """Remove what no run, no notebook and no stage needs: sessions, outputs, cached results, executed notebooks, copies.

    What a live kernel uses is never touched, and runs stay unless --runs purges those that were deleted. Of the
    pipeline's cache stay each stage's last result and what was used lately; while a run is under way all of it stays.

    \b
    Examples:
      nbops gc --dry-run
      nbops gc --older-than 7d --keep 3
      nbops gc --keep-days 7 --json
      nbops gc --runs
    """
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    if not dry_run:
        close_dead(store)
    found = collect(store, older_than=older_than, keep=keep, dry_run=dry_run)
    try:
        found += garbage.collect(store, older_than=older_than, keep=keep, dry_run=dry_run)
        left = ""
    except PipelineBusy as busy:
        left = f"the pipeline's cache was left alone: {busy.message}"
        click.echo(left, err=True)
    deleted = deleted_runs(store) if runs else []
    if as_json:
        tables.print_json(
            {
                "removed": [] if dry_run else [_plain(one) for one in found],
                "would_remove": [_plain(one) for one in found] if dry_run else [],
                "bytes": sum(one.bytes for one in found),
                "deleted_runs": deleted,
                "left": left,
            }
        )
    else:
        _print(found, dry_run)
    if not deleted:
        if runs and not as_json:
            click.echo("no deleted runs")
        return
    if not as_json:
        for run in deleted:
            click.echo(f"deleted run {run.run_id[:8]}  {run.name}  ({run.experiment})")
    if dry_run:
        return
    if not yes:
        click.confirm(f"Purge {len(deleted)} deleted runs with their artifacts, for good?", abort=True, err=True)
    purge(store, deleted)
    if not as_json:
        click.echo(f"purged {len(deleted)} runs")


def _plain(one: Rubbish) -> dict[str, object]:
    return {"kind": one.kind, "path": str(one.path), "bytes": one.bytes, "why": one.why}


def _print(found: list[Rubbish], dry_run: bool) -> None:
    kinds: dict[str, list[Rubbish]] = defaultdict(list)
    for one in found:
        kinds[one.kind].append(one)
    verb = "would remove" if dry_run else "removed"
    for kind, members in kinds.items():
        click.echo(f"{verb} {len(members)} {kind}{'s' * (len(members) != 1)}, {_bytes(sum(m.bytes for m in members))}")
        for one in members if dry_run else ():
            click.echo(f"  {one.path.name}  {_bytes(one.bytes)}  {one.why}")
    total = sum(one.bytes for one in found)
    click.echo(f"{verb} {len(found)} things, {_bytes(total)}" if found else "nothing to remove")


def _bytes(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"
