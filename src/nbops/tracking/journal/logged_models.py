"""Models that a kernel saved, logged by MLflow's own ``Model.log`` with the files that are in the spool already.

The flavor that it is given copies these instead of saving a model, and puts in the ids that the store chose. So what a logged
model has (its run's params, the metrics of its step, the link from its run, a registered version) is what MLflow makes of it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from nbops.tracking.journal import replayed
from nbops.tracking.journal.entries import AnnouncedModel, SavedModel
from nbops.tracking.journal.real import Real, giving_id

_OF_THE_STORE = frozenset({"artifact_path", "model_id", "model_uuid", "run_id", "_logged_model"})
_DONE = "logged:"


class ModelReplay:
    """Logs models into the real store.

    Parameters
    ----------
    real
        The store.
    """

    def __init__(self, real: Real) -> None:
        self._real = real

    def announce(self, entry: AnnouncedModel | SavedModel, params: dict[str, str] | None = None) -> str:
        """Make a logged model that has no files yet, unless there is one; return its id in the store."""
        from mlflow.exceptions import MlflowException
        from mlflow.tracking.fluent import _create_logged_model

        client, run_id = self._real.client(None), self._real.run_id(entry.run_id)
        known = self._real.run_id(entry.model_id)
        try:
            return str(client.get_logged_model(known).model_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        model_type = entry.model_type if isinstance(entry, AnnouncedModel) else entry.given.get("model_type")
        hexadecimal = entry.model_id.removeprefix("m-")
        run = client.get_run(run_id)
        with replayed.within(run, self._real.uri(None), entry.tags), giving_id(hexadecimal):
            made = _create_logged_model(
                name=entry.name, source_run_id=run_id, params=params, model_type=model_type, flavor=entry.flavor
            )
        self._real.note(entry.model_id, made.model_id)
        return str(made.model_id)

    def log(self, entry: SavedModel) -> None:
        """Log a model with its files."""
        folder = self._real.journal.spool / entry.folder
        if self._real.run_id(f"{_DONE}{entry.model_id}") != "yes" and folder.is_dir():
            self._log(entry, folder / "model")
            self._real.note(f"{_DONE}{entry.model_id}", "yes")
        shutil.rmtree(folder, ignore_errors=True)

    def _log(self, entry: SavedModel, files: Path) -> None:
        from mlflow.models import Model

        client, run_id = self._real.client(None), self._real.run_id(entry.run_id)
        run = client.get_run(run_id)
        model_id = self.announce(entry, None if entry.announced else {**entry.params, **run.data.params})
        given = {key: value for key, value in entry.given.items() if key != "model_type"}
        with replayed.within(run, self._real.uri(None), entry.tags):
            Model.log(
                artifact_path=None,
                name=entry.name,
                flavor=_Saved(files),
                run_id=run_id,
                step=entry.step,
                model_id=model_id,
                flavor_name=entry.flavor,
                **given,
            )


class _Saved:
    """Stands for a flavor: what it saves was saved before."""

    def __init__(self, files: Path) -> None:
        self._files = files

    def save_model(self, path: str, mlflow_model: Any, **_: Any) -> None:
        from mlflow.models import Model

        shutil.copytree(self._files, path, dirs_exist_ok=True)
        saved = vars(Model.load(self._files))
        vars(mlflow_model).update({key: value for key, value in saved.items() if key not in _OF_THE_STORE})
        mlflow_model.save(Path(path, "MLmodel"))
