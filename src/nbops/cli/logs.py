"""``nbops logs``: what a stage printed, and how it failed."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbops.cli import pipelines
from nbops.errors import PipelineError
from nbops.project import Project

if TYPE_CHECKING:
    from nbops.pipeline.logs import CellLog, StageLog

_LOOK_EVERY_S = 0.3
_COLOURS = {"ok": None, "running": "cyan", "not run": "yellow"}


@click.command("logs", context_settings=pipelines.CONTEXT)
@click.argument("stage", default="", metavar="[STAGE]")
@click.option("--run", metavar="RUN", help="Of this tracked run: an id, or the beginning of one.")
@click.option("--cell", type=click.IntRange(1), metavar="N", help="Only of the N-th code cell, with its code.")
@click.option("-f", "--follow", is_flag=True, help="Follow the run that is under way until it ends.")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(stage: str, run: str | None, cell: int | None, follow: bool, project: Path | None, as_json: bool) -> None:
    """Show what STAGE printed in its newest execution, and its error with the cell's code.

    Without STAGE it's the stage that is executing, or that was executed last. Cells are counted as in the errors of
    `nbops run`: code cells, with the one that sets the parameters. Secrets are masked.

    \b
    Examples:
      nbops logs train
      nbops logs train --cell 4
      nbops logs -f                          while a run is under way
      nbops logs evaluate --run 3f2a
    """
    from nbops.pipeline import logs

    found = Project.find(project)
    if follow:
        for text in _followed(found, stage):
            click.echo(text, nl=False)
        return
    log = logs.of_run(found, run, stage) if run else logs.newest(found, stage)
    cells = [one for one in log.cells if cell in (None, one.number)]
    if cell is not None and not cells:
        raise PipelineError(
            f"cell {cell} of stage '{log.stage}' wasn't executed, or there is none",
            where=log.notebook,
            remedy=f"executed: {', '.join(str(one.number) for one in log.cells)}",
        )
    if as_json:
        click.echo(json.dumps({**asdict(log), "cells": [asdict(one) for one in cells]}, indent=1))
        return
    click.echo(f"{log.stage}: {log.status} · {log.notebook}")
    for one in cells:
        if one.text or one.status != "ok" or cell is not None:
            click.echo(_head(log.stage, one))
            if one.status not in ("ok", "running") or cell is not None:
                click.echo("".join(f"  {line}\n" for line in one.source.splitlines()))
            click.echo(one.text, nl=bool(one.text) and not one.text.endswith("\n"))


def _head(stage: str, cell: CellLog) -> str:
    took = f" · {cell.seconds:.1f} s" if cell.seconds else ""
    title = f"── {stage}, cell {cell.number} · {cell.status}{took} ──"
    return click.style(title, fg=_COLOURS.get(cell.status, "red"), bold=True)


def _followed(project: Project, stage: str) -> Iterator[str]:
    """Yield what is new, again and again, until the run (or the stage asked for) has ended."""
    from nbops.pipeline import logs
    from nbops.pipeline.outlook import executed_notebooks

    if logs.live_folder(project) is None:
        raise PipelineError("no run is under way", where=str(project.root), remedy="nbops logs shows the last one")
    tail = _Tail()
    started = time.time()
    while True:
        live = logs.live_folder(project) is not None
        for log in logs.under_way(project) if live else ():
            if stage in ("", log.stage):
                yield from tail.new(log)
        if not live:
            break
        if stage and tail.ended(stage):
            return
        time.sleep(_LOOK_EVERY_S)
    # what came between the last look and the end stands in the kept notebooks
    for name in [stage] if stage else logs.known_stages(project):
        kept = [path for path in executed_notebooks(project, name)[:1] if path.stat().st_mtime >= started]
        if kept:
            yield from tail.new(logs.newest(project, name))


class _Tail:
    """Remembers what was told of each cell."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, int], str] = {}
        self._status: dict[str, str] = {}
        self._at: tuple[str, int] | None = None

    def ended(self, stage: str) -> bool:
        """Whether a stage was seen to have ended."""
        return self._status.get(stage, "running") != "running"

    def new(self, log: StageLog) -> Iterator[str]:
        """Yield what a log holds beyond what was told."""
        for cell in log.cells:
            key = (log.stage, cell.number)
            before = self._told.get(key, "")
            if cell.text == before:
                continue
            # a cell that cleared its output begins anew
            fresh = cell.text.removeprefix(before) if cell.text.startswith(before) else cell.text
            self._told[key] = cell.text
            if self._at != key:
                self._at = key
                yield _head(log.stage, cell) + "\n"
            yield fresh
        if log.status != "running" and self._status.get(log.stage) != log.status:
            yield f"{log.stage}: {log.status}\n"
        self._status[log.stage] = log.status
