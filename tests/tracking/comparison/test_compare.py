"""What differs between runs: params, metrics, data by column and rows, packages, models; two runs or many."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.snapshot.fingerprint import fingerprint_file, fingerprint_frame, schema_of
from nbops.tracking.comparison.compare import Comparison, Overview, compare, compare_refs
from nbops.tracking.comparison.data import data_changes, described
from nbops.tracking.comparison.packages import package_changes
from nbops.tracking.schema import DatasetVersion, RunDetail, RunSummary, Versions
from nbops.tracking.store import Store, baseline


def run(
    *,
    datasets: list[DatasetVersion] | None = None,
    snapshot: dict[str, Any] | None = None,
    versions: Versions | None = None,
    **parts: Any,
) -> RunDetail:
    summary = RunSummary("a" * 32, "one", "trial", "FINISHED", 0.0, versions=versions or Versions(), **parts)
    return RunDetail(summary, datasets=datasets or [], snapshot=snapshot or {})


@pytest.fixture
def store(project: Project) -> Store:
    return Store(project)


def test_params_metrics_and_versions() -> None:
    found = compare(
        run(
            params={"lr": "0.1", "same": "1"}, metrics={"auc": 0.7, "loss": 0.5, "k": 1.0}, versions=Versions(code="a")
        ),
        run(params={"same": "1", "new": "1"}, metrics={"auc": 0.8, "loss": 0.6, "k": 2.0}, versions=Versions(code="b")),
    )
    assert [(change.name, change.before, change.after) for change in found.params] == [
        ("lr", "0.1", None),
        ("new", None, "1"),
    ]
    assert [(change.name, change.verdict) for change in found.metrics] == [
        ("auc", "better"),
        ("k", "different"),
        ("loss", "worse"),
    ]
    assert [change.name for change in found.versions] == ["code"]
    assert not found.same
    assert compare(run(), run()).same


def test_packages() -> None:
    def with_packages(packages: dict[str, str], **more: Any) -> dict[str, Any]:
        return {"environment": {"python": "3.11.7", "distributions": packages, **more}}

    before = with_packages({"numpy": "2.9", "gone": "1", "odd": "a-b", "mine": "1"}, direct={"mine": "file:///one"})
    after = with_packages(
        {"numpy": "2.10", "new": "1", "odd": "c-d", "mine": "1"},
        direct={"mine": "file:///two"},
        threads={"OMP_NUM_THREADS": "1"},
    )
    found = {change.name: change.kind for change in package_changes(before, after)}
    changed = {"gone": "removed", "mine": "changed", "new": "added", "numpy": "upgraded", "odd": "changed"}
    assert found == {**changed, "(OMP_NUM_THREADS)": "added"}
    older = {"environment": {"python": "3.10.1", "distributions": {"numpy": "2.9"}}}
    assert [(c.name, c.kind) for c in package_changes(with_packages({"numpy": "2.9"}), older)] == [
        ("(python)", "downgraded")
    ]
    assert package_changes({}, after) == [], "unknown isn't different"


def table(frame: pd.DataFrame, source: str = "data/in.csv", digest: str | None = None) -> DatasetVersion:
    return DatasetVersion(Path(source).name, source, digest or fingerprint_frame(frame), len(frame), schema_of(frame))


BEFORE = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": [0.5, 1.5, 2.5]})


def test_columns_and_rows() -> None:
    after = BEFORE[["c", "a"]].assign(a=[1.0, 2.0, 3.0], d=1).iloc[:2]
    (change,) = data_changes(run(datasets=[table(BEFORE)]), run(datasets=[table(after)]))
    assert (change.kind, change.rows, change.added, change.removed) == ("changed", (3, 2), ["d"], ["b"])
    assert [(c.name, c.before, c.after) for c in change.retyped] == [("a", "long", "double")]
    assert change.reordered
    told = described(change)
    assert told["retyped"] == "a: long → double"
    assert told["rows"] == "3 → 2"


def test_added_removed_and_replaced_datasets() -> None:
    other = pd.DataFrame({"z": [1]})
    one, two = table(BEFORE, "one.csv"), table(other, "two.csv")
    kinds = [(c.source, c.kind) for c in data_changes(run(datasets=[one]), run(datasets=[two]))]
    assert kinds == [("one.csv", "removed"), ("two.csv", "added")]
    replaced = table(BEFORE.assign(a=9), "new.csv")
    (change,) = data_changes(run(datasets=[one]), run(datasets=[replaced]))
    assert change.source == "one.csv → new.csv"


def test_which_values_changed_where_both_contents_are_there(project: Project) -> None:
    """The old content is in git, the new one in the working tree."""
    (folder := project.root / "data").mkdir()
    BEFORE.to_csv(folder / "in.csv", index=False)
    old = table(pd.read_csv(folder / "in.csv"))
    for command in ("init -q", "add -A", "-c user.name=a -c user.email=a@b.c commit -qm one"):
        subprocess.run(["git", *command.split()], cwd=project.root, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project.root, capture_output=True, text=True, check=True)
    BEFORE.assign(a=[1, 9, 9]).to_csv(folder / "in.csv", index=False)
    new = DatasetVersion("in.csv", "data/in.csv", fingerprint_file(folder / "in.csv"), 3, schema_of(BEFORE))

    before = run(datasets=[old], snapshot={"code": {"commit": commit.stdout.strip()}})
    (change,) = data_changes(before, run(datasets=[new]), project)
    assert change.values == {"a": 2}
    assert described(change)["values differ in"] == "a (2 rows)"

    (folder / "in.csv").write_text("overwritten\n1\n", encoding="utf-8")
    (change,) = data_changes(before, run(datasets=[new]), project)
    assert change.values is None
    assert "the content after can't be had any more" in change.note


def test_the_recipe_is_what_is_compared_unless_the_history_is_asked_for(store: Store) -> None:
    runs = []
    for number in range(2):
        run_id = store.start_run(f"r{number}")
        cells = [{"cell_id": "a", "source": "x = 1"}, {"cell_id": "b", "source": f"print({number})"}]
        code = {"cells": cells, "modules": {"features.py": f"digest {number}"}}
        store.log_text(run_id, json.dumps({"code": code}), "nbops/snapshot.json")
        store.log_text(run_id, json.dumps({"session": "s", "pieces": cells[:1]}), "nbops/recipe.json")
        runs.append(store.run(run_id))
    found = compare(*runs, store)
    assert [cell.kind for cell in found.code] == ["same"]
    assert [(change.name, change.before) for change in found.modules] == [("features.py", "digest 0")]
    assert [cell.kind for cell in compare(*runs, store, history=True).code] == ["same", "edited"]


def test_models() -> None:
    def with_model(**facts: Any) -> dict[str, Any]:
        return {"model": {"models": [{"name": "model", **facts}]}}

    found = compare(
        run(snapshot=with_model(kind="SVC", digest="a", bytes=1)),
        run(snapshot=with_model(kind="SVC", digest="b", bytes=2)),
    )
    (change,) = found.models
    assert change.before == {"kind": "SVC", "digest": "a", "bytes": 1}


def make(store: Store, name: str, **metrics: float) -> str:
    run_id = store.start_run(name)
    store.log(run_id, metrics=metrics, params={"name": name})
    store.log_text(
        run_id, json.dumps({"code": {"cells": [{"cell_id": "a", "source": f"x = '{name}'"}]}}), "nbops/snapshot.json"
    )
    store.end_run(run_id)
    return run_id


def test_one_run_is_compared_with_the_baseline_and_many_side_by_side(store: Store) -> None:
    one, two, three = (make(store, name, auc=value) for name, value in (("one", 0.7), ("two", 0.8), ("three", 0.6)))
    with pytest.raises(TrackingError, match="no baseline"):
        compare_refs(store, ["two"])
    with pytest.raises(TrackingError, match="no runs to compare"):
        compare_refs(store, [])
    baseline.pin(store, "one")
    found, _ = compare_refs(store, ["two"])
    assert isinstance(found, Comparison)
    assert (found.before.run_id, found.after.run_id, found.metrics[0].verdict) == (one, two, "better")
    found, _ = compare_refs(store, ["one", "two", "three"])
    assert isinstance(found, Overview)
    assert [row.values for row in found.metrics] == [[0.7, 0.8, 0.6]]
    assert [pair.after.run_id for pair in found.against_first] == [two, three]


def test_every_run_says_what_it_is_against_the_baseline(store: Store, project: Project) -> None:
    base, other = (
        make(store, "base", auc=0.7, loss=0.5, profit=1.0, only=1.0),
        make(store, "other", auc=0.7, loss=0.6, profit=2.0),
    )
    assert baseline.pinned(store) is None
    assert all(run.baseline is None and not run.against for run in store.runs())
    baseline.pin(store, base[:8])
    assert store.run(other).summary.against == {"auc": "same", "loss": "worse", "profit": "different"}
    (project.root / "nbops.toml").write_text(
        '[tracking]\nexperiment = "trial"\nmetrics = {profit = "max"}\n', encoding="utf-8"
    )
    again = Store(Project.find(project.root))
    by_name = {run.name: run for run in again.runs()}
    assert by_name["other"].against["profit"] == "better"
    assert {run.baseline for run in by_name.values()} == {base}
    assert baseline.unpin(again) is not None
    assert again.runs()[0].baseline is None
    baseline.pin(again, base)
    again.client.delete_run(base)
    assert again.runs()[0].baseline is None
    with pytest.raises(TrackingError, match="no experiment"):
        baseline.pinned(again, "nowhere")
