"""Fitted estimators in a notebook's variables: found by what they can do, told apart by the hash of their content.

The hash is taken of the pickle while it is written, so that a large model isn't copied. Pickle writes an object that it has
met before as a reference, and which objects are one depends on how they came about: without references, equal models have
equal pickles.
"""

from __future__ import annotations

import hashlib
import pickle
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from nbops.tracking.recording.records import Model


def fitted_models(seq: int, names: Iterable[str], namespace: Mapping[str, Any]) -> list[Model]:
    """Return a record for each of `names` that holds a fitted estimator (scikit-learn's interface) now."""
    if "sklearn" not in sys.modules:
        return []
    found = ((name, namespace.get(name)) for name in sorted(names))
    return [_record(seq, name, value) for name, value in found if _is_fitted(value)]


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
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
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
