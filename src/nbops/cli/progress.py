"""How far a notebook's execution is: a bar on a terminal, a line for every tenth of the cells elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def cells() -> Iterator[Callable[[int, int], None]]:
    """Give a function to be called with how many cells have begun, and how many there are."""
    if not sys.stderr.isatty():
        told = -1

        def tell(count: int, total: int) -> None:
            nonlocal told
            tenth = 10 * count // max(total, 1)
            if tenth != told:
                told = tenth
                click.echo(f"cell {count} of {total}", err=True)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("cells"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("cells", total=None)
        yield lambda count, total: bar.update(task, completed=count, total=total)
