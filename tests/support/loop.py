"""A small project that goes through the whole loop once, for all tests that look at what it left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nbops.pipeline.runner import run
from nbops.project import Project
from nbops.promotion.bundle import Bundle, package
from nbops.promotion.candidates import Candidate, from_pipeline
from nbops.promotion.promote import Promotion, promote
from nbops.scaffold import lay_out
from nbops.tracking.store import Store


@dataclass(frozen=True)
class Loop:
    """What a run through the loop left."""

    project: Project
    store: Store
    candidate: Candidate
    promotion: Promotion
    bundle: Bundle


def go_through(root: Path) -> Loop:
    """Lay out a project in `root`, run its pipeline, promote its model and package it."""
    lay_out(root)
    project = Project.find(root)
    result = run(project)
    assert [stage.outcome for stage in result.stages] == ["executed", "executed"]
    store = Store(project)
    candidate = from_pipeline(store)
    promotion = promote(store, candidate, reason="first")
    bundle = package(store, store.registry.version(promotion.model, promotion.version))
    return Loop(project, store, candidate, promotion, bundle)
