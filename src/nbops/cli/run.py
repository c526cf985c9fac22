"""``nbops run``: run a pipeline; thin over `nbops.pipeline.runner.run`."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import click

from nbops.errors import SpecError, nearest
from nbops.pipeline.display import Display
from nbops.pipeline.overrides import parse_assignments
from nbops.project import Project

_PATIENCE = b"stopping kernels and closing runs; Ctrl-C once more leaves at once\n"


@click.command("run", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, metavar="[PATH] [STAGE]...")
@click.option(
    "-p",
    "--param",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter's value: NAME for every stage that has it, STAGE.NAME for one.",
)
@click.option("--force", is_flag=True, help="Execute the stages named (all, if none is) though they are cached.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be executed, and why; execute nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(words: tuple[str, ...], assignments: tuple[str, ...], force: bool, dry_run: bool, as_json: bool) -> int:
    """Run a pipeline of notebooks; what did not change comes from the cache.

    PATH is a project's folder or a pipeline file (default: the project around the working directory). STAGE... runs
    only these stages and what is upstream of them.

    \b
    Examples:
      nbops run                              the project's pipeline
      nbops run notebooks/flights            another project's
      nbops run train -p cut_month=8         up to 'train', with another parameter
      nbops run -p features.cut_month=8      the parameter of one stage
      nbops run --dry-run                    what would be executed, and why
      nbops run evaluate --force             execute 'evaluate' again

    Exit codes: 0 all is there, 1 a stage failed, 2 the pipeline or the command is wrong, 75 another run is under way,
    130 interrupted.
    """
    project, file, targets = _locate(words)
    params = parse_assignments(assignments)
    if dry_run:
        return _dry_run(project, file, targets, params, as_json, force)
    from nbops.pipeline.runner import run

    with _put_in_order_when_stopped():
        if as_json:
            result = run(project, targets=targets, params=params, force=force, file=file)
            click.echo(json.dumps(result.as_dict(), indent=1))
        else:
            with Display(_names(project, file, targets)) as display:
                result = run(project, targets=targets, params=params, force=force, file=file, on_event=display)
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
    from nbops.pipeline.plan import status

    found = status(project, params, targets=targets, file=file)
    if as_json:
        click.echo(json.dumps([asdict(stage) for stage in found], indent=1))
        return 0
    width = max(len(stage.name) for stage in found)
    for stage in found:
        forced = force and (stage.name in targets or not targets)
        execute = forced or stage.state == "stale"
        reason = stage.reason or ("forced" if forced else "")
        state = "would be executed" if execute else "cached"
        click.echo(f"{'▸' if execute else '·'} {stage.name:<{width}}  {state}{f' ({reason})' if reason else ''}")
    return 0


def _locate(words: tuple[str, ...]) -> tuple[Project, Path | None, tuple[str, ...]]:
    """Return the project, the pipeline's file when it isn't the project's own, and the targets."""
    first = Path(words[0]) if words else None
    if first is not None and first.is_dir():
        project = Project.find(first)
        own = first.resolve() / "pipeline.yaml"
        return project, own if own.is_file() and own != project.pipeline_file else None, words[1:]
    if first is not None and first.suffix in (".yaml", ".yml"):
        if not first.is_file():
            raise SpecError("no such pipeline file", where=str(first), remedy=_pipelines_near(first))
        return Project.find(first), first.resolve(), words[1:]
    return Project.find(), None, words


def _pipelines_near(file: Path) -> str:
    near = sorted(one.as_posix() for one in file.parent.glob("*.y*ml"))
    return nearest(file.as_posix(), near) if near else "see where you are, or give the project's folder"


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
