"""How to look at an object, decided once for its type.

Nothing of the user's is executed: types are told by `type()` and their order of resolution, attributes are read from
`__dict__` and slots by the descriptors that Python itself made. An object in C that isn't known here is gone through as the
garbage collector does, and counts as changed by every use.
"""

from __future__ import annotations

import builtins
import collections
import datetime
import decimal
import functools
import io
import pathlib
import random
import types
import weakref
from typing import Any

from nbops.tracking.flow.content import ATOM_IDS, Content, Look, Reach
from nbops.tracking.flow.looks import (
    BUILT_IN,
    CLASS_DICT,
    HEAP,
    SPECIAL,
    look_at_closed,
    look_at_figure,
    look_at_unknown,
)
from nbops.tracking.flow.places import is_library, module_of, package_of

_MRO = type.__dict__["__mro__"].__get__

# Packages whose objects are the machinery of the notebook, and never a result.
_MACHINERY = frozenset(
    {"IPython", "ipykernel", "traitlets", "zmq", "jupyter_client", "tornado", "asyncio", "nbops", "mlflow", "warnings",
     "importlib", "_frozen_importlib", "_frozen_importlib_external", "typing", "abc", "_abc", "_thread", "threading_",
     "comm", "matplotlib_inline", "debugpy", "tqdm_"}
)  # fmt: skip
# Packages whose objects in C don't change once made.
_SETTLED = frozenset({"pandas", "pyarrow", "sklearn", "scipy", "zoneinfo", "datetime", "decimal", "numpy", "polars_"})
# Packages whose objects aren't looked into.
_CLOSED = frozenset(
    {
        "plotly",
        "bokeh",
        "altair",
        "ipywidgets",
        "anywidget",
        "tensorflow",
        "keras",
        "jax",
        "duckdb",
        "sqlalchemy",
        "pyspark",
    }
)
_CHANGING_IN_NUMPY = frozenset({"nditer", "flatiter", "broadcast", "SeedSequence"})

_BY_ID = {id(kind): look for kind, look in BUILT_IN.items()}
_COMPLETE = frozenset(
    {type, types.ModuleType, types.FunctionType, functools.partial, BaseException, io.IOBase, random.Random}
)
_IMMUTABLE_BASES = frozenset(
    {
        int,
        float,
        complex,
        str,
        bytes,
        datetime.date,
        datetime.time,
        datetime.timedelta,
        pathlib.PurePath,
        datetime.tzinfo,
        decimal.Decimal,
    }
)
_HARMLESS_BASES = frozenset(
    {
        object,
        int,
        float,
        complex,
        str,
        bytes,
        tuple,
        list,
        dict,
        set,
        frozenset,
        type,
        BaseException,
        Exception,
        collections.deque,
        *_IMMUTABLE_BASES,
        types.SimpleNamespace,
        *(each for each in vars(builtins).values() if isinstance(each, type) and issubclass(each, BaseException)),
    }
)

_known: dict[int, tuple[weakref.ref[type] | type, Look | None]] = {}


def look_of(kind: type) -> Look | None:
    """Return how to look at objects of a type; None for what can't change and leads nowhere."""
    found = _known.get(id(kind))
    if found is not None and (found[0] is kind or (type(found[0]) is weakref.ref and found[0]() is kind)):
        return found[1]
    look = _decide(kind)
    try:
        _known[id(kind)] = (weakref.ref(kind), look)
    except TypeError:
        _known[id(kind)] = (kind, look)
    return look


def _decide(kind: type) -> Look | None:
    if id(kind) in ATOM_IDS:
        return None
    mro = _MRO(kind)
    for base in mro:
        look = _BY_ID.get(id(base))
        if look is not None:
            own = _instance_look(kind, mro)
            if base is kind or own is None or base in _COMPLETE:
                return look
            return _both(look, own)
        name = base.__name__
        package = package_of(module_of(base))
        if (package, name) in SPECIAL:
            special, complete = SPECIAL[package, name]
            own = None if complete else _instance_look(kind, mro)
            return special if own is None or base is kind else _both(special, own)
        if package in _MACHINERY and base is not kind and not is_library(module_of(kind)):
            break  # the user's own subclass of something abstract
    package = package_of(module_of(kind))
    if package in _MACHINERY:
        return None
    if package in _CLOSED:
        return look_at_closed
    if package == "matplotlib" or any(package_of(module_of(b)) == "matplotlib" for b in mro):
        return look_at_figure
    if any(base in _IMMUTABLE_BASES for base in mro) and not _is_users(kind):
        return None
    own = _instance_look(kind, mro)
    if own is not None:
        return own
    if package in _SETTLED and kind.__name__ not in _CHANGING_IN_NUMPY:
        return None
    if kind is object:
        return None
    return look_at_unknown


def _is_users(kind: type) -> bool:
    return bool(kind.__flags__ & HEAP) and not is_library(module_of(kind))


def _instance_look(kind: type, mro: tuple[type, ...]) -> Look | None:
    """Return a look at `__dict__` and slots, and at the class when it's the user's own."""
    getter = None
    slots: list[Any] = []
    in_c = False
    for base in mro[:-1]:
        held = CLASS_DICT(base)
        entry = held.get("__dict__")
        if type(entry) is types.GetSetDescriptorType and getter is None:
            getter = entry.__get__
        heap = bool(base.__flags__ & HEAP)
        in_c = in_c or (not heap and base not in _HARMLESS_BASES)
        if heap:
            slots += [each.__get__ for each in held.values() if type(each) is types.MemberDescriptorType]
    users = _is_users(kind)
    if getter is None and not slots and not users:
        return None
    # An estimator's fitted trees are replaced by `fit`, never changed one by one
    estimator = any(base.__name__ == "BaseEstimator" and package_of(module_of(base)) == "sklearn" for base in mro)

    def look(value: Any, reach: Reach) -> Content:
        parts: list[Any] = []
        if getter is not None:
            held = getter(value)
            if type(held) is dict:
                parts += held.values()
                parts += held.keys()
        for slot in slots:
            try:
                parts.append(slot(value))
            except AttributeError:
                parts.append(None)
        if users:
            reach.reached([kind])
        if estimator:
            for part in parts:
                if type(part) is list and len(part) > 16:
                    reach.leaf(part)
        return Content(parts, uses=in_c)

    return look


def _both(first: Look, second: Look) -> Look:
    def look(value: Any, reach: Reach) -> Content:
        one, other = first(value, reach), second(value, reach)
        return Content([*one.parts, *other.parts], one.token, uses=one.uses, held=one.held)

    return look
