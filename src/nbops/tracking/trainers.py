"""Libraries that train, other than scikit-learn: each gets MLflow's own autologging when it's imported.

Only what was imported is switched on, and only what the user hasn't switched on or off by hand; a later
``mlflow.autolog()`` of theirs takes over. MLflow's wrappers stay where they are while recording is paused, and ask each time
whether they're on. What they log goes through the project's journal, models too (`journal.trained_models`).
"""

from __future__ import annotations

import importlib
import inspect
import sys
from types import ModuleType
from typing import Any

FLAVORS = {
    "keras": "keras",
    "lightgbm": "lightgbm",
    "lightning": "pytorch",
    "paddle": "paddle",
    "pyspark.ml": "pyspark.ml",
    "pytorch_lightning": "pytorch",
    "setfit": "transformers",
    "statsmodels": "statsmodels",
    "tensorflow": "tensorflow",
    "transformers": "transformers",
    "xgboost": "xgboost",
}
"""The module whose import counts, and MLflow's flavor for it."""

_GLOBAL = "globally_configured"


class Trainers:
    """MLflow's autologging of the libraries that a kernel has imported."""

    def __init__(self) -> None:
        self._ours: dict[str, dict[str, Any]] = {}
        self._begun: set[str] = set()

    def switch_on(self, name: str) -> None:
        """Log what this library trains, unless the user decided on it."""
        flavor = FLAVORS.get(name, name)
        if flavor in self._begun:  # MLflow's flavor imports a second library of its own
            return
        self._begun.add(flavor)
        try:
            self._switch_on(importlib.import_module(f"mlflow.{flavor}"))
        finally:
            self._begun.discard(flavor)

    def _switch_on(self, flavor: Any) -> None:
        from mlflow.utils import autologging_utils

        from nbops.tracking import own_work, trimmed_autolog
        from nbops.tracking.journal import trained_models, training_data

        integration = flavor.autolog.integration_name
        settings = autologging_utils.AUTOLOGGING_INTEGRATIONS
        if settings.get(integration):
            if settings[integration] is self._ours.get(integration):
                settings[integration]["disable"] = False
            return
        own_work.watch()
        trained_models.watch()
        training_data.watch(flavor)
        _without_plots(flavor)
        wanted = {"log_models": True, "silent": True, "disable_for_unsupported_versions": False}
        taken = inspect.signature(flavor.autolog).parameters
        flavor.autolog(**{key: value for key, value in wanted.items() if key in taken})
        if "mlflow.sklearn" in sys.modules:
            trimmed_autolog.leave_models_alone(sys.modules["mlflow.sklearn"])
        ours = settings[integration]
        ours[_GLOBAL] = True  # a call of mlflow.autolog() shall take over
        self._ours[integration] = ours

    def pause(self) -> None:
        """Log nothing until each library is switched on again."""
        utils = sys.modules.get("mlflow.utils.autologging_utils")
        for integration, ours in self._ours.items():
            if utils is not None and utils.AUTOLOGGING_INTEGRATIONS.get(integration) is ours:
                ours["disable"] = True


def mute(*, quiet: bool) -> None:
    """Have MLflow's autologging overlook what is trained within a fit that is recorded as a whole."""
    utils: Any = sys.modules.get("mlflow.utils.autologging_utils")
    if utils is not None:
        utils._AUTOLOGGING_GLOBALLY_DISABLED = quiet


def _without_plots(flavor: ModuleType) -> None:
    """Have no pictures of feature importances drawn in the cell: the figures they show are logged as JSON.

    The function that draws them is made anew in each training, of a constant in the code of the function around it.
    """
    autolog = getattr(flavor.autolog, "__wrapped__", None)
    if inspect.isfunction(autolog):
        autolog.__code__ = _replaced(autolog.__code__)


def _replaced(code: Any) -> Any:
    if code.co_name == "log_feature_importance_plot":
        return _drawing_nothing(code)
    return code.replace(co_consts=tuple(_replaced(part) if inspect.iscode(part) else part for part in code.co_consts))


def _drawing_nothing(code: Any) -> Any:
    def nothing(features: Any, importance: Any, importance_type: Any) -> None:
        """Draw nothing."""

    return nothing.__code__.replace(co_freevars=code.co_freevars)
