"""Libraries other than scikit-learn that train in a kernel: one run a training, with what MLflow's autologging logs."""

from __future__ import annotations

import json
import subprocess
import sys
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from kernels import Kernel
from nbops.project import Project
from nbops.tracking.journal import settle
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

START = """
import os
os.environ["OMP_NUM_THREADS"] = "1"
import random
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
X = pd.DataFrame(rng.normal(size=(120, 3)), columns=list("abc"))
y = (X.a + X.b > 0).astype(int)
quiet = {"verbose": -1, "num_leaves": 4}
"""
CELLS = {
    "xgb": "import xgboost\nd = xgboost.DMatrix(X, label=y)\n"
    "b = xgboost.train({'max_depth': 2}, d, num_boost_round=4, evals=[(d, 'train')], early_stopping_rounds=3)",
    "xgb-fit": "c = xgboost.XGBClassifier(n_estimators=3, max_depth=2).fit(X, y)\nc.score(X, y)",
    "lgb": "import lightgbm\nl = lightgbm.train({'objective': 'binary', **quiet}, lightgbm.Dataset(X, label=y), 4,"
    " valid_sets=[lightgbm.Dataset(X, label=y)])",
    "lgb-fit": "e = lightgbm.LGBMRegressor(n_estimators=3, **quiet).fit(X, y)",
    "ols": "import statsmodels.api as sm\no = sm.OLS(y, X).fit()",
    "twice": "for n in (1, 2):\n    lightgbm.LGBMRegressor(n_estimators=n, **quiet).fit(X, y)",
}
WITHIN = {
    "pipeline": "from sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
    "p = make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=2)).fit(X, y)",
    "folds": "from sklearn.model_selection import cross_val_score\n"
    "s = cross_val_score(lightgbm.LGBMRegressor(n_estimators=2, **quiet), X, y, cv=2)",
    "failing": "xgboost.train({'max_depth': 'deep'}, d)",
}
PEER = """
import __main__, json, logging, sys
import mlflow, mlflow.utils.environment
logging.getLogger("mlflow").setLevel(logging.ERROR)
mlflow.set_tracking_uri(sys.argv[1])
mlflow.utils.environment._infer_requirements = lambda *_, **__: ["mlflow"]  # takes ten seconds a model
for flavor in (mlflow.xgboost, mlflow.lightgbm, mlflow.statsmodels):
    flavor.autolog(silent=True)
for number, cell in enumerate(json.load(sys.stdin)):
    exec(compile(cell, f"<cell {number}>", "exec"), __main__.__dict__)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    """Return a project after all cells were executed, and how each of them ended."""
    root = tmp_path_factory.mktemp("trained")
    (root / "nbops.toml").write_text('[project]\nname = "trial"\n', encoding="utf-8")
    said = {}
    kernel = Kernel(root, {"JPY_SESSION_NAME": str(root / "trials.ipynb")}).start()
    try:
        kernel.run("%load_ext nbops")
        kernel.run(START, cell_id="start")
        for name, cell in {**CELLS, **WITHIN}.items():
            said[name] = kernel.run(cell, cell_id=name).status
        kernel.run("random.seed(1)")
        kernel.run(CELLS["lgb-fit"])
        said["random"] = kernel.run("random.random()").text
        said["active"] = kernel.run("import mlflow\nmlflow.active_run()").text
    finally:
        kernel.stop()
    project = Project.find(root)
    settle(project)
    return project, said


def _runs(project: Project) -> dict[str, list[Any]]:
    """Return the runs of a project by the cell that made them, oldest first."""
    client = Store(project).client
    found: dict[str, list[Any]] = {}
    for run in _of_store(client):
        found.setdefault(run.data.tags.get("nbops.cell", "unnamed"), []).append(run)
    return found


def _of_store(client: Any) -> list[Any]:
    runs = client.search_runs([experiment.experiment_id for experiment in client.search_experiments()])
    return sorted(runs, key=lambda run: int(run.info.start_time))


def _logged(client: Any, run: Any) -> dict[str, Any]:
    models = [client.get_logged_model(made.model_id) for made in run.outputs.model_outputs]
    return {
        "kind": run.data.tags["mlflow.autologging"],
        "params": {key: value for key, value in run.data.params.items() if key not in ("n", "quiet")},
        "metrics": {key: round(value, 9) for key, value in run.data.metrics.items()},
        "status": run.info.status,
        "datasets": sorted(
            (one.dataset.name, one.dataset.digest, one.dataset.schema)
            for one in run.inputs.dataset_inputs
            if not one.dataset.name.startswith("fit ")
        ),
        "models": sorted(
            (
                (
                    model.name,
                    str(model.status),
                    model.params,
                    sorted((m.key, m.step, round(m.value, 9)) for m in model.metrics or []),
                )
                for model in models
            ),
            key=itemgetter(0),
        ),
        "artifacts": sorted(
            item.path
            for item in client.list_artifacts(run.info.run_id)
            if item.path != "nbops" and not item.path.endswith(".png")
        ),
    }


def test_what_is_trained_is_logged_as_mlflow_alone_logs_it(
    trained: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    project, said = trained
    assert {said[name] for name in CELLS} == {"ok"}
    uri = f"sqlite:///{tmp_path / 'peer.db'}"
    subprocess.run(
        [sys.executable, "-c", PEER, uri],
        input=json.dumps([START, *CELLS.values()]),
        text=True,
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    from mlflow import MlflowClient

    peer = MlflowClient(uri)
    ours, theirs = _runs(project), _of_store(peer)
    assert [len(ours[name]) for name in CELLS] == [1, 1, 1, 1, 1, 2]
    client = Store(project).client
    for mine, other in zip([run for name in CELLS for run in ours[name]], theirs, strict=True):
        assert _logged(client, mine) == _logged(peer, other)


def test_each_run_has_its_versions_and_its_source(trained: tuple[Project, dict[str, str]]) -> None:
    runs = _runs(trained[0])
    for name in ("xgb", "xgb-fit", "lgb", "lgb-fit", "ols"):
        [run] = runs[name]
        kinds = {key for key in run.data.tags if key in {f"nbops.{kind}" for kind in VERSIONS}}
        assert kinds == {f"nbops.{kind}" for kind in VERSIONS}, name
        assert run.data.tags["mlflow.source.name"] == "trials.ipynb"
    given = {
        name: {one.dataset.name: one.dataset.digest for one in runs[name][0].inputs.dataset_inputs} for name in CELLS
    }
    assert len({(data["fit X"], data["fit y"]) for data in given.values()}) == 1  # the same frames, whatever trained


VERSIONS = ("code", "data", "model", "environment", "experiment")


def test_models_can_be_loaded_and_know_their_requirements(trained: tuple[Project, dict[str, str]]) -> None:
    import mlflow

    project = trained[0]
    mlflow.set_tracking_uri(project.tracking_uri)
    import pandas as pd

    X = pd.DataFrame([[0.1, 0.2, 0.3]], columns=list("abc"))
    for name, package in {"xgb": "xgboost", "xgb-fit": "xgboost", "lgb-fit": "lightgbm", "ols": "statsmodels"}.items():
        [made] = _runs(project)[name][0].outputs.model_outputs
        place = mlflow.artifacts.download_artifacts(f"models:/{made.model_id}")
        needed = (Path(place) / "requirements.txt").read_text(encoding="utf-8").splitlines()
        assert any(line.startswith(f"{package}==") for line in needed)
        model = mlflow.pyfunc.load_model(place)
        assert (model.metadata.model_id, len(model.predict(X))) == (made.model_id, 1)


def test_only_the_outermost_training_makes_a_run_and_none_stays_open(trained: tuple[Project, dict[str, str]]) -> None:
    project, said = trained
    runs = _runs(project)
    assert [run.data.tags["mlflow.autologging"] for run in runs["pipeline"]] == ["sklearn"]
    assert "folds" not in runs
    assert said["failing"] == "error"
    assert [run.info.status for run in runs["failing"]] == ["FAILED"]
    assert said["active"] == ""
    assert {run.info.status for name in runs if name != "failing" for run in runs[name]} == {"FINISHED"}


def test_logging_draws_no_random_numbers_and_leaves_no_trace_in_recipes(
    trained: tuple[Project, dict[str, str]],
) -> None:
    import random

    project, said = trained
    assert float(said["random"]) == random.Random(1).random()
    recipe = Store(project).run(_runs(project)["lgb-fit"][0].info.run_id)
    script = Store(project).download(recipe.summary.run_id, "nbops/recipe.json", project.root / "fetched")
    cells = [piece["cell_id"] for piece in json.loads(script.read_text(encoding="utf-8"))["pieces"]]
    assert "xgb-fit" not in cells
    assert {"start", "lgb-fit"} <= set(cells)


def test_what_the_user_decided_on_autologging_holds(project: Project) -> None:
    kernel = Kernel(project.root).start()
    try:
        kernel.run(START + "import lightgbm, mlflow")
        kernel.run("from nbops.tracking.journal import sklearn_hooks\nsklearn_hooks.is_possible = lambda: False")
        kernel.run("%load_ext nbops")
        fit = "lightgbm.LGBMRegressor(n_estimators={}, **quiet).fit(X, y)"
        for cell in (
            fit.format(1),
            "%%nbops skip\n" + fit.format(2),
            "from sklearn.linear_model import Ridge\nRidge(alpha=5).fit(X, y)",
            "mlflow.lightgbm.autolog(log_models=False, silent=True)\n" + fit.format(3),
            "mlflow.lightgbm.autolog(disable=True)\n" + fit.format(4),
        ):
            assert kernel.run(cell).status == "ok"
    finally:
        kernel.stop()
    settle(project)
    runs = _of_store(Store(project).client)
    sizes = [run.data.params.get("num_boost_round", run.data.params.get("alpha")) for run in runs]
    assert sizes == ["1", "5", "3"]
    assert [len(run.outputs.model_outputs) for run in runs] == [1, 1, 0]
