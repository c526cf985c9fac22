"""Which run is promoted."""

from __future__ import annotations

import json

import pytest

from nbops.errors import PromotionError
from nbops.project import Project
from nbops.promotion.candidates import STAGES_TAG, from_run
from nbops.promotion.capture import FOLDER
from nbops.tracking.store import Store


def test_one_of_several_scoring_stages_can_be_chosen(project: Project) -> None:
    store = Store(project)
    parent = store.start_run("pipeline")
    stages = {}
    for name in ("first", "second"):
        run_id = store.start_run(name, parent=parent, tags={"nbops.stage": name})
        store.log(run_id, metrics={f"auc_{name}": 0.5})
        store.log_text(run_id, "{}", f"{FOLDER}/capture.json")
        stages[name] = run_id
    store.log(parent, tags={STAGES_TAG: json.dumps({name: {"run_id": run_id} for name, run_id in stages.items()})})
    with pytest.raises(PromotionError, match="several stages record a scoring cell: first") as caught:
        from_run(store, parent)
    assert f"nbops promote {stages['second'][:8]}" in caught.value.remedy
    chosen = from_run(store, stages["first"])
    assert chosen.run.summary.run_id == stages["first"]
    assert set(chosen.metrics) == {"auc_first", "auc_second"}


def test_a_run_without_a_scoring_cell_says_how_to_mark_one(project: Project) -> None:
    store = Store(project)
    run_id = store.start_run("plain")
    with pytest.raises(PromotionError, match="no scoring cell was recorded") as caught:
        from_run(store, run_id)
    assert "%%nbops score" in caught.value.remedy
