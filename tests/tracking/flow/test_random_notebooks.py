"""Whatever a notebook did: executing the recipe in a fresh namespace gives the value that its history gave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from .notebooks import Failures, executed, of_last, replayed
from .programs import plain, programs

EXAMPLES = int(os.environ.get("NBOPS_FLOW_EXAMPLES", "60"))


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)
@given(programs())
def test_the_recipe_gives_what_the_history_gave(tmp_path_factory: pytest.TempPathFactory, cells: list[str]) -> None:
    folder = tmp_path_factory.mktemp("notebook")
    failures = Failures()
    log, namespace = executed(cells, folder / "history", failures)
    recipe = of_last(log)
    again = replayed(recipe, folder / "recipe")
    assert not failures, failures[0]
    assert plain(again.get("result")) == plain(namespace.get("result")), _told(cells, recipe)


def _told(cells: list[str], recipe: object) -> str:
    pieces = "\n---\n".join(piece.source for piece in recipe.pieces)  # type: ignore[attr-defined]
    return "HISTORY\n" + "\n---\n".join(cells) + "\nRECIPE\n" + pieces


def test_the_folder_is_the_test_s_own(tmp_path: Path) -> None:
    executed(["open('made.txt', 'w').close()"], tmp_path / "in", Failures())
    assert (tmp_path / "in" / "made.txt").exists()
