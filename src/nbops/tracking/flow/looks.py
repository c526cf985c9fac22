"""What there is to see in each kind of object of Python's own, and which look is for which type.

A container holds its elements, a function what its closure, defaults and attributes hold and the globals that its code
reads, a class and a local module their attributes. What can't be looked into leads to what the garbage collector finds in
it, and counts as changed by every use. The tables at the end say it by type, and for libraries by package and name.
"""

from __future__ import annotations

import collections
import functools
import gc
import io
import itertools
import random
import types
import weakref
from typing import Any

from nbops.tracking.flow import arrays, tables
from nbops.tracking.flow.content import ATOM_IDS, OPAQUE, Content, Look, Reach
from nbops.tracking.flow.places import is_library, module_of

CLASS_DICT = type.__dict__["__dict__"].__get__
HEAP = 1 << 9
_MANY = 100_000


def _list(value: Any, reach: Reach) -> Content:
    if list.__len__(value) > _MANY:
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
    if dict.__len__(value) > _MANY // 2:
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
    if set.__len__(value) > _MANY:
        return _large(set.__len__(value), list(itertools.islice(set.__iter__(value), 64)), reach)
    return Content(list(set.__iter__(value)))


def _deque(value: Any, reach: Reach) -> Content:
    return Content(list(collections.deque.__iter__(value)))


def _bytearray(value: Any, reach: Reach) -> Content:
    return Content(
        token=bytes(memoryview(value)) if len(memoryview(value)) < _MANY else None, uses=len(memoryview(value)) >= _MANY
    )


def _buffer(value: Any, reach: Reach) -> Content:
    view = memoryview(value)
    if isinstance(value, memoryview):
        reach.reached([value.obj])
    if view.readonly or view.nbytes > _MANY:
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


def look_at_unknown(value: Any, reach: Reach) -> Content:
    """Look at an object in C by what the garbage collector finds in it."""
    reach.reached(gc.get_referents(value))
    return OPAQUE


def look_at_closed(value: Any, reach: Reach) -> Content:
    """Look at nothing: what it holds is unknown."""
    return OPAQUE


def look_at_figure(value: Any, reach: Reach) -> Content:
    """Look at a part of a figure: all parts of one figure are changed together."""
    held = getattr(value, "__dict__", {})
    owner = held.get("_parent_figure") or held.get("figure")
    if owner is not None and owner is not value:
        reach.reached([owner])
    return OPAQUE


def _class(value: Any, reach: Reach) -> Content:
    if is_library(module_of(value)):
        return Content()
    held = CLASS_DICT(value)
    reach.reached(type.__dict__["__bases__"].__get__(value))
    if type(value) is not type and type(value).__flags__ & HEAP:
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


BUILT_IN: dict[type, Look] = {
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
    io.IOBase: look_at_unknown,
    io.StringIO: look_at_unknown,
    io.BytesIO: look_at_unknown,
}
SPECIAL: dict[tuple[str, str], tuple[Look, bool]] = {
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
