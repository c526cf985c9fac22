"""The verdict on a run that was made again, and where it's kept.

It stays on the run that was reproduced: the tag ``nbops.reproduced`` and the artifact ``nbops/reproduction.json``.
The run that its recipe made again is tagged ``nbops.reproduces``; where the recipe didn't get as far as a run, a
failed one stands for it.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from nbops.tracking.reproduction.judge import Check, first_differing, first_seen
from nbops.tracking.reproduction.origin import Origin
from nbops.tracking.reproduction.replay import Replayed
from nbops.tracking.reproduction.tolerance import Tolerance, worst
from nbops.tracking.store import Store
from nbops.tracking.store.search import REPRODUCES_TAG

Verdict = Literal["reproduced", "close", "differs"]
REPRODUCED_TAG = "nbops.reproduced"
REPRODUCTION_ARTIFACT = "nbops/reproduction.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Reproduction:
    """How a run came out a second time.

    Attributes
    ----------
    run_id, again
        The run, and the run that its recipe made again (None if it didn't get that far).
    verdict
        ``reproduced``, ``close`` or ``differs``.
    first
        What differed first, None where nothing did.
    checks
        Every comparison.
    cells
        How many cells the recipe has.
    environment
        ``present`` or ``fresh``.
    packages
        Distributions whose version isn't the run's: name to (then, now).
    tolerance
        What counted as the same and as close.
    seconds, made
        How long it took, and when it was (epoch).
    notebook
        The executed notebook, relative to the project's root.
    """

    run_id: str
    again: str | None
    verdict: Verdict
    first: Check | None
    checks: list[Check]
    cells: int
    environment: str
    packages: dict[str, tuple[str | None, str | None]]
    tolerance: dict[str, float]
    seconds: float
    made: float
    notebook: str | None = None
    nbops: str = field(default_factory=lambda: version("nbops"))
    format: int = FORMAT
    notes: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        """Whether the run can be relied on: reproduced, or close."""
        return self.verdict != "differs"

    def said(self) -> str:
        """Return the verdict in a sentence."""
        check = self.first or next((one for one in self.checks if one.counts and one.level == self.verdict), None)
        if check is None:
            return self.verdict
        cell = f"cell {check.position}" + (f" ({check.cell_id})" if check.cell_id else "") if check.position else "it"
        text = f"{self.verdict}, here: {cell}, {check.kind} {check.name}: {check.before or '-'} → {check.after or '-'}"
        sign = first_seen(self.checks, check)
        return f"{text}; seen first in cell {sign.position}, {sign.kind} {sign.name}" if sign else text


def record(
    store: Store,
    origin: Origin,
    replayed: Replayed,
    compared: tuple[list[Check], str | None],
    tolerance: Tolerance,
    python: Path | None,
    notebook: str,
) -> Reproduction:
    """Put the verdict together from all comparisons, and keep it."""
    found, again = compared
    run = origin.run.summary
    verdict: Verdict = {"same": "reproduced", "close": "close", "differs": "differs"}[  # type: ignore[assignment]
        worst(check.level for check in found if check.counts)
    ]
    if again is None:
        again = store.start_run(f"{run.name} again", experiment=run.experiment, tags={"nbops.notebook": notebook})
        store.end_run(again, "FAILED")
    made = Reproduction(
        run_id=run.run_id,
        again=again,
        verdict=verdict,
        first=first_differing(found),
        checks=found,
        cells=len(origin.recipe.pieces),
        environment="fresh" if python else "present",
        packages=_packages(origin, store, again),
        tolerance=tolerance.as_dict(),
        seconds=replayed.seconds,
        made=time.time(),
        notebook=notebook if replayed.executed else None,
        notes=[] if origin.log else ["the session's file isn't here: outputs and how cells ended weren't compared"],
    )
    store.log(again, tags={REPRODUCES_TAG: run.run_id})
    store.log(run.run_id, tags={REPRODUCED_TAG: verdict})
    store.log_text(run.run_id, json.dumps(asdict(made), indent=1, default=str), REPRODUCTION_ARTIFACT)
    return made


def _packages(origin: Origin, store: Store, again: str) -> dict[str, tuple[str | None, str | None]]:
    old = origin.run.snapshot.get("environment", {}).get("distributions", {})
    new = store.run(again).snapshot.get("environment", {}).get("distributions", {})
    if not old or not new:
        return {}
    return {
        name: (old.get(name), new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    }
