"""Before a model is promoted its run is made again: the recipe is executed afresh and has to give the same figures.

The verdict of an earlier `nbops reproduce` on the same run counts; otherwise the run is reproduced now, in the
present environment. The answer is a gate's, kept with the others, and asked when they have passed.
"""

from __future__ import annotations

from collections.abc import Callable

from nbops.errors import TrackingError
from nbops.promotion.gates import GateResult
from nbops.tracking.reproduction.reproduce import REPRODUCED_TAG, reproduce
from nbops.tracking.schema import RunDetail
from nbops.tracking.store import Store

GATE = "reproduces"
_HOLDS = ("reproduced", "close")


def verify(
    store: Store,
    run: RunDetail,
    *,
    say: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GateResult:
    """Return whether a run gives the same when its recipe is executed again.

    Parameters
    ----------
    store
        Where the run is.
    run
        The run whose model is to be promoted.
    say, progress
        Told what takes time; called with how many cells have begun, and how many there are.
    """
    known = run.tags.get(REPRODUCED_TAG)
    if known in _HOLDS:
        return GateResult(GATE, "passed", f"{known}, as an earlier replay of its recipe found")
    if say:
        say(f"running the recipe of run {run.summary.run_id[:8]} again, to verify it")
    try:
        made = reproduce(store, run.summary.run_id, say=say, progress=progress)
    except TrackingError as error:
        return GateResult(GATE, "failed", f"its recipe can't be run again: {error}")
    same = sum(check.level == "same" for check in made.checks)
    evidence = (
        f"{made.said()}: {made.cells} cells in {made.seconds:.0f} s, {same} of {len(made.checks)} figures the same"
    )
    return GateResult(GATE, "passed" if made.held else "failed", evidence)
