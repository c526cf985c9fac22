"""``nbops graph``: the pipeline as a picture."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nbops.cli import pipelines

if TYPE_CHECKING:
    from nbops.pipeline.drawing.scene import Condition, Scene

_FORMATS = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".md": "mermaid", ".dot": "dot", ".gv": "dot"}
_COLOURS = {
    "current": "green",
    "restore": "cyan",
    "execute": "yellow",
    "depends": "yellow",
    "skip": "yellow",
    "failed": "red",
}
_WITHOUT_TERMINAL = 160


@click.command("graph", context_settings=pipelines.CONTEXT)
@click.argument("words", nargs=-1, metavar="[PATH] [STAGE]...", shell_complete=pipelines.complete_stages)
@pipelines.parameters
@click.option(
    "--format",
    "wanted",
    type=click.Choice(["terminal", "svg", "mermaid", "dot", "json"]),
    help="Default: by the ending of FILE, else for the terminal.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
def command(words: tuple[str, ...], assignments: tuple[str, ...], wanted: str | None, output: Path | None) -> None:
    """Draw the pipeline: stages with their state, the files that go in and come out, and who needs whom.

    A stage is marked ✓ cached, ↺ would be restored, ▸ would be executed, ? may be executed, ✗ failed last time. In
    a notebook `%nbops graph` shows a picture. A graph that is too wide for the terminal is told as a list.

    \b
    Examples:
      nbops graph
      nbops graph train                      'train' and what is upstream of it
      nbops graph -o pipeline.svg
      nbops graph --format mermaid >> README.md
    """
    from nbops.pipeline.drawing.scene import scene
    from nbops.pipeline.outlook import outlook
    from nbops.pipeline.overrides import parse_assignments

    project, file, targets = pipelines.locate(words)
    found = scene(project, outlook(project, parse_assignments(assignments), targets=targets, file=file))
    if wanted is None and output is not None:
        wanted = _FORMATS.get(output.suffix.lower(), "terminal")
    if wanted is None and _shown_in_notebook(found):
        return
    text = _drawn(found, wanted or "terminal", coloured=output is None)
    if output is None:
        click.echo(text, nl=not text.endswith("\n"))
        return
    from nbops.notebook.document import write_atomically

    write_atomically(output, (text if text.endswith("\n") else text + "\n").encode())
    click.echo(f"wrote {output}")


def _drawn(found: Scene, wanted: str, *, coloured: bool) -> str:
    if wanted == "svg":
        from nbops.pipeline.drawing.svg import svg

        return svg(found)
    if wanted in ("mermaid", "dot"):
        from nbops.pipeline.drawing import languages

        return languages.mermaid(found) if wanted == "mermaid" else languages.dot(found)
    if wanted == "json":
        import json
        from dataclasses import asdict

        return json.dumps(asdict(found), indent=1)
    from nbops.pipeline.drawing.terminal import drawing, legend

    paint = _paint if coloured else _plain
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else _WITHOUT_TERMINAL
    return f"{drawing(found, width, paint)}\n\n{legend(found, paint)}"


def _paint(text: str, condition: Condition) -> str:
    return click.style(text, fg=_COLOURS[condition])


def _plain(text: str, condition: Condition) -> str:
    return text


def _shown_in_notebook(found: Scene) -> bool:
    """Show a picture where a cell of a notebook asks."""
    from nbops.cli.tables import in_notebook

    if not in_notebook():
        return False
    from IPython.display import publish_display_data

    from nbops.pipeline.drawing.svg import svg

    publish_display_data({"image/svg+xml": svg(found), "text/plain": _drawn(found, "terminal", coloured=False)})
    return True
