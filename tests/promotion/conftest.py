"""A notebook's namespace to slice, and a small project that went through the whole loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbops.pipeline.runner import run
from nbops.project import Project
from nbops.promotion.bundle import Bundle, package
from nbops.promotion.candidates import Candidate, from_pipeline
from nbops.promotion.promote import Promotion, promote
from nbops.scaffold import lay_out
from nbops.tracking.store import Store


@pytest.fixture
def notebook() -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that executes cells as a notebook would and returns the namespace."""
    shell = InteractiveShell.instance()
    shell.reset()

    def execute(*cells: str) -> dict[str, Any]:
        for cell in cells:
            shell.run_cell(cell, store_history=True).raise_error()
        return shell.user_ns

    yield execute
    InteractiveShell.clear_instance()


@dataclass(frozen=True)
class Loop:
    """What a run through the loop left."""

    project: Project
    store: Store
    candidate: Candidate
    promotion: Promotion
    bundle: Bundle


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory, isolated_environment: None) -> Loop:
    """Lay out a project, run its pipeline, promote its model and package it."""
    root = tmp_path_factory.mktemp("loop") / "biopsy"
    lay_out(root)
    project = Project.find(root)
    result = run(project)
    assert [stage.outcome for stage in result.stages] == ["executed", "executed"]
    store = Store(project)
    candidate = from_pipeline(store)
    promotion = promote(store, candidate, reason="first")
    bundle = package(store, store.registry.version(promotion.model, promotion.version))
    return Loop(project, store, candidate, promotion, bundle)
