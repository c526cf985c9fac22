"""Where scikit-learn tells that something is fitted, without a frame of ours on its stack.

Every ``fit`` of scikit-learn runs inside the wrapper that ``sklearn.base._fit_context`` made, which asks ``get_config``
before it checks parameters and enters ``config_context`` around the method. Both are names of that module, looked up at
each call: ours look at the wrapper's frame and pass on. So no class is touched; signatures, pickles, tracebacks and the
lines that warnings blame stay as they are, and estimators that were made before count too. ``validate_params`` is used
alike to know when a cross-validation is under way, whose fits aren't recorded. The few ``fit`` methods that do something
around that wrapper are replaced by functions that tell.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol

import wrapt

_FITS = ("fit", "fit_transform", "fit_predict")
_EXCLUDED = ("sklearn.preprocessing", "sklearn.impute", "sklearn.feature_extraction", "sklearn.feature_selection")
_NOT_PUBLIC = {"tests", "externals", "setup", "conftest"}
_WITH_MORE_TO_DO = (  # a fit of their own around the one with a wrapper
    "sklearn.cross_decomposition._pls",
    "sklearn.ensemble._stacking",
    "sklearn.frozen._frozen",
    "sklearn.multioutput",
    "sklearn.pipeline",
    "sklearn.svm._classes",
)
_WITHOUT_RUNS = frozenset(
    {
        "cross_validate",
        "cross_val_score",
        "cross_val_predict",
        "learning_curve",
        "permutation_test_score",
        "validation_curve",
    }
)


class Listener(Protocol):
    """What is told; must not raise."""

    def begins(self, estimator: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Say whether this fit is one to record: the outermost, of a class that is covered."""

    def ends(self, estimator: Any, error: BaseException | None) -> None:
        """Take the end of a fit that was to be recorded."""

    def pause(self, by: int) -> None:
        """Count the scopes within which nothing is recorded."""


_listener: Listener | None = None
_hooked = False
_covered: dict[type, bool] = {}


def listen(listener: Listener | None) -> None:
    """Tell `listener`, and no other, from now on; None: nobody."""
    global _listener, _hooked
    _listener = listener
    if not _hooked and listener is not None:
        _hooked = True
        wrapt.register_post_import_hook(_hook_base, "sklearn.base")
        wrapt.register_post_import_hook(_hook_validation, "sklearn.utils._param_validation")
        for module in _WITH_MORE_TO_DO:
            wrapt.register_post_import_hook(_wrap_fits, module)


def is_possible() -> bool:
    """Whether the installed scikit-learn is built in the way that this relies on."""
    from sklearn import base

    made = base._fit_context(prefer_skip_nested_validation=True)(lambda self: None)
    names = {*made.__code__.co_names, *made.__code__.co_freevars}
    return {"get_config", "config_context", "fit_method"} <= names


def covered(kind: type) -> bool:
    """Whether MLflow's autologging would log a fit of this class: a public one of scikit-learn, or derived from one."""
    if kind not in _covered:
        _covered[kind] = any(is_public(base) for base in kind.__mro__)
    return _covered[kind]


def is_public(kind: type) -> bool:
    """Whether MLflow's autologging covers this class itself."""
    module = kind.__module__
    if not module.startswith("sklearn.") or module.startswith(_EXCLUDED) or kind.__name__.startswith("_"):
        return False
    if kind.__name__ in ("ColumnTransformer", "BaseEstimator") or _NOT_PUBLIC & set(module.split(".")):
        return False
    public = sys.modules.get(module.split("._")[0])
    is_estimator = any(base.__name__ == "BaseEstimator" for base in kind.__mro__[1:])
    return is_estimator and not inspect.isabstract(kind) and getattr(public, kind.__name__, None) is kind


def _hook_base(base: Any) -> None:
    get_config, config_context = base.get_config, base.config_context

    def ask() -> Any:
        if _listener is not None:
            frame = sys._getframe(1)
            if "fit_method" in frame.f_code.co_freevars and frame.f_code.co_name == "wrapper":
                _begin(frame.f_locals)
        return get_config()

    def enter(**settings: Any) -> Any:
        context = config_context(**settings)
        if _listener is not None:
            frame = sys._getframe(1)
            if _begun.estimator is not None and "fit_method" in frame.f_code.co_freevars:
                estimator = frame.f_locals.get("estimator")
                if _begun.estimator is estimator:
                    _begun.estimator = None
                    return _Fitting(context, estimator)
        return context

    base.get_config, base.config_context = ask, enter


class _Begun(threading.local):
    """The estimator whose fit has begun on this thread, while its parameters are checked."""

    estimator: Any = None


_begun = _Begun()


def refused() -> Any:
    """Return, and forget, an estimator whose fit began on this thread and never ran: its parameters weren't valid."""
    estimator, _begun.estimator = _begun.estimator, None
    return estimator


def _begin(found: dict[str, Any]) -> None:
    listener, method, estimator = _listener, found.get("fit_method"), found.get("estimator")
    if listener is None or method is None or getattr(method, "__name__", "") not in _FITS:
        return
    if covered(type(estimator)) and listener.begins(estimator, method, found.get("args", ()), found.get("kwargs", {})):
        _begun.estimator = estimator


class _Fitting:
    """scikit-learn's own context, whose end is told."""

    __slots__ = ("_context", "_estimator")

    def __init__(self, context: Any, estimator: Any) -> None:
        self._context = context
        self._estimator = estimator

    def __enter__(self) -> Any:
        return self._context.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        answer = self._context.__exit__(kind, error, trace)
        if _listener is not None:
            _listener.ends(self._estimator, error)
        return answer


def _wrap_fits(module: Any) -> None:
    for kind in [value for value in vars(module).values() if isinstance(value, type)]:
        fit = vars(kind).get("fit")
        if kind.__module__ == module.__name__ and inspect.isfunction(fit) and not _has_wrapper(fit):
            kind.fit = _telling(fit)  # type: ignore[attr-defined]


def _has_wrapper(method: Any) -> bool:
    while method is not None:
        if "fit_method" in method.__code__.co_freevars:
            return True
        method = getattr(method, "__wrapped__", None)
    return False


def _telling(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        listener = _listener
        if listener is None or not covered(type(self)) or not listener.begins(self, method, args, kwargs):
            return method(self, *args, **kwargs)
        try:
            answer = method(self, *args, **kwargs)
        except BaseException as error:
            listener.ends(self, error)
            raise
        listener.ends(self, None)
        return answer

    return fit


def _hook_validation(module: Any) -> None:
    config_context = module.config_context

    def enter(**settings: Any) -> Any:
        context = config_context(**settings)
        if _listener is not None:
            function = sys._getframe(1).f_locals.get("func")
            if getattr(function, "__name__", "") in _WITHOUT_RUNS:
                return _Paused(context)
        return context

    module.config_context = enter


class _Paused:
    """scikit-learn's own context, within which nothing is recorded."""

    __slots__ = ("_context", "_listener")

    def __init__(self, context: Any) -> None:
        self._context = context
        self._listener = _listener

    def __enter__(self) -> Any:
        answer = self._context.__enter__()
        if self._listener is not None:
            self._listener.pause(1)
        return answer

    def __exit__(self, *how: Any) -> Any:
        if self._listener is not None:
            self._listener.pause(-1)
        return self._context.__exit__(*how)
