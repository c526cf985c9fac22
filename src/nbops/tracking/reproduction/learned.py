"""What two fitted models have learned, compared: where their digests differ, their parameters may still be the same.

Both models are taken from the store, where autologging put them. Their state is gone through side by side
(attributes, dictionaries, lists, estimators within estimators, a tree's nodes): arrays and numbers are compared
within the tolerance, names and classes as they are; times that a search measured, random generators and addresses
don't count.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbops.tracking.reproduction.tolerance import Level, Tolerance, measures_machine, worst

if TYPE_CHECKING:
    from nbops.tracking.store import Store

_DEEPEST = 30
_MOST = 200_000
_TIMES = ("mean_fit_time", "std_fit_time", "mean_score_time", "std_score_time", "refit_time_")
# scikit-learn's vectorisers keep the address of their stop words
_ADDRESS = re.compile(r"_\w*_id$")
_Pair = tuple[str, Any, Any]


@dataclass(frozen=True, slots=True)
class Learned:
    """How two models compare; `name` is the attribute that is furthest apart."""

    level: Level
    name: str = ""
    before: str = ""
    after: str = ""


def compare_learned(store: Store, before: str, after: str, kind: str, tolerance: Tolerance) -> Learned | None:
    """Compare the models of a class that two runs logged; None where they can't be had.

    Parameters
    ----------
    store
        Where the runs are.
    before, after
        Ids of the runs.
    kind
        The class's full name.
    tolerance
        What counts as the same.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as that another scikit-learn wrote it
        old, new = _model(store, before, kind), _model(store, after, kind)
    if old is None or new is None:
        return None
    return compare_states(old, new, tolerance)


def compare_states(old: Any, new: Any, tolerance: Tolerance) -> Learned:
    """Compare two fitted objects."""
    found = [_compared(*pair, tolerance) for pair in _pairs("", old, new, 0)]
    level = worst(one.level for one in found)
    return next((one for one in found if one.level == level and level != "same"), Learned("same"))


def _model(store: Store, run_id: str, kind: str) -> Any:
    import mlflow.sklearn

    from nbops.tracking.failures import log_failure

    run = store.client.get_run(run_id)
    try:
        logged = store.client.search_logged_models(
            [run.info.experiment_id], filter_string=f"source_run_id = '{run_id}'", max_results=50
        )
        for model in logged:
            found = mlflow.sklearn.load_model(model.artifact_location)
            if f"{type(found).__module__}.{type(found).__qualname__}" == kind:
                return found
    except Exception:  # noqa: BLE001  # any class's own code runs when it's loaded, in whatever version is here
        log_failure(store.project)
    return None


def _pairs(name: str, old: Any, new: Any, depth: int) -> Iterator[_Pair]:
    """Yield what is at the ends of two states, side by side; ends of one alone have `_NOTHING` beside them."""
    inner_old, inner_new = _inside(old), _inside(new)
    if inner_old is None or inner_new is None or type(old) is not type(new) or depth > _DEEPEST:
        yield name, old, new
        return
    for key in [*inner_old, *(key for key in inner_new if key not in inner_old)]:
        if measures_machine(str(key)) or key in _TIMES or _ADDRESS.match(str(key)):
            continue
        yield from _pairs(
            f"{name}.{key}" if name else str(key), inner_old.get(key, _NOTHING), inner_new.get(key, _NOTHING), depth + 1
        )


class _Nothing:
    def __repr__(self) -> str:
        return "not there"


_NOTHING = _Nothing()


def _inside(value: Any) -> Mapping[Any, Any] | None:
    """Return the parts of a value, None for an end."""
    import numpy as np

    if isinstance(value, Mapping):
        return value
    if isinstance(value, np.ndarray):
        if value.dtype.names:
            return {name: value[name] for name in value.dtype.names}
        return dict(enumerate(value.flat)) if value.dtype == object and value.size < _MOST else None
    if isinstance(value, list | tuple):
        return dict(enumerate(value)) if not _is_plain(value) else None
    if isinstance(value, str | bytes | int | float | complex | bool | type | np.generic | np.random.RandomState):
        return None
    if callable(getattr(value, "toarray", None)):
        return {"data": value.toarray()} if value.shape[0] * value.shape[1] < _MOST else {"data": value.data}
    if type(value).__module__ == "sklearn.tree._tree":
        state: dict[str, Any] = value.__getstate__()
        return state
    try:
        attributes: dict[str, Any] = vars(value)
        return attributes
    except TypeError:  # it has no attributes
        return None


def _is_plain(value: Any) -> bool:
    return all(isinstance(item, int | float | bool) for item in value)


def _compared(name: str, old: Any, new: Any, tolerance: Tolerance) -> Learned:
    import numpy as np

    try:
        first, second = np.asarray(old), np.asarray(new)
        numeric = first.dtype.kind in "biufc" and second.dtype.kind in "biufc"
    except (ValueError, TypeError):  # what no array can hold
        numeric = False
    if not numeric:
        plain = isinstance(old, str | bytes | bool | type | None) and isinstance(new, str | bytes | bool | type | None)
        if type(old) is not type(new) or (plain and old != new):
            return Learned("differs", name, _short(old), _short(new))
        if isinstance(old, np.ndarray) and old.dtype != object and not np.array_equal(old, new):
            return Learned("differs", name, _short(old), _short(new))
        return Learned("same")
    if first.shape != second.shape:
        return Learned("differs", name, f"shape {first.shape}", f"shape {second.shape}")
    if np.array_equal(first, second, equal_nan=first.dtype.kind in "fc"):
        return Learned("same")
    apart = np.abs(np.nan_to_num(first.astype("complex128")) - np.nan_to_num(second.astype("complex128")))
    size = float(max(np.abs(np.nan_to_num(first)).max(), np.abs(np.nan_to_num(second)).max()))
    most = float(apart.max())
    holes = bool((np.isnan(first) != np.isnan(second)).any()) if first.dtype.kind in "fc" else False
    at = np.unravel_index(int(apart.argmax()), first.shape)
    level: Level = "differs" if holes else tolerance.numbers(size, size + most)
    return Learned(level, name, f"{first[at]:.6g}", f"{second[at]:.6g}")


def _short(value: Any) -> str:
    return repr(value)[:60]
