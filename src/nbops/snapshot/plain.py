"""Plain values and other Python objects as bytes that are the same in every session.

A value is its type's tag and its content, containers with their lengths. Types count: 1, 1.0, True and ``np.int64(1)``
differ. Dictionaries and sets, which are equal in any order, are told in the order of what their members encode to. Other
objects are told by what pickle would keep of them: the class by its name, its arguments and its state; what would
be kept by name only (functions, modules) or can't be pickled (files, generators) has no content to tell.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import struct
import types
import uuid
from collections.abc import Callable
from typing import Any

from nbops.snapshot.streams import UnknownContent, joined

_DEEPEST = 60
_NAN = struct.pack("<d", float("nan"))
_BY_NAME = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType, types.MethodType, types.GeneratorType)


def encoded(value: object) -> bytes:
    """Return bytes that stand for a value and its type.

    Raises
    ------
    UnknownContent
        If it has no content that would be the same in another session.
    """
    return _encoded(value, 0)


def encoded_cell(value: object) -> bytes:
    """Return bytes for a value in a column of objects, where missing is missing: None, NaN, NaT and NA are one."""
    return b"missing" if is_missing(value) else _encoded(value, 0)


def is_missing(value: object) -> bool:
    """Whether a value stands for a missing one."""
    if value is None or type(value).__name__ in ("NaTType", "NAType"):
        return True
    return isinstance(value, float) and value != value


def _encoded(value: object, depth: int) -> bytes:
    tell = _PLAIN.get(type(value))
    if tell is not None:
        content = tell(value)
        return type(value).__name__.encode() + b" " + content
    if depth > _DEEPEST:  # it holds itself, or is no value to speak of
        raise UnknownContent(type(value).__name__)
    deeper = depth + 1
    match value:
        case enum.Enum():
            return _named(value, _encoded(value.value, deeper))
        case tuple() | list():
            return _named(value, joined(_encoded(member, deeper) for member in value))
        case dict():
            pairs = (joined([_encoded(key, deeper), _encoded(member, deeper)]) for key, member in value.items())
            return _named(value, joined(sorted(pairs) if type(value).__name__ != "OrderedDict" else pairs))
        case set() | frozenset():
            return _named(value, joined(sorted(_encoded(member, deeper) for member in value)))
        case pathlib.PurePath():
            return b"path " + value.as_posix().encode("utf-8", "surrogatepass")
        case datetime.tzinfo():
            return b"zone " + zone_name(value).encode()
    from nbops.snapshot.contents import content_digest  # each knows the other: a list may hold a frame, a frame lists

    if (digest := content_digest(value)) is not None:
        return b"content " + digest
    if type(value).__module__.partition(".")[0] == "pandas" and (told := _pandas_scalar(value, deeper)) is not None:
        return told
    return _object(value, deeper)


def zone_name(zone: Any) -> str:
    """Return a time zone's name, whichever library it comes from."""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name:
        return str(name)
    offset = zone.utcoffset(None) if not hasattr(zone, "_filename") else None
    if offset is None:  # dateutil's zones from files, whose paths differ between machines
        return type(zone).__name__ + str(getattr(zone, "_filename", "")).rpartition("zoneinfo/")[2]
    return "UTC" if not offset else f"UTC{offset.total_seconds():+}"


def _pandas_scalar(value: Any, depth: int) -> bytes | None:
    kind = type(value).__name__
    match kind:
        case "Timestamp":  # whichever unit it is kept in
            zone = zone_name(value.tzinfo) if value.tzinfo else ""
            return f"Timestamp {value.isoformat(timespec='nanoseconds')} {zone}".encode()
        case "Timedelta":
            return f"Timedelta {value.isoformat()}".encode()
        case "Period":
            return f"Period {value.freqstr} {value.ordinal}".encode()
        case "Interval":
            return b"Interval " + joined([_encoded(v, depth) for v in (value.left, value.right, value.closed)])
        case "NaTType" | "NAType":
            return kind.encode()
    return None


def _object(value: Any, depth: int) -> bytes:
    if isinstance(value, type):
        return f"type {value.__module__}.{value.__qualname__}".encode()
    if isinstance(value, _BY_NAME):
        raise UnknownContent(type(value).__name__)
    try:
        reduced = value.__reduce_ex__(4)
    except Exception as error:  # any class may refuse in its own way
        raise UnknownContent(type(value).__name__) from error
    if isinstance(reduced, str):  # a global: only its name would be kept
        raise UnknownContent(reduced)
    function, arguments, state, members, items = (*reduced, None, None, None)[:5]
    parts = [f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', '')}".encode()]
    parts += [_encoded(part, depth) for part in (arguments, state)]
    parts += [joined(_encoded(part, depth) for part in several or ()) for several in (members, items)]
    return b"object " + joined(parts)


def _named(value: object, content: bytes) -> bytes:
    kind = type(value)
    name = kind.__name__ if kind.__module__ in ("builtins", "collections") else f"{kind.__module__}.{kind.__qualname__}"
    return name.encode() + b" " + content


def _float(value: float) -> bytes:
    return struct.pack("<d", value) if value == value else _NAN


def _time(value: datetime.datetime | datetime.time) -> bytes:
    zone = zone_name(value.tzinfo) if value.tzinfo else ""
    return f"{value.isoformat()} {zone}".encode()


_PLAIN: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda value: b"",
    bool: lambda value: b"1" if value else b"0",
    int: lambda value: hex(value).encode(),
    float: _float,
    complex: lambda value: _float(value.real) + _float(value.imag),
    str: lambda value: value.encode("utf-8", "surrogatepass"),
    bytes: bytes,
    bytearray: bytes,
    datetime.datetime: _time,
    datetime.time: _time,
    datetime.date: lambda value: value.isoformat().encode(),
    datetime.timedelta: lambda value: f"{value.days} {value.seconds} {value.microseconds}".encode(),
    decimal.Decimal: lambda value: str(value).encode(),
    fractions.Fraction: lambda value: str(value).encode(),
    uuid.UUID: lambda value: value.bytes,
    range: lambda value: f"{value.start} {value.stop} {value.step}".encode(),
    type(...): lambda value: b"",
    type(NotImplemented): lambda value: b"",
}
