"""Runs beside each other with pictures: what a cell shows, and the files that the command writes.

Nothing here is live: what was compared stays as it was, in a saved notebook too.
"""

from __future__ import annotations

from collections.abc import Sequence

from nbops.panels.pictures import page
from nbops.tracking.comparison.compare import Comparison, Overview
from nbops.tracking.comparison.directions import configured_directions
from nbops.tracking.comparison.metrics import histories
from nbops.tracking.schema import RunDetail
from nbops.tracking.store import Store


def pictured(found: Comparison | Overview, store: Store, runs: Sequence[RunDetail]) -> page.Pictured:
    """Return a comparison of these runs as what a notebook shows."""
    curves = histories(store, runs)
    if isinstance(found, Comparison):
        text = f"{found.after.name} ({found.after.run_id[:8]}) against {found.before.name} ({found.before.run_id[:8]})"
        return page.Pictured(page.comparison(found, curves), text)
    summaries = [run.summary for run in runs]
    body = page.overview(found, summaries, configured_directions(store.project), curves)
    return page.Pictured(body, f"{len(runs)} runs side by side")


def show_in_notebook(shown: page.Pictured) -> None:
    """Show it as the output of the cell that is running."""
    from IPython.display import publish_display_data

    publish_display_data(shown._repr_mimebundle_())
