"""How to look at pandas' and polars' tables.

A frame keeps its columns in blocks. Small frames' blocks are hashed. Of a large one a shallow copy is held while the
statement runs: under copy-on-write a write in place then makes a new block, so that comparing blocks by identity tells
whether it changed. Where somebody else holds a block's memory (a view made on purpose), copying would part what the user
joined, so it's hashed like an array. Blocks that were only put together anew (pandas does so when it reads) are compared
by their columns.
"""

from __future__ import annotations

import sys
from typing import Any

from nbops.tracking.flow.arrays import hashed
from nbops.tracking.flow.content import MUTE, OPAQUE, Content, Reach

_SMALL = 4 << 20
_NAMES = frozenset({str, int, type(None), float, tuple})
_INNER = ("_pa_array", "_ndarray", "_data", "_mask", "_codes", "_left", "_right", "_sparse_values")


class _TableContent(Content):
    """A table's content; when its blocks were only put together anew it's the same."""

    __slots__ = ("axes", "blocks", "digests")
    axes: list[Any]
    blocks: list[tuple[Any, Any]]
    digests: list[Any]

    def same(self, later: Content) -> bool:
        if super().same(later):
            return True
        if not isinstance(later, _TableContent) or self.uses or later.uses:
            return False
        if len(self.axes) != len(later.axes) or any(a is not b for a, b in zip(self.axes, later.axes, strict=True)):
            return False
        return _same_columns(self, later)


def look_at_table(value: Any, reach: Reach) -> Content:
    """Look at a DataFrame or a Series."""
    held = object.__getattribute__(value, "__dict__")
    manager = held.get("_mgr")
    blocks = getattr(manager, "blocks", None)
    axes = getattr(manager, "axes", None)
    if blocks is None or axes is None:
        return OPAQUE
    parts: list[Any] = [*axes]
    token: list[Any] = [tuple(axis.names) for axis in axes if _plain_names(axis)]
    own = [each for key, each in held.items() if key not in ("_mgr", "_attrs", "_flags", "_cacher", "_item_cache")]
    parts += own
    if held.get("_attrs"):
        parts.append(held["_attrs"])
    children = [*parts]
    shared = uses = False
    ndarray = sys.modules["numpy"].ndarray
    size, several = 0, len(blocks) > 1
    for block in blocks:
        if type(block.values) is ndarray:
            size += block.values.nbytes
    large = size > _SMALL
    for block in blocks:
        values = block.values
        parts.append(values)
        token.append(block.mgr_locs.as_array.tobytes() if several else len(axes[0]))
        if type(values) is not ndarray or values.dtype.hasobject:
            children.append(values)
            continue
        owner = values if values.base is None else values.base
        while type(getattr(owner, "base", None)) is ndarray:
            owner = owner.base
        reach.shares(owner)
        shared = shared or _held_elsewhere(values, owner)
        if not large:
            content = hashed(values, "", reach)
            token.append(content.token)
            uses = uses or content.uses
    digests: list[Any] = [each for each in token if type(each) is tuple and each[:1] == ("",)]
    keep = None
    if large and shared:
        for block in blocks:
            if type(block.values).__name__ == "ndarray" and block.values.dtype != object:
                content = hashed(block.values, "", reach)
                token.append(content.token)
                digests.append(content.token)
                uses = uses or content.uses
    elif large:
        keep = value.copy(deep=False) if _copies_on_write() else None
        uses = keep is None
    content = _TableContent(parts, tuple(token), uses=uses, held=keep, children=children)
    content.digests = digests
    content.axes = list(axes)
    content.blocks = [(block.values, block.mgr_locs.as_array) for block in blocks]
    return content


def look_at_index(value: Any, reach: Reach) -> Content:
    """Look at an Index: its values don't change, its name may."""
    return Content(token=tuple(value.names) if _plain_names(value) else None)


def look_at_extension(value: Any, reach: Reach) -> Content:
    """Look at an extension array by the arrays that it's made of."""
    parts = [each for each in (getattr(value, name, None) for name in _INNER) if each is not None]
    return Content(parts, uses=not parts)


def look_at_view(value: Any, reach: Reach) -> Content:
    """Look at a grouping or a window: it leads to its table."""
    held = getattr(value, "__dict__", {})
    reach.reached([held[name] for name in ("obj", "_selected_obj", "_parent", "keys", "_data") if name in held])
    return Content()


def look_at_indexer(value: Any, reach: Reach) -> Content:
    """Look at a kept ``df.loc``: it leads to its table."""
    reach.reached([getattr(value, "obj", None)])
    return Content()


def look_at_polars(value: Any, reach: Reach) -> Content:
    """Look at a polars table: its columns are Arrow's and don't change, but may be replaced in small number."""
    inner = getattr(value, "_df", None) or getattr(value, "_s", None)
    columns = tuple(getattr(value, "columns", ()) or (getattr(value, "name", ""),))
    return Content([inner], (columns, len(value)), uses=False)


def _held_elsewhere(values: Any, owner: Any) -> bool:
    """Whether more than the block holds its memory; what is counted beside are this function's own references."""
    if owner is values:
        return sys.getrefcount(values) > 5
    return sys.getrefcount(owner) > 5 or sys.getrefcount(values) > 5


def _plain_names(axis: Any) -> bool:
    return _NAMES.issuperset(map(type, axis.names))


def _copies_on_write() -> bool:
    pandas = sys.modules["pandas"]
    return int(pandas.__version__.partition(".")[0]) >= 3


def _same_columns(one: _TableContent, other: _TableContent) -> bool:
    """Whether columns are the same though they lie in other blocks; the old blocks must not have been written to."""
    if (
        one.held is None
        and [hashed(values, "", MUTE).token for values, _ in one.blocks if _is_plain(values)] != one.digests
    ):
        return False
    before, after = _columns(one), _columns(other)
    if before.keys() != after.keys():
        return False
    for position, old in before.items():
        new = after[position]
        if old is new:
            continue
        if type(old).__name__ != "ndarray" or type(new).__name__ != "ndarray":
            return False
        if old.dtype != new.dtype or old.dtype == object or not _same_bytes(old, new):
            return False
    return True


def _is_plain(values: Any) -> bool:
    return type(values).__name__ == "ndarray" and values.dtype != object


def _same_bytes(old: Any, new: Any) -> bool:
    import numpy as np

    if old.shape != new.shape:
        return False
    if old.flags.c_contiguous and new.flags.c_contiguous:
        return bool(np.array_equal(old.reshape(-1).view(np.uint8), new.reshape(-1).view(np.uint8)))
    return bool(old.tobytes() == new.tobytes())


def _columns(content: _TableContent) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for values, places in content.blocks:
        for row, place in enumerate(places):
            found[int(place)] = values[row] if getattr(values, "ndim", 1) == 2 else values
    return found
