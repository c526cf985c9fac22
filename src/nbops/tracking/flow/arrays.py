"""How to look at arrays and random generators of numpy, and at tensors.

Arrays that share memory are known by the array that owns it: only that one is hashed (XXH3), whichever view a statement
writes through. An array that nobody can write to isn't hashed. Of a random generator the state is the content.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from nbops.tracking.flow.content import OPAQUE, Content, Reach

_MERSENNE = 625 * 4


def look_at_array(value: Any, reach: Reach) -> Content:
    """Look at a numpy array: its memory, if it owns it, and else the owner."""
    import numpy as np

    ndarray = np.ndarray
    plain = value if type(value) is ndarray else ndarray.view(value, ndarray)
    base = value.base if type(value) is ndarray else ndarray.base.__get__(value)
    form = (plain.shape, plain.strides, plain.dtype.str)
    if isinstance(base, ndarray):
        owner = base
        while isinstance(owner.base, ndarray):
            owner = owner.base
        if plain.dtype.hasobject:
            return Content([owner, *plain.ravel(order="K").tolist()] if plain.dtype == object else [owner], form)
        return Content([owner], form)
    if plain.dtype == object:
        if plain.size > 100_000:
            return _large_objects(plain, form, reach)
        return Content([base, *plain.ravel(order="K").tolist()], form)
    if not plain.flags.writeable and base is None:
        return Content(token=form)
    if base is not None:
        reach.reached([base])
    return hashed(plain, form, reach)


def _large_objects(plain: Any, form: Any, reach: Reach) -> Content:
    """Look at a large array of objects by their addresses; they themselves are looked at as far as a few are."""
    import xxhash

    first = plain.ravel(order="K")[:256].tolist()
    if any(type(each) not in (str, int, float, bool, type(None), bytes) for each in first):
        reach.hashed(1 << 62)
    if not (plain.flags.c_contiguous or plain.flags.f_contiguous):
        return Content(token=form, uses=True)
    address = plain.__array_interface__["data"][0]
    pointers = (ctypes.c_char * plain.nbytes).from_address(address)
    return Content(token=(form, xxhash.xxh3_64_intdigest(memoryview(pointers))))


def hashed(plain: Any, form: Any, reach: Reach) -> Content:
    """Return a content that knows an array's bytes by their hash, or not at all where that would take too long."""
    import numpy as np
    import xxhash

    kind = plain.dtype
    if kind.hasobject or not reach.hashed(plain.nbytes):
        return Content(token=form, uses=True)
    flags = plain.flags
    if kind.isnative and kind.kind in "biuf":  # others don't give their memory away as it is
        if flags.c_contiguous:
            return Content(token=(form, xxhash.xxh3_64_intdigest(plain)))
        if flags.f_contiguous:
            return Content(token=(form, xxhash.xxh3_64_intdigest(plain.T)))
    if flags.c_contiguous or flags.f_contiguous:
        flat = plain.reshape(-1, order="A" if flags.c_contiguous else "F")
        return Content(token=(form, xxhash.xxh3_64_intdigest(flat.view(np.uint8).data)))
    if plain.nbytes > 1 << 24:
        return Content(token=form, uses=True)
    return Content(token=(form, xxhash.xxh3_64_intdigest(plain.tobytes())))


def look_at_bits(value: Any, reach: Reach) -> Content:
    """Look at a bit generator's state."""
    return Content(token=_frozen(value.state))


def look_at_generator(value: Any, reach: Reach) -> Content:
    """Look at a `numpy.random.Generator`: its bit generator holds the state."""
    return Content([value.bit_generator])


def look_at_random_state(value: Any, reach: Reach) -> Content:
    """Look at a legacy `RandomState`."""
    return Content(token=_frozen(value.get_state(legacy=False)))


def mersenne(bits: Any) -> bytes | None:
    """Return the raw state of a Mersenne twister, which is 50 times quicker than its `state`."""
    if type(bits).__name__ != "MT19937":
        return None
    return ctypes.string_at(bits.ctypes.state_address, _MERSENNE)


def look_at_tensor(value: Any, reach: Reach) -> Content:
    """Look at a tensor of torch: every write in place raises its version."""
    torch = sys.modules["torch"]
    try:
        storage = value.untyped_storage().data_ptr()
        with torch.no_grad():
            gradient = value.grad if value.is_leaf else None
        if gradient is not None:
            reach.reached([gradient])
        return Content([gradient], (value._version, storage, tuple(value.shape), bool(value.requires_grad)))
    except (AttributeError, RuntimeError, NotImplementedError):
        return OPAQUE


def _frozen(state: Any) -> Any:
    if type(state) is dict:
        return tuple((key, _frozen(each)) for key, each in state.items())
    if hasattr(state, "tobytes"):
        return state.tobytes()
    return state
