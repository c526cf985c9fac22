"""Models that MLflow's autologging logs in a kernel: saved into the spool there, logged by the worker.

MLflow's ``log_model`` asks the store a dozen times and infers requirements by loading the model in a process of its own.
Within autologging, and only where it logs through our store, ``Model.log`` saves the model into the spool, which takes
milliseconds, and journals its other arguments: the worker (`logged_models`) calls MLflow's own with these and the files.
A model that is announced before its training (``_create_logged_model``) gets its id here. What a user logs by hand isn't
touched.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nbops.tracking.failures import guarded
from nbops.tracking.journal import requirements, training_data
from nbops.tracking.journal.entries import AnnouncedModel, SavedModel
from nbops.tracking.journal.outbox import Outbox, current

_PASSED_ON = ("registered_model_name", "metadata", "resources", "auth_policy", "prompts", "model_type")
_watching = False


def watch() -> None:
    """Have autologging log models through the journal."""
    global _watching
    if _watching:
        return
    _watching = True
    from mlflow.models.model import Model
    from mlflow.tracking import fluent

    create, log = fluent._create_logged_model, Model.log.__func__
    fluent._create_logged_model = _announcing(create)
    Model.log = classmethod(_saving(log))
    requirements.replace_inference_of(is_autologging)


def is_autologging() -> bool:
    """Whether MLflow's autologging is at work."""
    safety = sys.modules.get("mlflow.utils.autologging_utils.safety")
    return safety is not None and safety._AutologgingSessionManager.active_session() is not None


def _open() -> tuple[Outbox, Any] | None:
    """Return the outbox, and the active run, where what autologging logs now goes through the journal."""
    from nbops.tracking.journal.sklearn_fits import foreign_uri

    outbox = current()
    if outbox is None or not is_autologging() or foreign_uri() is not None:
        return None
    import mlflow

    run = mlflow.active_run()
    return (outbox, run) if run is not None else None


def _announcing(create: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(create)
    def announce(name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        there = _open()
        foreign = kwargs.get("source_run_id") or kwargs.get("experiment_id") or kwargs.get("params") or args
        if there is None or foreign or name is None:
            return create(name, *args, **kwargs)
        outbox, run = there
        entry = AnnouncedModel(
            model_id=_new_id(),
            run_id=run.info.run_id,
            name=name,
            model_type=kwargs.get("model_type"),
            flavor=kwargs.get("flavor"),
            tags=_tags(kwargs.get("tags")),
        )
        outbox.write(entry)
        return _entity(entry.model_id, name, run)

    return announce


def _saving(log: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(log)
    def save(cls: Any, artifact_path: Any, flavor: Any, *args: Any, **kwargs: Any) -> Any:
        there = _open()
        run_id = kwargs.get("run_id")
        if there is None or args or (run_id and run_id != there[1].info.run_id):
            return log(cls, artifact_path, flavor, *args, **kwargs)
        return _save(cls, flavor, there[0], there[1], {**kwargs, "name": kwargs.get("name") or artifact_path})

    return save


def _save(cls: Any, flavor: Any, outbox: Outbox, run: Any, given: dict[str, Any]) -> Any:
    """Save a model into the spool, journal it, and return MLflow's description of it."""
    run_id = given.pop("run_id", None) or run.info.run_id
    announced = given.pop("model_id", None)
    model_id = announced or _new_id()
    name, step = given.pop("name"), given.pop("step", 0)
    tags, params = given.pop("tags", None), given.pop("params", None)
    given.pop("await_registration_for", None)
    passed_on = {key: given.pop(key, None) for key in _PASSED_ON}
    flavor_name = given.pop("flavor_name", None) or getattr(flavor, "__name__", "custom")
    entity = _entity(model_id, name, run)
    described = cls(
        artifact_path=entity.artifact_location,
        model_uuid=model_id,
        run_id=run_id,
        metadata=passed_on["metadata"],
        resources=passed_on["resources"],
        auth_policy=passed_on["auth_policy"],
        model_id=model_id,
    )
    if results := given.get("statsmodels_model"):
        guarded(outbox.project, lambda: training_data.log_results(run_id, results))
    folder = outbox.spool.folder / f"files-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    flavor.save_model(path=os.fspath(folder / "model"), mlflow_model=described, **given)
    plain = {key: value for key, value in passed_on.items() if value is not None and _is_plain(value)}
    entry = SavedModel(
        model_id=model_id,
        run_id=run_id,
        name=name,
        folder=folder.name,
        announced=announced is not None,
        flavor=flavor_name,
        step=step,
        params={key: str(value) for key, value in (params or {}).items()},
        tags=_tags(tags),
        given=plain,
    )
    outbox.place()
    outbox.write(entry)
    from mlflow.tracking.fluent import _last_logged_model_id

    _last_logged_model_id.set(model_id)
    return described.get_model_info(entity)


def _new_id() -> str:
    return f"m-{uuid.uuid4().hex}"


def _tags(given: Any) -> dict[str, str]:
    from mlflow.tracking.context import registry

    return {key: str(value) for key, value in registry.resolve_tags(given).items()}


def _entity(model_id: str, name: str, run: Any) -> Any:
    from mlflow.entities import LoggedModel, LoggedModelStatus

    now = int(time.time() * 1000)
    place = Path(f"{run.info.artifact_uri or ''}").parent.parent.as_posix()
    return LoggedModel(
        experiment_id=run.info.experiment_id,
        model_id=model_id,
        name=name,
        artifact_location=f"{place}/models/{model_id}/artifacts",
        creation_timestamp=now,
        last_updated_timestamp=now,
        source_run_id=run.info.run_id,
        status=LoggedModelStatus.PENDING,
    )


def _is_plain(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
