"""Which pipeline a command line means, and with which parameters: the same for every verb about pipelines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from nbops.errors import NbopsError, SpecError, nearest
from nbops.project import Project

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


def locate(words: tuple[str, ...]) -> tuple[Project, Path | None, tuple[str, ...]]:
    """Return the project, the pipeline's file when it isn't the project's own, and the targets.

    Raises
    ------
    SpecError
        If the first word is a pipeline file that isn't there.
    """
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


def parameters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option ``-p NAME=VALUE``, as ``assignments``."""
    return click.option(
        "-p",
        "--param",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help="A parameter's value: NAME for every stage that has it, STAGE.NAME for one.",
    )(command)


def complete_stages(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the stages of the project's pipeline that begin as typed."""
    from nbops.pipeline.spec import load

    try:
        project, file, _ = locate(tuple(context.params.get(parameter.name or "") or ()))
        stages = load(project, file).stages
    except NbopsError:  # there is nothing to complete with while the pipeline can't be read
        return []
    return [CompletionItem(name) for name in stages if name.startswith(incomplete)]


def _pipelines_near(file: Path) -> str:
    near = sorted(one.as_posix() for one in file.parent.glob("*.y*ml"))
    return nearest(file.as_posix(), near) if near else "see where you are, or give the project's folder"
