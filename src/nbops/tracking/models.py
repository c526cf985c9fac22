"""Trained models in a notebook's variables: found by what they can do, told apart by the hash of their content.

The hash of an estimator is taken of its pickle while it is written, so that a large model isn't copied. Pickle writes an
object that it has met before as a reference, and which objects are one depends on how they came about: without references,
equal models have equal pickles. What isn't an estimator (a booster, a network, statsmodels' results) is hashed by what it has
learned.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbops.tracking.recording.records import Model

_LEARNED: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("xgboost", "Booster", lambda booster: bytes(booster.save_raw("ubj"))),
    ("lightgbm", "Booster", lambda booster: booster.model_to_string(num_iteration=-1)),
    ("statsmodels.base.wrapper", "ResultsWrapper", lambda results: results.params),
    ("torch.nn", "Module", lambda network: dict(network.state_dict())),
    ("keras", "Model", lambda network: network.get_weights()),
)
"""A module, its class, and what an object of it has learned."""


def fitted_models(seq: int, names: Iterable[str], namespace: Mapping[str, Any]) -> list[Model]:
    """Return a record for each of `names` that holds a trained model now."""
    return [record for name in sorted(names) if (record := _record_of(seq, name, namespace.get(name))) is not None]


def _record_of(seq: int, name: str, value: Any) -> Model | None:
    for module, kind, learned in _LEARNED:
        known = getattr(sys.modules.get(module), kind, None)
        if known is not None and isinstance(value, known):
            return _learned(seq, name, value, learned)
    return _record(seq, name, value) if "sklearn" in sys.modules and _is_fitted(value) else None


def _learned(seq: int, name: str, value: Any, learned: Callable[[Any], Any]) -> Model | None:
    from nbops.snapshot.fingerprint import UNKNOWN, fingerprint

    content = learned(value)
    digest = fingerprint(content)
    if digest == UNKNOWN:
        return None
    return Model(seq, name, _kind(value), digest, len(content) if isinstance(content, bytes | str) else 0)


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_fitted(value: Any) -> bool:
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    try:
        if isinstance(value, type) or not (hasattr(value, "fit") and hasattr(value, "predict")):
            return False
        check_is_fitted(value)
    except (NotFittedError, TypeError):
        return False
    except Exception:  # noqa: BLE001  # any object's own code may run here; one that raises is no estimator
        return False
    return True


def _record(seq: int, name: str, value: Any) -> Model:
    kind = _kind(value)
    for by_reference in (False, True):  # what refers to itself can only be written with references
        content = _Hash()
        pickler = pickle.Pickler(content, protocol=5)
        pickler.fast = not by_reference
        try:
            pickler.dump(value)
        except Exception:  # noqa: BLE001  # any estimator's own code may run here
            continue
        return Model(seq, name, kind, content.running.hexdigest(), content.size)
    return Model(seq, name, kind, hashlib.sha256(repr(value).encode()).hexdigest(), 0)


class _Hash:
    """A file that only hashes what is written to it."""

    def __init__(self) -> None:
        self.running = hashlib.sha256()
        self.size = 0

    def write(self, content: Any) -> int:
        self.running.update(content)
        size = memoryview(content).nbytes
        self.size += size
        return size
