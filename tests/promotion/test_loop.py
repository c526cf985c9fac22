"""From a pipeline's model to a proven bundle, for real: kernels, MLflow, clean environments, HTTP."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import httpx
import pandas as pd
import pytest

from loop import Loop
from nbops.errors import GateFailed, PromotionError, ProofFailed
from nbops.promotion import environments, running
from nbops.promotion.bundle import open_bundle, package
from nbops.promotion.candidates import from_pipeline, from_run
from nbops.promotion.capture import FOLDER
from nbops.promotion.promote import promote

pytestmark = pytest.mark.slow


def test_the_candidate_knows_its_pipeline(loop: Loop) -> None:
    assert loop.candidate.run.summary.stage == "train"
    assert set(loop.candidate.stages) == {"data", "train"}
    assert loop.candidate.metrics["accuracy"] > loop.candidate.metrics["baseline_accuracy"]
    parent = loop.candidate.run.summary.parent
    assert parent
    assert from_run(loop.store, parent).run.summary.run_id == loop.candidate.run.summary.run_id


def test_the_registry_holds_the_version_and_its_evidence(loop: Loop) -> None:
    version = loop.store.registry.by_alias("biopsy", "champion")
    assert version is not None
    assert version.run_id == loop.candidate.run.summary.run_id
    assert {gate["outcome"] for gate in json.loads(version.tags["nbops.gates"])} == {"passed"}
    assert json.loads(version.tags["nbops.promoted"])["reason"] == "first"
    assert version.tags["nbops.code"] == loop.candidate.run.summary.versions.code


def test_promoting_again_makes_no_second_version(loop: Loop) -> None:
    again = promote(loop.store, from_pipeline(loop.store), alias="challenger")
    assert again.version == loop.promotion.version


def test_a_refused_candidate_leaves_nothing(loop: Loop) -> None:
    worse = type(loop.candidate)(loop.candidate.run, {**loop.candidate.metrics, "accuracy": 0.5}, loop.candidate.stages)
    before = loop.store.client.search_model_versions("name = 'biopsy'")
    with pytest.raises(GateFailed, match="beats_baseline"):
        promote(loop.store, worse, alias="refused")
    assert len(loop.store.client.search_model_versions("name = 'biopsy'")) == len(before)
    assert loop.store.registry.by_alias("biopsy", "refused") is None


def test_mlflow_loads_the_model_by_its_alias(loop: Loop) -> None:
    import mlflow

    examples = loop.bundle.read("examples.json")
    mlflow.set_tracking_uri(loop.project.tracking_uri)
    model = mlflow.pyfunc.load_model("models:/biopsy@champion")
    predicted = model.predict(pd.DataFrame(examples["data"], columns=examples["columns"]))
    assert list(predicted) == pytest.approx(examples["predictions"], rel=1e-9)


def test_the_bundle_is_whole(loop: Loop) -> None:
    names = {path.name for path in loop.bundle.path.iterdir()}
    assert names >= {
        "Dockerfile", "MODEL_CARD.md", "bundle.json", "dist", "examples.json", "openapi.json", "proof.json",
        "requirements.lock", "snapshot.json",
    }  # fmt: skip
    assert loop.bundle.read("proof.json")["passed"] is True
    assert all(check["equal_bits"] == check["rows"] for check in loop.bundle.read("proof.json")["checks"])
    lock = loop.bundle.lock.read_text()
    assert "://" not in lock
    assert "--hash=sha256:" in lock
    assert open_bundle(loop.bundle.path) == loop.bundle


def test_the_wheel_needs_neither_nbops_nor_jupyter_nor_mlflow(loop: Loop) -> None:
    python = environments.make(loop.project.state / "environments", loop.bundle.lock, loop.bundle.wheel)
    installed = environments.installed_in(python)
    assert "biopsy" in installed
    assert not {"nbops", "mlflow", "jupyterlab", "ipykernel", "ipython", "papermill", "nbformat"} & installed.keys()
    with zipfile.ZipFile(loop.bundle.wheel) as wheel:
        assert not any("test" in name or name.endswith(".pyc") for name in wheel.namelist())


def test_the_service_answers_and_refuses_bad_input(loop: Loop) -> None:
    python = environments.make(loop.project.state / "environments", loop.bundle.lock, loop.bundle.wheel)
    good = {"radius": 14.0, "texture": 20.0, "smoothness": 0.1}
    with running.start(python, loop.bundle.package) as service, httpx.Client(base_url=service.url) as client:

        def ask(row: dict[str, object]) -> httpx.Response:
            return client.post("/invocations", json={"dataframe_records": [good, row]})

        assert len(ask(good).json()["predictions"]) == 2
        for row, field in (
            ({**good, "radius": "wide"}, "radius"),
            ({**good, "colour": 3}, "colour"),
            ({"radius": 14.0, "texture": 20.0}, "smoothness"),
        ):
            answer = ask(row)
            assert answer.status_code in (400, 422)
            assert field in answer.json()["message"]
        assert (
            client.post("/invocations", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
        )
        huge = client.post("/invocations", content=b"x" * 100_000_000, headers={"Content-Type": "application/json"})
        assert huge.status_code == 413
        assert client.get("/readyz").status_code == 200
        assert "biopsy" in client.get("/v2/models/biopsy").text
    assert service.process.returncode == 0


def test_wrong_by_a_thousandth_is_refused_and_the_old_bundle_stays(loop: Loop, tmp_path: Path) -> None:
    run_id = loop.candidate.run.summary.run_id
    recorded = loop.store.download(run_id, f"{FOLDER}/scoring.py", tmp_path)
    original = recorded.read_text()
    wrong = tmp_path / "wrong" / "scoring.py"
    wrong.parent.mkdir()
    wrong.write_text(original.replace("return p_malignant", "return p_malignant + 1e-3"))
    before = sorted(path.name for path in loop.project.bundles.iterdir())
    version = loop.store.registry.version("biopsy", loop.promotion.version)
    loop.store.log_file(run_id, wrong, FOLDER)
    try:
        with pytest.raises(ProofFailed, match="the notebook predicted"):
            package(loop.store, version, force=True)
    finally:
        restored = tmp_path / "right" / "scoring.py"
        restored.parent.mkdir()
        restored.write_text(original)
        loop.store.log_file(run_id, restored, FOLDER)
    assert sorted(path.name for path in loop.project.bundles.iterdir()) == before
    assert open_bundle(loop.bundle.path) == loop.bundle
    assert not list((loop.project.state / "work").glob("bundle-*"))


def test_a_changed_bundle_is_not_served(loop: Loop, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(loop.bundle.path, copy)
    model = next(copy.rglob("model.pkl"))
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    with pytest.raises(PromotionError, match=r"model\.pkl isn't the file that was proven"):
        open_bundle(copy)


def test_the_same_run_gives_the_same_wheel(loop: Loop, tmp_path: Path) -> None:
    from nbops.promotion.bundle import build_wheel

    shutil.copytree(loop.bundle.path / "service", tmp_path / "service")
    assert build_wheel(tmp_path / "service", tmp_path / "dist").read_bytes() == loop.bundle.wheel.read_bytes()
