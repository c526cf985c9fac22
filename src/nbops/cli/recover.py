"""``nbops recover``: the executed notebook of a runner that was killed, with every output up to then."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from nbops.errors import NotebookError


@click.command("recover")
@click.argument("notebook", type=click.Path(path_type=Path, dir_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where to (default: NOTEBOOK).")
def command(notebook: Path, output: Path | None) -> None:
    """Complete NOTEBOOK from the journal beside it, which an execution leaves whose runner was killed.

    The cell that ran then is said to be lost, with what it had shown; cells after it weren't run. Stages of a pipeline are
    completed by the next run; this is for `papermill --engine nbops`.

    \b
    Examples:
      nbops recover out.ipynb
      nbops recover out.ipynb -o recovered.ipynb
    """
    from nbops.notebook.document import write
    from nbops.pipeline.journal import execution_of, is_under_way, journal_of, recover

    journal = journal_of(notebook)
    if execution_of(journal) is None:
        raise NotebookError("there is no journal: nothing is lacking", where=str(notebook))
    if is_under_way(journal):
        raise NotebookError("it is still being executed", where=str(notebook), remedy="wait for its end, or end it")
    document = recover(journal, notebook)
    write(output or notebook, document)
    if output is None:
        journal.unlink()
    told = Counter(
        cell["metadata"].get("nbops", {}).get("status", "") for cell in document.cells if cell["cell_type"] == "code"
    )
    click.echo(f"wrote {output or notebook}: {', '.join(f'{count} {status}' for status, count in told.items())}")
