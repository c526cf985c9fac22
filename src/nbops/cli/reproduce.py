"""``nbops reproduce RUN``: a run made again and compared."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbops.cli import progress, tables
from nbops.project import Project
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.store import Store

if TYPE_CHECKING:
    from nbops.tracking.reproduction.reproduce import Reproduction

_STYLE = {"reproduced": "green", "close": "yellow", "differs": "red"}
_SHOWN = 20


@click.command(name="reproduce")
@click.argument("run")
@click.option("--env", "fresh", is_flag=True, help="In a fresh environment, made by uv from the run's lock.")
@click.option(
    "--tolerance", type=click.FloatRange(0), default=1e-2, show_default=True, help="Relative: close up to it."
)
@click.option("--exact", type=click.FloatRange(0), default=1e-9, show_default=True, help="Relative: the same up to it.")
@click.option("--strict", is_flag=True, help="Exit with 1 when the run is only close.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="The most seconds that a cell may take.")
@click.option("--max-copy", type=int, default=2048, show_default=True, help="MiB of the project that may be copied.")
@click.option("--write-outside", is_flag=True, help="Let the run write over files outside of the project again.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    run: str,
    fresh: bool,
    tolerance: float,
    exact: float,
    strict: bool,
    timeout: float | None,
    max_copy: int,
    write_outside: bool,
    project: Path | None,
    as_json: bool,
) -> int:
    """Run RUN's recipe again, in a copy of the project, and compare inputs, outputs, params, models and metrics.

    Says 'reproduced', 'close' or 'differs, here', and exits with 0, 0 and 1. Metrics that measure the machine (…_time,
    …_seconds) don't count, nor does what goes to stderr.

    \b
    Examples:
      nbops reproduce latest
      nbops reproduce 3f2a --env --strict
      nbops reproduce 3f2a --tolerance 0.001 --json
    """
    from nbops.tracking.reproduction.reproduce import reproduce
    from nbops.tracking.reproduction.tolerance import Tolerance

    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    with progress.cells() as shown:
        made = reproduce(
            store,
            run,
            fresh_environment=fresh,
            tolerance=Tolerance(exact, tolerance),
            timeout=timeout,
            max_copy=max_copy << 20,
            write_outside=write_outside,
            say=lambda text: click.echo(text, err=True),
            progress=shown,
        )
    if as_json:
        tables.print_json(made)
    else:
        _print(made, Tolerance(exact, tolerance).said())
    return int(made.verdict == "differs" or (strict and made.verdict != "reproduced"))


def _print(made: Reproduction, tolerance: str) -> None:
    from rich.markup import escape

    told = [check for check in made.checks if check.level != "same"]
    if told:
        table = tables.plain_table("", "cell", "what", "", "run", "again")
        for check in told[:_SHOWN]:
            level = check.level if check.counts else f"({check.level})"
            name = f"{check.kind} {check.name}"
            row = (str(check.position or ""), name, level, check.before, check.after)
            table.add_row(*(escape(text) for text in row))
        tables.print_table(table)
        if len(told) > _SHOWN:
            click.echo(f"… and {len(told) - _SHOWN} more (--json lists all)")
    counts = Counter(check.kind for check in made.checks)
    same = Counter(check.kind for check in made.checks if check.level == "same")
    compared = ", ".join(f"{kind}s {same[kind]}/{count}" for kind, count in sorted(counts.items()))
    click.echo(f"compared, and the same: {compared or 'nothing'} ({tolerance})")
    if made.packages:
        names = [f"{name} {then or '-'} → {now or '-'}" for name, (then, now) in list(made.packages.items())[:5]]
        more = f" and {len(made.packages) - 5} more" if len(made.packages) > 5 else ""
        click.echo(f"other packages than then: {', '.join(names)}{more}")
    for note in made.notes:
        click.echo(note)
    again = f", run {made.again[:8]}" if made.again else ""
    click.echo(
        f"{made.cells} cells in {made.seconds:.1f} s, {made.environment} environment{again}, {made.notebook or ''}"
    )
    click.secho(made.said(), fg=_STYLE[made.verdict], bold=True)
