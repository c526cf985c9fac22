"""Which globals a function's bytecode reads, and which texts and attributes it holds.

The code object's own instructions are looked through, nested functions included, so that an attribute called like a variable
isn't taken for it. On an interpreter whose instructions have other names, every name of the code counts.
"""

from __future__ import annotations

import dis
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType

_EXTENDED = dis.opmap["EXTENDED_ARG"]
_SHIFTED = {dis.opmap["LOAD_GLOBAL"]} if "LOAD_GLOBAL" in dis.opmap else set()
_PLAIN = {
    dis.opmap[name]
    for name in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "DELETE_GLOBAL", "DELETE_NAME")
    if name in dis.opmap
}
_STORES = {dis.opmap[name] for name in ("STORE_ATTR", "DELETE_ATTR") if name in dis.opmap}


@dataclass(frozen=True, slots=True)
class CodeNames:
    """What a code object and those within it mention."""

    globals: frozenset[str]
    attributes: frozenset[str]
    texts: frozenset[str]
    stores: bool


@lru_cache(maxsize=2048)
def mentioned(code: CodeType) -> CodeNames:
    """Return what a code object mentions, nested functions included."""
    read: set[str] = set()
    attributes = set(code.co_names)
    texts: set[str] = set()
    stores = False
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = mentioned(constant)
            read |= inner.globals
            attributes |= inner.attributes
            texts |= inner.texts
            stores |= inner.stores
        elif type(constant) is str:
            texts.add(constant)
    raw, names, extended = code.co_code, code.co_names, 0
    for at in range(0, len(raw), 2):
        operation, argument = raw[at], raw[at + 1] | extended
        extended = argument << 8 if operation == _EXTENDED else 0
        if operation in _SHIFTED and argument >> 1 < len(names):
            read.add(names[argument >> 1])
        elif operation in _PLAIN and argument < len(names):
            read.add(names[argument])
        elif operation in _STORES:
            stores = True
    if not _SHIFTED:
        read |= attributes
    return CodeNames(frozenset(read), frozenset(attributes), frozenset(texts), stores or "setattr" in attributes)
