"""Fitted estimators in a notebook's variables: found by what they can do, told apart by the hash of their pickle."""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from nbops.tracking.records import Model


def fitted_models(seq: int, names: Iterable[str], namespace: Mapping[str, Any]) -> list[Model]:
    """Return a record for each of `names` that holds a fitted estimator (scikit-learn's interface) now."""
    if "sklearn" not in sys.modules:
        return []
    found = ((name, namespace.get(name)) for name in sorted(names))
    return [_record(seq, name, value) for name, value in found if _is_fitted(value)]


def _is_fitted(value: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(value, type) or not (hasattr(value, "fit") and hasattr(value, "predict")):
        return False
    try:
        check_is_fitted(value)
    except (NotFittedError, TypeError):
        return False
    return True


def _record(seq: int, name: str, value: Any) -> Model:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        content = pickle.dumps(value, protocol=5)
    except Exception as error:  # noqa: BLE001  # any estimator's own code may run here; its text is all there is then
        content = repr(value).encode() + type(error).__name__.encode()
    return Model(seq, name, kind, hashlib.sha256(content).hexdigest(), len(content))
