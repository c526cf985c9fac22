"""``nbops run``: run a pipeline; thin over `nbops.pipeline.runner.run`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from nbops.cli import pipelines
from nbops.pipeline.display import Display
from nbops.pipeline.overrides import parse_assignments
from nbops.project import Project

_PATIENCE = b"stopping kernels and closing runs; Ctrl-C once more leaves at once\n"


@click.command("run", context_settings=pipelines.CONTEXT)
@click.argument("words", nargs=-1, metavar="[PATH] [STAGE]...", shell_complete=pipelines.complete_stages)
@pipelines.parameters
@click.option("--stage", default="", metavar="STAGE", help="Run this stage by itself, without what is upstream of it.")
@click.option("-i", "--input", "sources", multiple=True, metavar="NAME=PATH", help="Where an input of --stage lies.")
@click.option("--force", is_flag=True, help="Execute the stages named (all, if none is) though they are cached.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be executed, and why; execute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    words: tuple[str, ...],
    assignments: tuple[str, ...],
    stage: str,
    sources: tuple[str, ...],
    force: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Run a pipeline of notebooks; what did not change comes from the cache.

    PATH is a project's folder or a pipeline file (default: the project around the working directory). STAGE... runs
    only these stages and what is upstream of them.

    \b
    Examples:
      nbops run                              the project's pipeline
      nbops run notebooks/flights            another project's
      nbops run train -p cut_month=8         up to 'train', with another parameter
      nbops run -p features.cut_month=8      the parameter of one stage
      nbops run --stage train -i train=t.pq  'train' by itself, with an input from elsewhere
      nbops run --dry-run                    what would be executed, and why
      nbops run evaluate --force             execute 'evaluate' again

    Exit codes: 0 all is there, 1 a stage failed, 2 the pipeline or the command is wrong, 75 another run is under way,
    130 interrupted.
    """
    project, file, targets = pipelines.locate(words)
    params = parse_assignments(assignments)
    if stage and (targets or dry_run):
        raise click.UsageError("--stage runs one stage by itself: leave out other stages and --dry-run")
    if sources and not stage:
        raise click.UsageError("--input says where an input of --stage lies: name a stage")
    inputs = {name: Path(value) for name, value in parse_assignments(sources, "-i").items()}
    if dry_run:
        return _dry_run(project, file, targets, params, as_json, force)
    from nbops.pipeline.runner import run

    with _put_in_order_when_stopped():
        if as_json:
            result = run(project, targets=targets, params=params, force=force, stage=stage, inputs=inputs, file=file)
            click.echo(json.dumps(result.as_dict(), indent=1))
        else:
            names = [stage] if stage else _names(project, file, targets)
            with Display(names) as display:
                result = run(
                    project,
                    targets=targets,
                    params=params,
                    force=force,
                    stage=stage,
                    inputs=inputs,
                    file=file,
                    on_event=display,
                )
                display.finish(result)
    return 0 if result.ok else 1


def _dry_run(
    project: Project,
    file: Path | None,
    targets: tuple[str, ...],
    params: Mapping[str, object],
    as_json: bool,
    force: bool,
) -> int:
    from nbops.cli.outlooks import print_outlook
    from nbops.pipeline.outlook import outlook

    found = outlook(project, params, targets=targets, file=file, force=force).stages
    if as_json:
        click.echo(json.dumps([stage.as_dict() for stage in found], indent=1))
    else:
        print_outlook(found)
    return 0


def _names(project: Project, file: Path | None, targets: tuple[str, ...]) -> list[str]:
    """Return the stages' names for a display on a terminal, which shows the waiting ones too."""
    if not sys.stdout.isatty():
        return []
    from nbops.pipeline.graph import select
    from nbops.pipeline.spec import load

    return select(load(project, file), targets)


@contextmanager
def _put_in_order_when_stopped() -> Iterator[None]:
    """Take Ctrl-C and being asked to end (SIGTERM) alike, and let a second one not break off the tidying up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stop = _Stop()
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stop:
    """A signal's handler that interrupts once, asks for patience, and then interrupts again."""

    def __init__(self) -> None:
        self._calls = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._calls += 1
        if self._calls == 2:
            # not print: it may be in the middle of one
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _PATIENCE)
            return
        raise KeyboardInterrupt
