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
import enum
import fractions
import functools
import gc
import io
import itertools
import pathlib
import random
import re
import types
import uuid
import weakref
from typing import Any

from nbops.tracking.flow import arrays, tables
from nbops.tracking.flow.content import OPAQUE, Content, Look, Reach
from nbops.tracking.flow.places import is_library, module_of, package_of

_MRO = type.__dict__["__mro__"].__get__
_CLASS_DICT = type.__dict__["__dict__"].__get__
_HEAP = 1 << 9
MANY = 100_000

_ATOMS: tuple[type, ...] = (
    int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice, types.CodeType,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone, decimal.Decimal,
    fractions.Fraction, uuid.UUID, re.Pattern, re.Match, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType,
    types.ClassMethodDescriptorType, types.MethodWrapperType, types.TracebackType, types.GenericAlias, types.UnionType,
    enum.auto, type(collections.namedtuple),
)  # fmt: skip
_ATOMS = tuple(each for each in _ATOMS if each is not types.FunctionType)
ATOM_IDS = frozenset(map(id, _ATOMS))

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
        if (package, name) in _SPECIAL:
            special, complete = _SPECIAL[package, name]
            own = None if complete else _instance_look(kind, mro)
            return special if own is None or base is kind else _both(special, own)
        if package in _MACHINERY and base is not kind and not is_library(module_of(kind)):
            break  # the user's own subclass of something abstract
    package = package_of(module_of(kind))
    if package in _MACHINERY:
        return None
    if package in _CLOSED:
        return _closed
    if package == "matplotlib" or any(package_of(module_of(b)) == "matplotlib" for b in mro):
        return _figure
    if any(base in _IMMUTABLE_BASES for base in mro) and not _is_users(kind):
        return None
    own = _instance_look(kind, mro)
    if own is not None:
        return own
    if package in _SETTLED and kind.__name__ not in _CHANGING_IN_NUMPY:
        return None
    if kind is object:
        return None
    return _unknown


def _is_users(kind: type) -> bool:
    return bool(kind.__flags__ & _HEAP) and not is_library(module_of(kind))


def _instance_look(kind: type, mro: tuple[type, ...]) -> Look | None:
    """Return a look at `__dict__` and slots, and at the class when it's the user's own."""
    getter = None
    slots: list[Any] = []
    in_c = False
    for base in mro[:-1]:
        held = _CLASS_DICT(base)
        entry = held.get("__dict__")
        if type(entry) is types.GetSetDescriptorType and getter is None:
            getter = entry.__get__
        heap = bool(base.__flags__ & _HEAP)
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


def _list(value: Any, reach: Reach) -> Content:
    if list.__len__(value) > MANY:
        return _large(list.__len__(value), list.__getitem__(value, slice(0, 64)), reach)
    return Content(list.copy(value))


def _large(size: int, first: list[Any], reach: Reach) -> Content:
    """Look at a container that is too large to be copied: changed by every use; its objects aren't gone through."""
    if not ATOM_IDS.issuperset(map(id, map(type, first))):
        reach.hashed(1 << 62)
    return Content(token=size, uses=True)


def _tuple(value: Any, reach: Reach) -> Content:
    reach.reached(tuple.__iter__(value))
    return Content()


def _frozenset(value: Any, reach: Reach) -> Content:
    reach.reached(frozenset.__iter__(value))
    return Content()


def _dict(value: Any, reach: Reach) -> Content:
    if dict.__len__(value) > MANY // 2:
        return _large(dict.__len__(value), list(itertools.islice(dict.values(value), 64)), reach)
    parts = [*dict.values(value), *dict.keys(value)]
    return Content(parts, len(parts))


def _ordered(value: Any, reach: Reach) -> Content:
    pairs = collections.OrderedDict.items(value)
    parts = [each for pair in pairs for each in pair]
    return Content(parts)


def _defaultdict(value: Any, reach: Reach) -> Content:
    content = _dict(value, reach)
    content.parts.append(value.default_factory if type(value) is collections.defaultdict else None)
    return content


def _set(value: Any, reach: Reach) -> Content:
    if set.__len__(value) > MANY:
        return _large(set.__len__(value), list(itertools.islice(set.__iter__(value), 64)), reach)
    return Content(list(set.__iter__(value)))


def _deque(value: Any, reach: Reach) -> Content:
    return Content(list(collections.deque.__iter__(value)))


def _bytearray(value: Any, reach: Reach) -> Content:
    return Content(
        token=bytes(memoryview(value)) if len(memoryview(value)) < MANY else None, uses=len(memoryview(value)) >= MANY
    )


def _buffer(value: Any, reach: Reach) -> Content:
    view = memoryview(value)
    if isinstance(value, memoryview):
        reach.reached([value.obj])
    if view.readonly or view.nbytes > MANY:
        return Content(uses=not view.readonly)
    return Content(token=view.tobytes())


