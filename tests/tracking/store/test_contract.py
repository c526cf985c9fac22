"""What `Store` promises, on SQLite, on PostgreSQL with S3, and over HTTP with proxied artifacts."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nbops.errors import TrackingError
from nbops.project import Project
from nbops.tracking.schema import DatasetVersion
from nbops.tracking.store import Store

DATASET = DatasetVersion("in.csv", "data/ä in.csv", "d" * 32, 3, {"a": "long", "ü b": "string"})


def test_a_run_with_all_that_it_logged(store: Store, tmp_path: Path) -> None:
    run_id = store.start_run("first", tags={"nbops.notebook": "a.ipynb", "nbops.code": "12345678"})
    store.log(run_id, params={"lr": 0.1, "api_key": "hunter2"}, metrics={"auc": 0.7}, tags={"team": "a"})
    store.log_datasets(run_id, [DATASET])
    store.log_text(run_id, '{"format": 1}', "nbops/snapshot.json")
    (tmp_path / "f.txt").write_text("ä", encoding="utf-8")
    store.log_file(run_id, tmp_path / "f.txt", "more")
    (tmp_path / "folder/deep").mkdir(parents=True)
    (tmp_path / "folder/deep/g h.bin").write_bytes(bytes(range(256)) * 1000)
    store.log_folder(run_id, tmp_path / "folder", "tree")
    store.end_run(run_id)

    detail = store.run(run_id)
    summary = detail.summary
    assert (summary.name, summary.status, summary.notebook) == ("first", "FINISHED", "a.ipynb")
    assert (summary.versions.code, summary.versions.data) == ("12345678", None)
    assert (summary.params, summary.metrics) == ({"lr": "0.1", "api_key": "***"}, {"auc": 0.7})
    assert summary.ended
    assert 0 <= summary.ended - summary.started < 60
    assert (detail.tags["mlflow.source.name"], detail.tags["team"]) == ("a.ipynb", "a")
    assert detail.datasets == [DATASET]
    assert detail.artifacts == ["more/f.txt", "nbops/snapshot.json", "tree/deep/g h.bin"]
    assert detail.snapshot == {"format": 1}
    assert store.download(run_id, "more/f.txt", tmp_path).read_text(encoding="utf-8") == "ä"
    assert len((store.download(run_id, "tree", tmp_path / "back") / "deep/g h.bin").read_bytes()) == 256_000
    with pytest.raises(TrackingError, match="no artifact"):
        store.download(run_id, "missing.txt", tmp_path)


def test_runs_that_were_made_again_stand_for_no_other(store: Store) -> None:
    first = store.start_run("model")
    again = store.start_run("model", tags={"nbops.notebook": f".nbops/executed/reproduced-{first[:8]}.ipynb"})
    store.log(again, tags={"nbops.reproduces": first})
    inner = store.start_run("inner", tags={"nbops.notebook": f".nbops/executed/reproduced-{first[:8]}.ipynb"})
    assert store.resolve("latest") == store.resolve("model") == first
    assert (store.resolve(again[:12]), store.resolve("inner")) == (again, inner)
    mine = {first, again, inner}
    assert {run.run_id for run in store.runs() if run.run_id in mine} == mine
    assert {run.run_id for run in store.runs(limit=1, made_again=False)} == {first}


def test_what_a_store_would_refuse_is_made_acceptable(store: Store) -> None:
    run_id = store.start_run("näme \U0001f680")
    texts = {"long": "x" * 10_000, "unicode": "żółć \U0001f680", "nul": "a\0b", "torn": "a\ud800b", "f1 (macro)": 1}
    names = {"../up": 1, "n" * 300: 2, "größe": 3, "": 4}
    figures = {"nan": math.nan, "huge": math.inf, "f1 (macro)": 0.5, "mean|err|": 1.0}
    store.log(run_id, params={**texts, **names}, metrics=figures, tags={"note": "y" * 20_000})

    found = store.run(run_id)
    assert found.summary.name == "näme \U0001f680"
    assert len(found.summary.params["long"]) == 6000
    assert found.summary.params["unicode"] == "żółć \U0001f680"
    assert found.summary.params["nul"] == "a\ufffdb"
    assert found.summary.params["torn"] == "a?b"
    assert found.summary.params["f1 _macro_"] == "1"
    assert found.summary.params["größe"] == "3"
    assert len(found.summary.params) == 9
    assert math.isnan(found.summary.metrics["nan"])
    assert found.summary.metrics["huge"] > 1e308
    assert (found.summary.metrics["f1 _macro_"], found.summary.metrics["mean_err_"]) == (0.5, 1.0)
    assert len(found.tags["note"]) == 8000


def test_more_than_mlflow_takes_at_once(store: Store) -> None:
    run_id = store.start_run("many")
    began = time.monotonic()
    params = {f"p{i}": "\U0001f680" * 3000 for i in range(150)}  # 1.8 MB, twice what one request may hold
    store.log(
        run_id, params=params, metrics={f"m{i}": float(i) for i in range(2500)}, tags={f"t{i}": "x" for i in range(250)}
    )
    assert time.monotonic() - began < 20
    found = store.run(run_id).summary
    assert (len(found.params), len(found.metrics), found.metrics["m2499"]) == (150, 2500, 2499.0)


def test_every_value_of_a_metric_comes_back_by_its_step(store: Store) -> None:
    run_id = store.start_run("curve")
    for step in (2, 0, 1):
        store.client.log_metric(run_id, "loss", 1 / (step + 1), step=step)
    assert [(point.step, point.value) for point in store.metric_history(run_id, "loss")] == [
        (0, 1),
        (1, 0.5),
        (2, 1 / 3),
    ]
    assert store.metric_history(run_id, "none") == []


def test_references_to_runs(store: Store) -> None:
    first = store.start_run("first")
    twin = store.start_run("twin", parent=first, tags={"nbops.id": "feedfacefeedfacefeedfacefeedface"})
    other = store.start_run("twin")
    odd = store.start_run("it's")
    assert store.resolve(first) == first
    assert store.resolve(first[:10]) == first
    assert store.resolve(first[:10].upper()) == first
    assert store.resolve("first") == first
    assert store.resolve("it's") == odd
    assert store.resolve("twin") in (other, twin)
    assert store.resolve("feedface") == twin, "the id that it had in its kernel"
    assert [run.run_id for run in store.children(first)] == [twin]
    store.client.delete_run(store.resolve("feedface"))
    for reference in ("none", "0" * 32, '"it\'s"', "%", first[:3], "feedface"):
        with pytest.raises(TrackingError, match="no run"):
            store.resolve(reference)


def test_runs_by_filter_and_beyond_a_page(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = f"trial-{time.time_ns()}"
    made = [store.start_run(f"r{i}", tags={"batch": mine}) for i in range(12)]
    for position, run_id in enumerate(made):
        store.log(run_id, metrics={"auc": position / 10}, params={"model": "svm" if position % 2 else "tree"})
    monkeypatch.setattr("nbops.tracking.store.search._PAGE", 5)
    everything = store.runs(where=f"tags.batch = '{mine}'")
    assert {run.run_id for run in everything} == set(made)
    assert [run.started for run in everything] == sorted((run.started for run in everything), reverse=True)
    assert len(store.runs(where=f"tags.batch = '{mine}'", limit=7)) == 7
    chosen = store.runs(where=f"tags.batch = '{mine}' and metrics.auc > 0.65 and params.model = 'svm'")
    assert {run.run_id for run in chosen} == {made[7], made[9], made[11]}


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("err > 5", "did you mean metrics.err?"),
        ("errr > 5", "did you mean metrics.err?"),
        ("model = 'svm'", "did you mean params.model?"),
        ("metrics.err > 5 and statu = 'FAILED'", "did you mean attributes.status?"),
        ("valid err > 1", "did you mean metrics.`valid err`?"),
        ("zzz > 5", "metrics.NAME"),
        ("metrics.err > 5 or metrics.err < 1", "`and` only"),
        ("metrics.err > 'high'", "metrics.auc > 0.7"),
        ("params.depth = 5", "put the value in quotes"),
        ("nonsense", "metrics.auc > 0.7"),
    ],
)
def test_a_filter_that_cannot_be_read_says_how_to_write_it(store: Store, where: str, said: str) -> None:
    store.log(store.start_run("x"), metrics={"err": 1.0, "valid err": 2.0}, params={"model": "svm", "depth": 5})
    with pytest.raises(TrackingError) as caught:
        store.runs(where=where)
    assert said in str(caught.value)
    assert caught.value.where == f"filter {where}"


def test_models_versions_and_aliases(store: Store) -> None:
    run_id = store.start_run("trains")
    store.log_text(run_id, "weights", "model/weights.txt")
    model = f"model-{time.time_ns()}"
    assert store.registry.by_alias(model, "champion") is None
    one = store.registry.register(model, run_id, "model")
    two = store.registry.register(model, run_id, "model")
    store.registry.tag(model, one, {"evidence": "ü" * 3000})
    store.registry.set_alias(model, "champion", one)
    found = store.registry.by_alias(model, "champion")
    assert found is not None
    assert (found.version, found.run_id, found.aliases) == (one, run_id, ("champion",))
    assert found.tags["evidence"] == "ü" * 3000
    assert store.registry.of_run(model, run_id) == two
    with pytest.raises(TrackingError, match="no version 99"):
        store.registry.version(model, "99")


def test_two_processes_write_at_once(store: Store, project: Project) -> None:
    code = (
        "import sys; from nbops.project import Project; from nbops.tracking.store import Store\n"
        "store = Store(Project.find(sys.argv[1]))\n"
        "for number in range(8):\n"
        "    run_id = store.start_run(f'{sys.argv[2]}{number}', tags={'writer': 'both'})\n"
        "    store.log(run_id, params={'n': number}, metrics={f'm{i}': i for i in range(50)})\n"
        "    store.end_run(run_id)\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(project.root), name]) for name in ("a", "b")]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    found = [run for run in store.runs(limit=500) if run.experiment == project.experiment]
    assert sorted(run.name for run in found) == sorted(f"{name}{number}" for name in "ab" for number in range(8))
    assert all((run.status, run.params["n"], len(run.metrics)) == ("FINISHED", run.name[1:], 50) for run in found)
