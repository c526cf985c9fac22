"""Metrics that are computed after a fit, named as MLflow names them: ``model.score(X_test, y)``, ``f1_score(y, predicted)``.

Only once a class has a recorded fit are its ``predict``, ``transform`` and ``score`` replaced by functions that tell which
recorded model a result came from, for as long as the result lives. A function of ``sklearn.metrics`` that is given such a
result, or a recorded model's ``score``, makes an entry. Names of datasets are those of the notebook's variables.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import time
import weakref
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

import wrapt

from nbops.tracking.failures import guarded
from nbops.tracking.journal.entries import Evaluated, Score, number
from nbops.tracking.journal.outbox import Outbox
from nbops.tracking.journal.sklearn_hooks import covered
from nbops.tracking.journal.spool import TooLarge

_PREDICTS = ("predict", "predict_proba", "transform", "predict_log_proba")
_NO_METRICS = frozenset({"check_scoring", "get_scorer", "make_scorer", "get_scorer_names"})
_MOST_DATASETS = 100

_listener: Scores | None = None
_hooked = False
_replaced: set[type] = set()


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fit that was recorded."""

    run_id: str
    fit_id: str
    uri: str | None


class Scores:
    """Knows the recorded models and their predictions.

    Parameters
    ----------
    outbox
        Where entries go.
    tags
        Asked for the tags of a dataset's source.
    saw
        Told of each run that is logged to.
    busy
        Whether a fit is under way, within which nothing counts.
    """

    def __init__(
        self,
        outbox: Outbox,
        tags: Callable[[], dict[str, str]],
        saw: Callable[[str], None],
        busy: Callable[[], bool],
    ) -> None:
        self.outbox = outbox
        self._tags = tags
        self._saw = saw
        self._busy = busy
        self._within = False
        self._models: dict[int, Recorded] = {}
        self._predictions: dict[int, tuple[Recorded, str]] = {}
        self._datasets: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._calls: dict[tuple[str, str], int] = defaultdict(int)
        self._evaluated: dict[str, set[str]] = defaultdict(set)

    def remember(self, model: Any, recorded: Recorded) -> None:
        """Keep in mind which run a model belongs to, for as long as it lives."""
        if id(model) not in self._models:
            weakref.finalize(model, self._models.pop, id(model), None)
        self._models[id(model)] = recorded
        replace_methods(type(model))

    def predicted(self, model: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method that predicts, and keep in mind what it returned."""
        recorded = self._models.get(id(model))
        if recorded is None or self._idle():
            return method(model, *args, **kwargs)
        answer = self._call(method, (model, *args), kwargs)
        given, frame = _first(method, args, kwargs), sys._getframe(1)
        guarded(self.outbox.project, lambda: self._predicted(recorded, given, frame, answer))
        return answer

    def scored(self, model: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a model's own ``score``."""
        recorded = self._models.get(id(model))
        if recorded is None or self._idle():
            return method(model, *args, **kwargs)
        answer = self._call(method, (model, *args), kwargs)
        given = _first(method, args, kwargs)
        frame = sys._getframe(1)
        if _is_number(answer):
            guarded(
                self.outbox.project,
                lambda: self._log(
                    recorded,
                    f"{type(model).__name__}_score",
                    self._dataset(recorded, given, frame),
                    answer,
                    _command(f"{type(model).__name__}.{method.__name__}", method, args, kwargs, frame, skip=1),
                ),
            )
        return answer

    def measured(self, metric: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a function of ``sklearn.metrics``."""
        if not self._predictions or self._idle():
            return metric(*args, **kwargs)
        found = next(
            (self._predictions[id(arg)] for arg in (*args, *kwargs.values()) if id(arg) in self._predictions), None
        )
        answer = self._call(metric, args, kwargs)
        if found is not None and _is_number(answer):
            recorded, dataset = found
            frame, name = sys._getframe(1), metric.__name__
            guarded(
                self.outbox.project,
                lambda: self._log(recorded, name, dataset, answer, _command(name, metric, args, kwargs, frame)),
            )
        return answer

    def _idle(self) -> bool:
        return self._within or self._busy() or os.getpid() != self.outbox.pid

    def _call(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self._within = True
        try:
            return function(*args, **kwargs)
        finally:
            self._within = False

    def _predicted(self, recorded: Recorded, given: Any, frame: FrameType, answer: Any) -> None:
        name = self._dataset(recorded, given, frame)
        with suppress(TypeError):  # a list can't be known again
            weakref.finalize(answer, self._predictions.pop, id(answer), None)
            self._predictions[id(answer)] = (recorded, name)
        seen = self._evaluated[recorded.run_id]
        if len(seen) >= _MOST_DATASETS:
            return
        try:
            holding = self.outbox.spool.hold(given)
        except TooLarge:
            return
        tags = self._tags()
        self._saw(recorded.run_id)

        def journal() -> None:
            held = holding.write()
            if held.file not in seen:
                seen.add(held.file)
                self.outbox.write(Evaluated(recorded.run_id, held, tags, recorded.uri))

        self.outbox.later(journal)

    def _dataset(self, recorded: Recorded, given: Any, frame: FrameType) -> str:
        name = _variable(given, frame, "unknown_dataset")
        known = self._datasets[recorded.run_id, name]
        if id(given) not in known:
            known.append(id(given))
        return _numbered(name, known.index(id(given)))

    def _log(self, recorded: Recorded, metric: str, dataset: str, value: Any, command: str) -> None:
        index = self._calls[recorded.run_id, metric]
        self._calls[recorded.run_id, metric] += 1
        entry = Score(
            run_id=recorded.run_id,
            fit_id=recorded.fit_id,
            key=f"{_numbered(metric, index)}_{dataset}",
            value=number(float(value)),
            command=command,
            timestamp=int(time.time() * 1000),
            uri=recorded.uri,
        )
        self._saw(recorded.run_id)
        self.outbox.later(lambda: self.outbox.write(entry))  # after its fit, which is on its way


def listen(listener: Scores | None) -> None:
    """Tell `listener`, and no other, from now on; None: nobody."""
    global _listener, _hooked
    _listener = listener
    if not _hooked and listener is not None:
        _hooked = True
        wrapt.register_post_import_hook(_replace_metrics, "sklearn.metrics")


def replace_methods(kind: type) -> None:
    """Have the methods of a class that has a recorded fit tell."""
    for base in kind.__mro__:
        if base in _replaced:
            return
        if base.__module__.startswith("sklearn.") and covered(base):
            _replaced.add(base)
            for name in (*_PREDICTS, "score"):
                _replace(base, name)
            return


def _replace(kind: type, name: str) -> None:
    raw = inspect.getattr_static(kind, name, None)
    if raw is None:
        return
    if inspect.isfunction(raw):
        setattr(kind, name, _telling(raw, name))
    elif hasattr(raw, "fn") and hasattr(raw, "check") and not hasattr(raw.fn, "_nbops"):
        raw.fn = _telling(raw.fn, name)


def _telling(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    scores = name == "score"

    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _listener is None or sys._getframe(1).f_code.co_name in ("fit_transform", "fit_predict"):
            return method(self, *args, **kwargs)
        tell = _listener.scored if scores else _listener.predicted
        return tell(self, method, args, kwargs)

    call._nbops = True  # type: ignore[attr-defined]
    return call


def _replace_metrics(metrics: Any) -> None:
    for name in metrics.__all__:
        metric = getattr(metrics, name)
        if name in _NO_METRICS or inspect.isclass(metric) or not callable(metric) or name.startswith("plot_"):
            continue
        setattr(metrics, name, _measuring(metric))


def _measuring(metric: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(metric)
    def call(*args: Any, **kwargs: Any) -> Any:
        return metric(*args, **kwargs) if _listener is None else _listener.measured(metric, args, kwargs)

    call.__module__ = "sklearn.metrics"  # where pickle finds it again: process pools get it by name
    return call


def _first(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if args:
        return args[0]
    names = list(inspect.signature(method).parameters)
    return kwargs.get(names[1]) if len(names) > 1 else None


def _is_number(value: Any) -> bool:
    import numpy as np

    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _numbered(name: str, index: int) -> str:
    return name if index == 0 else f"{name}-{index + 1}"


def _variable(value: Any, start: FrameType, otherwise: str) -> str:
    """Return what a value is called where it isn't an argument, which is where the notebook named it."""
    frame: FrameType | None = start
    while value is not None and frame is not None:
        info = inspect.getargvalues(frame)
        given = [info.locals[name] for name in info.args if name in info.locals]
        given += list(info.locals.get(info.varargs, ())) if info.varargs else []
        given += list(info.locals.get(info.keywords, {}).values()) if info.keywords else []
        if any(value is one for one in given):
            frame = frame.f_back
            continue
        return next((name for name, held in list(frame.f_locals.items()) if held is value), otherwise)
    return otherwise


def _command(
    spelled: str,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    frame: FrameType,
    *,
    skip: int = 0,
) -> str:
    """Spell a call with the names of the notebook's variables."""
    names = list(inspect.signature(function).parameters)[skip:]
    pairs = [*zip(names, args, strict=False), *kwargs.items()]
    return f"{spelled}({', '.join(f'{name}={_spelled(value, frame)}' for name, value in pairs)})"


def _spelled(value: Any, frame: FrameType) -> str:
    import numpy as np

    if isinstance(value, str) and len(value) > 32:
        return repr(value[:32] + "...")
    if value is None or np.isscalar(value):
        return repr(value)
    return _variable(value, frame, f"<{type(value).__name__}>")
