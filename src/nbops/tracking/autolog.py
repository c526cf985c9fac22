"""MLflow's autologging, switched on when a library that trains models is about to be used.

Importing MLflow takes two seconds, so an interactive kernel warms it up in a thread right after ``%load_ext nbops``,
and a cell that could train waits for it. In a pipeline stage, where cells follow each other at once, it is imported when
such a cell comes. Models, datasets and signatures are left to nbops, which records them in a thousandth of the time.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import threading

from nbops.notebook.normalise import parse
from nbops.project import Project
from nbops.tracking.store import Store

_TRAINERS = frozenset(
    {
        "catboost",
        "fastai",
        "keras",
        "lightgbm",
        "lightning",
        "mlflow",
        "pyspark",
        "pytorch_lightning",
        "sklearn",
        "statsmodels",
        "tensorflow",
        "torch",
        "transformers",
        "xgboost",
    }
)


class Autologging:
    """Switches MLflow's autologging on, once, in time.

    Parameters
    ----------
    project
        Whose store gets the runs.
    stage_run
        The run of the pipeline stage that this kernel executes: what is logged lands there.
    """

    def __init__(self, project: Project, stage_run: str | None = None) -> None:
        self.project = project
        self.stage_run = stage_run
        self.store = Store(project)
        self.ready = False
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Start switching on in the background."""
        threading.Thread(target=self.ensure, name="nbops-warm-up", daemon=True).start()

    def ensure(self) -> None:
        """Return when autologging is on."""
        with self._lock:
            if not self.ready:
                self._switch_on()
                self.ready = True

    def before_cell(self, source: str) -> None:
        """Make sure that what a cell may train is logged; costs microseconds where nothing can be trained."""
        if not (self.ready or _may_train(source)):
            return
        self.ensure()
        import mlflow

        if self.stage_run and mlflow.active_run() is None:
            os.environ["MLFLOW_RUN_ID"] = self.stage_run

    def _switch_on(self) -> None:
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        experiment = self.store.experiment_id()
        import mlflow

        mlflow.set_tracking_uri(self.project.tracking_uri)
        mlflow.set_registry_uri(self.project.tracking_uri)
        os.environ.setdefault("MLFLOW_EXPERIMENT_ID", experiment)
        logging.getLogger("mlflow").setLevel(logging.ERROR)
        mlflow.autolog(
            log_input_examples=False,
            log_model_signatures=False,
            log_models=False,
            log_datasets=False,
            disable_for_unsupported_versions=False,
            silent=True,
        )


def _may_train(source: str) -> bool:
    if not _TRAINERS.isdisjoint(sys.modules):
        return True
    tree = parse(source)
    if tree is None:
        return any(trainer in source for trainer in _TRAINERS)
    return any(not _TRAINERS.isdisjoint(_imported(node)) for node in ast.walk(tree))


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.partition(".")[0]]
    return []