def _function(value: Any, reach: Reach) -> Content:
    parts: list[Any] = [value.__code__, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
    parts += value.__closure__ or ()
    parts += value.__dict__.values()
    reach.ran(value.__code__, value.__globals__)
    return Content(parts)


def _cell(value: Any, reach: Reach) -> Content:
    try:
        return Content([value.cell_contents])
    except ValueError:
        return Content()


def _method(value: Any, reach: Reach) -> Content:
    reach.reached([value.__self__, value.__func__])
    return Content()


def _builtin(value: Any, reach: Reach) -> Content:
    owner = value.__self__
    if owner is not None and type(owner) is not types.ModuleType:
        reach.reached([owner])
    return Content()


def _wrapping(value: Any, reach: Reach) -> Content:
    reach.reached([getattr(value, name, None) for name in ("__func__", "fget", "fset", "fdel")])
    return Content()


def _generator(value: Any, reach: Reach) -> Content:
    for attribute in ("gi_code", "cr_code", "ag_code"):
        code = getattr(value, attribute, None)
        frame = getattr(value, f"{attribute[:2]}_frame", None)
        if code is not None and frame is not None:
            reach.ran(code, frame.f_globals)
    reach.reached(gc.get_referents(value))
    return OPAQUE


def _unknown(value: Any, reach: Reach) -> Content:
    reach.reached(gc.get_referents(value))
    return OPAQUE


def _closed(value: Any, reach: Reach) -> Content:
    return OPAQUE


def _figure(value: Any, reach: Reach) -> Content:
    """Look at a part of a figure: all parts of one figure are changed together."""
    held = getattr(value, "__dict__", {})
    owner = held.get("_parent_figure") or held.get("figure")
    if owner is not None and owner is not value:
        reach.reached([owner])
    return OPAQUE


def _class(value: Any, reach: Reach) -> Content:
    if is_library(module_of(value)):
        return Content()
    held = _CLASS_DICT(value)
    reach.reached(type.__dict__["__bases__"].__get__(value))
    if type(value) is not type and type(value).__flags__ & _HEAP:
        reach.reached([type(value)])
    names = [
        each for each in held if each not in ("__doc__", "__dict__", "__weakref__", "__abstractmethods__", "_abc_impl")
    ]
    return Content([*(held[each] for each in names), *names])


def _module(value: Any, reach: Reach) -> Content:
    held = vars(types.ModuleType)["__dict__"].__get__(value)
    if is_library(held.get("__name__")):
        return Content()
    parts = [each for key, each in held.items() if key not in ("__builtins__", "__loader__", "__spec__", "__cached__")]
    return Content(parts, len(parts))


def _random(value: Any, reach: Reach) -> Content:
    return Content(token=hash(random.Random.getstate(value)))


def _cached(value: Any, reach: Reach) -> Content:
    reach.reached([value.__wrapped__])
    return Content(token=tuple(value.cache_info()))


def _partial(value: Any, reach: Reach) -> Content:
    return Content([value.func, *value.args, *value.keywords.values(), *value.__dict__.values()])


def _exception(value: Any, reach: Reach) -> Content:
    return Content([*value.args, *value.__dict__.values()])


def _proxy(value: Any, reach: Reach) -> Content:
    reach.reached(gc.get_referents(value))
    return Content()


def _weak(value: Any, reach: Reach) -> Content:
    reach.reached([weakref.ref.__call__(value)])
    return Content()


_BUILT_IN: dict[type, Look] = {
    list: _list,
    tuple: _tuple,
    frozenset: _frozenset,
    collections.OrderedDict: _ordered,
    collections.defaultdict: _defaultdict,
    dict: _dict,
    set: _set,
    collections.deque: _deque,
    bytearray: _bytearray,
    memoryview: _buffer,
    types.FunctionType: _function,
    types.CellType: _cell,
    types.MethodType: _method,
    types.BuiltinFunctionType: _builtin,
    staticmethod: _wrapping,
    classmethod: _wrapping,
    property: _wrapping,
    types.GeneratorType: _generator,
    types.CoroutineType: _generator,
    types.AsyncGeneratorType: _generator,
    types.MappingProxyType: _proxy,
    type({}.keys()): _proxy,
    type({}.values()): _proxy,
    type({}.items()): _proxy,
    type: _class,
    types.ModuleType: _module,
    random.Random: _random,
    type(functools.lru_cache(lambda: None)): _cached,
    functools.partial: _partial,
    weakref.ref: _weak,
    BaseException: _exception,
    io.IOBase: _unknown,
    io.StringIO: _unknown,
    io.BytesIO: _unknown,
}
_BY_ID = {id(kind): look for kind, look in _BUILT_IN.items()}
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
_SPECIAL: dict[tuple[str, str], tuple[Look, bool]] = {
    ("numpy", "ndarray"): (arrays.look_at_array, False),
    ("numpy", "generic"): (lambda value, reach: Content(), True),
    ("numpy", "BitGenerator"): (arrays.look_at_bits, True),
    ("numpy", "Generator"): (arrays.look_at_generator, True),
    ("numpy", "RandomState"): (arrays.look_at_random_state, True),
    ("numpy", "ufunc"): (_proxy, True),
    ("pandas", "DataFrame"): (tables.look_at_table, True),
    ("pandas", "Series"): (tables.look_at_table, True),
    ("pandas", "Index"): (tables.look_at_index, True),
    ("pandas", "ExtensionArray"): (tables.look_at_extension, True),
    ("pandas", "BaseGroupBy"): (tables.look_at_view, True),
    ("pandas", "GroupBy"): (tables.look_at_view, True),
    ("pandas", "BaseWindow"): (tables.look_at_view, True),
    ("pandas", "Properties"): (tables.look_at_view, True),
    ("pandas", "NDFrameIndexerBase"): (tables.look_at_indexer, True),
    ("torch", "Tensor"): (arrays.look_at_tensor, True),
    ("torch", "TensorBase"): (arrays.look_at_tensor, True),
    ("logging", "Logger"): (lambda value, reach: Content([value.level, value.disabled, *value.handlers]), True),
    ("polars", "DataFrame"): (tables.look_at_polars, True),
    ("polars", "Series"): (tables.look_at_polars, True),
    ("polars", "LazyFrame"): (lambda value, reach: Content(), True),
    ("polars", "Expr"): (lambda value, reach: Content(), True),
}
