"""The command line: one module a verb, loaded when it is called.

`main` is the console's entry: it prints an `NbopsError` without a traceback and exits with its code. `invoke` is what
the ``%nbops`` magic calls: it raises.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from nbops import __version__
from nbops.errors import NbopsError, nearest

_VERBS = {
    "baseline": "Pin the run that others are shown as better or worse than.",
    "diff": "Show in what two runs differ.",
    "gc": "Remove sessions, outputs, cached results and copies that nothing needs any more.",
    "graph": "Draw the pipeline with the state of its stages.",
    "history": "Show every execution of a cell.",
    "init": "Lay out a new project.",
    "lab": "Open JupyterLab with the project's runs beside the notebook.",
    "last": "Show the last run of a notebook, and in what it differs from the one before.",
    "logs": "Show what a stage printed, and how it failed.",
    "package": "Turn a promoted model into a bundle that is proven to predict what the notebook predicted.",
    "promote": "Move a model through the gates to an alias such as champion.",
    "recover": "Complete the executed notebook of a papermill that was killed.",
    "reproduce": "Run a run's recipe again and compare what it gives.",
    "restore": "Write a run as a notebook that runs from top to bottom.",
    "run": "Run a pipeline of notebooks; what did not change comes from the cache.",
    "runs": "List runs with their params, metrics and versions.",
    "schema": "Print the JSON schema of pipeline.yaml, by which editors complete it.",
    "serve": "Start a bundle's service.",
    "show": "Show all that is known of a run.",
    "status": "Say what a run of the pipeline would do, stage by stage, and why.",
    "stale": "List cells whose inputs changed since they were executed.",
}
_INTERRUPTED = 130


class _Verbs(click.Group):
    """Knows every verb's one-line help, and imports a verb's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return None
        command: click.Command = import_module(f"nbops.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS:
            raise click.UsageError(f"No such command '{args[0]}': {nearest(args[0], _VERBS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_VERBS.items()))


@click.command(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nbops")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def group(debug: bool) -> None:
    """Turn notebooks into the MLOps loop: track, run, ship and watch models.

    \b
    Examples:
      nbops init my-project          lay out a project
      nbops run                      run its pipeline
      nbops runs                     list what was tracked
      nbops promote                  through the gates to 'champion'
      nbops package                  write a proven bundle
      nbops serve                    serve it on loopback

    Shell completion: eval "$(_NBOPS_COMPLETE=bash_source nbops)" (or zsh_source, fish_source).
    """
    if debug:
        os.environ["NBOPS_DEBUG"] = "1"


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its code."""
    try:
        code = invoke(args)
    except NbopsError as error:
        if os.environ.get("NBOPS_DEBUG"):
            raise
        click.echo(f"{click.style('error', fg='red', bold=True)}: {error}", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code)


def invoke(args: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Raises
    ------
    NbopsError
        What the user can mend.
    click.ClickException
        Wrong use of the command line.
    """
    result: Any = group.main(args=list(args) if args is not None else None, prog_name="nbops", standalone_mode=False)
    return result if isinstance(result, int) else 0
