"""What an object holds at one moment, so that a later moment can be compared with it.

`parts` are the objects that it holds, compared by identity; its `children` (the parts, if nothing else is said) are looked
at in their turn; `token` stands for what isn't objects
(a hash of an array's bytes, a generator's state), compared by value. The parts are held only while a statement runs, so that
no id can be given to another object meanwhile; what is kept between statements is a `mark`, a number.
An object that `uses` says of can't be looked into: whatever may have used it counts as having changed it.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
from collections.abc import Callable, Iterable
from operator import is_
from types import CodeType
from typing import Any, Protocol

# What can't change and leads nowhere
_ATOMS: tuple[type, ...] = (
    int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented), range, slice, types.CodeType,
    datetime.date, datetime.datetime, datetime.time, datetime.timedelta, datetime.timezone, decimal.Decimal,
    fractions.Fraction, uuid.UUID, re.Pattern, re.Match, pathlib.PosixPath, pathlib.WindowsPath, pathlib.PurePosixPath,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType, types.MethodDescriptorType,
    types.ClassMethodDescriptorType, types.MethodWrapperType, types.TracebackType, types.GenericAlias, types.UnionType,
    enum.auto,
)  # fmt: skip
ATOM_IDS = frozenset(map(id, _ATOMS))

Token = str | int | bytes | float | tuple[Any, ...] | None


class Content:
    """What an object held when it was looked at."""

    __slots__ = ("_mark", "children", "held", "parts", "token", "uses")

    def __init__(
        self,
        parts: list[Any] | None = None,
        token: Token = None,
        *,
        uses: bool = False,
        held: Any = None,
        children: list[Any] | None = None,
    ) -> None:
        self.parts: list[Any] = [] if parts is None else parts
        self.children = self.parts if children is None else children
        self.token = token
        self.uses = uses
        self.held = held
        self._mark: int | None = None

    def same(self, later: Content) -> bool:
        """Whether `later` holds the same objects and the same bytes."""
        return (
            self.token == later.token and len(self.parts) == len(later.parts) and all(map(is_, self.parts, later.parts))
        )

    def mark(self) -> int:
        """Return a number to know this content by, which keeps nothing alive."""
        if self._mark is None:
            self._mark = hash((self.token, *map(id, self.parts)))
        return self._mark


OPAQUE = Content(uses=True)


class Reach(Protocol):
    """What a look may tell beside the content of an object."""

    def reached(self, values: Iterable[Any]) -> None:
        """Tell of objects to be looked at that aren't part of the content."""

    def shares(self, value: Any) -> None:
        """Tell of an object whose memory is this one's too."""

    def ran(self, code: CodeType, namespace: dict[str, Any]) -> None:
        """Tell of code that using the object may execute."""

    def leaf(self, value: Any) -> None:
        """Tell of a list whose elements aren't to be looked at."""

    def hashed(self, size: int) -> bool:
        """Whether `size` more bytes may be hashed."""


Look = Callable[[Any, Reach], Content]


class Mute:
    """Takes no notice: for looking again at what is known already."""

    def reached(self, values: Iterable[Any]) -> None: ...

    def shares(self, value: Any) -> None: ...

    def ran(self, code: CodeType, namespace: dict[str, Any]) -> None: ...

    def leaf(self, value: Any) -> None: ...

    def hashed(self, size: int) -> bool:
        return True


MUTE = Mute()
