"""``nbops diff A B …``: in what runs differ."""

from __future__ import annotations

from pathlib import Path

import click

from nbops.cli import tables
from nbops.cli.comparisons import print_comparison, print_overview
from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.comparison.compare import Comparison, Overview, compare_refs
from nbops.tracking.comparison.directions import configured_directions
from nbops.tracking.recording.sessions import close_dead
from nbops.tracking.schema import RunDetail
from nbops.tracking.store import Store


@click.command(name="diff")
@click.argument("runs", nargs=-1, metavar="RUN [RUN…]")
@click.option("--project", type=click.Path(path_type=Path), help="The project (default: the working directory's).")
@click.option("--all", "everything", is_flag=True, help="Print the cells that are the same, too.")
@click.option("--history", is_flag=True, help="Compare all executed cells, not the recipes alone.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with pictures.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False), help="Write the picture of the metrics.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    runs: tuple[str, ...],
    project: Path | None,
    everything: bool,
    history: bool,
    html: Path | None,
    svg: Path | None,
    as_json: bool,
) -> None:
    """Show in what runs differ: versions, params, metrics, data, packages, models, and code cell by cell.

    A RUN is an id, the beginning of one, a name (the newest run of it), or 'latest'. One run is compared with the
    baseline of its experiment, two with each other, more side by side.

    \b
    Examples:
      nbops diff 3f2a 91bc
      nbops diff latest                       against the baseline
      nbops diff 3f2a 91bc 77d0 --html diff.html
    """
    store = Store(Project.find(project), say=lambda text: click.echo(text, err=True))
    close_dead(store)
    if not runs:
        raise click.UsageError("name the runs to compare, such as `nbops diff 3f2a latest`")
    found, details = compare_refs(store, runs, history=history)
    if as_json:
        tables.print_json(found)
        return
    if html or svg:
        _write(found, store, details, html, svg)
        return
    if tables.in_notebook():
        from nbops.panels.compared import pictured, show_in_notebook

        show_in_notebook(pictured(found, store, details))
        return
    if isinstance(found, Comparison):
        print_comparison(found, everything=everything)
    else:
        print_overview(found)


def _write(
    found: Comparison | Overview, store: Store, details: list[RunDetail], html: Path | None, svg: Path | None
) -> None:
    from nbops.notebook.document import write_atomically
    from nbops.panels.compared import pictured
    from nbops.panels.pictures import page

    if html:
        title = " and ".join(detail.summary.name for detail in details)
        write_atomically(html, page.page(title, pictured(found, store, details).html).encode())
        click.echo(f"wrote {html}")
    if svg:
        picture = page.picture_of(found, [detail.summary for detail in details], configured_directions(store.project))
        if not picture:
            raise TrackingError("there is nothing to draw: the runs have no metric in common that differs")
        write_atomically(svg, page.alone(picture).encode())
        click.echo(f"wrote {svg}")
