"""What is to be promoted: a run with a recorded scoring function, and the metrics of the pipeline around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nbops.errors import PromotionError, TrackingError
from nbops.promotion.capture import FOLDER
from nbops.tracking.schema import RunDetail
from nbops.tracking.store import Store

STAGES_TAG = "nbops.stages"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could be promoted.

    Attributes
    ----------
    run
        The run whose scoring cell was recorded.
    metrics
        Metrics of every stage of its pipeline, the run's own included.
    stages
        Run ids by stage; empty for a run outside a pipeline.
    """

    run: RunDetail
    metrics: Mapping[str, float]
    stages: Mapping[str, str]


def from_pipeline(store: Store) -> Candidate:
    """Return the candidate that the project's pipeline makes as it stands now.

    Raises
    ------
    PromotionError
        If a stage would have to run first, or no stage records a scoring cell.
    """
    from nbops.pipeline.plan import status

    stages = {}
    for stage in status(store.project):
        if stage.state == "skipped":
            continue  # its condition says so, and nothing is missing
        if stage.state != "cached" or not stage.run_id:
            raise PromotionError(
                f"stage '{stage.name}' has to run first ({stage.reason})",
                where=store.project.relative(store.project.pipeline_file),
                remedy="nbops run",
            )
        stages[stage.name] = stage.run_id
    return _of_stages(store, stages)


def from_run(store: Store, ref: str) -> Candidate:
    """Return the candidate that a run belongs to: its own, or that of the pipeline run that it is or was part of.

    Raises
    ------
    TrackingError, PromotionError
        If there is no such run, or no scoring cell was recorded.
    """
    run = store.run(ref)
    around = run if STAGES_TAG in run.tags or run.summary.parent is None else store.run(run.summary.parent)
    if STAGES_TAG in around.tags:
        stages = {name: stage["run_id"] for name, stage in json.loads(around.tags[STAGES_TAG]).items()}
        return _of_stages(store, stages, chosen=run if _scores(run) else None)
    if not _scores(run):
        raise _nothing_recorded(f"run {run.summary.run_id[:8]}")
    return Candidate(run, run.summary.metrics, {})


def _of_stages(store: Store, stages: Mapping[str, str], chosen: RunDetail | None = None) -> Candidate:
    metrics: dict[str, float] = {}
    scoring: list[RunDetail] = []
    for name, run_id in stages.items():
        try:
            run = store.run(run_id)
        except TrackingError as error:
            raise PromotionError(
                f"the run of stage '{name}' is gone from the store", remedy="nbops run --force"
            ) from error
        metrics |= run.summary.metrics
        if _scores(run):
            scoring.append(run)
    if chosen is None and len(scoring) > 1:
        names = " and ".join(f"{run.summary.stage} (run {run.summary.run_id[:8]})" for run in scoring)
        raise PromotionError(
            f"several stages record a scoring cell: {names}",
            remedy=f"promote one of their runs: nbops promote {scoring[-1].summary.run_id[:8]}",
        )
    if chosen is None and not scoring:
        raise _nothing_recorded("the pipeline")
    return Candidate(chosen or scoring[0], metrics, dict(stages))


def _scores(run: RunDetail) -> bool:
    return str(Path(FOLDER, "capture.json").as_posix()) in run.artifacts


def _nothing_recorded(where: str) -> PromotionError:
    return PromotionError(
        "no scoring cell was recorded",
        where=where,
        remedy="start the cell that predicts with `%%nbops score --input FRAME --output PREDICTIONS`",
    )
