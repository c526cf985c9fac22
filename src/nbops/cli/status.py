"""``nbops status``: what a run would do, stage by stage, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nbops.cli import pipelines


@click.command("status", context_settings=pipelines.CONTEXT)
@click.argument("words", nargs=-1, metavar="[PATH] [STAGE]...", shell_complete=pipelines.complete_stages)
@pipelines.parameters
@click.option("--file", type=click.Path(path_type=Path, dir_okay=False), help="The pipeline's file, as PATH.")
@click.option("--whole", is_flag=True, help="Print diffs in full, however long.")
@click.option("--exit-code", is_flag=True, help="Exit with 1 when a stage would be executed, as `git diff` does.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    words: tuple[str, ...], assignments: tuple[str, ...], file: Path | None, whole: bool, exit_code: bool, as_json: bool
) -> int:
    """Say what `nbops run` would do, stage by stage, and why: which cell, parameter, input, module or package changed.

    PATH is a project's folder or a pipeline file (default: the project around the working directory). STAGE... looks
    only at these stages and what is upstream of them. Code is shown as a diff against how it was last executed.

    \b
    Examples:
      nbops status
      nbops status train -p cut_month=8
      nbops status --exit-code && echo "nothing to do"
      nbops status --json | jq '.[] | select(.state == "execute").reason'

    Exit codes: 0, also when stages would be executed; with --exit-code 1 then; 2 the pipeline or the command is wrong.
    """
    from nbops.cli.outlooks import print_outlook, summary
    from nbops.pipeline.outlook import outlook
    from nbops.pipeline.overrides import parse_assignments

    project, found, targets = pipelines.locate((str(file), *words) if file else words)
    looked = outlook(project, parse_assignments(assignments), targets=targets, file=found)
    if as_json:
        click.echo(json.dumps([stage.as_dict() for stage in looked.stages], indent=1))
    else:
        print_outlook(looked.stages, whole=whole)
        click.echo(f"{looked.pipeline.name}: {summary(looked.stages)}")
    return int(exit_code and any(stage.runs for stage in looked.stages))
