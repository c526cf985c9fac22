"""Arrow content into digests: however it is cut into chunks, sliced or laid out, equal content is equal.

For each type there is a hasher that takes chunk after chunk: fixed-width buffers go into the hash where they lie; strings
as their lengths and their bytes; nulls as their positions, with whatever lies under them left out; lists and structs by
their children. Layouts of one logical type (``string``, ``large_string``, ``string_view``; lists likewise) are one, and
dictionaries count as what they decode to. Metadata, field nullability and chunks are not content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from nbops.snapshot.streams import UnknownContent, joined, new_hash, update_numbers

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_BLOCK = 1 << 16


def chunks_digest(kind: pa.DataType, chunks: Iterable[pa.Array]) -> bytes:
    """Return 16 bytes over the type and the values of a column that comes in chunks.

    Raises
    ------
    UnknownContent
        If the type has no values that could be told.
    """
    hasher = _hasher(kind)
    for chunk in chunks:
        hasher.update(chunk)
    return joined([type_name(kind).encode(), hasher.digest()])


def column_digest(column: pa.Array | pa.ChunkedArray) -> bytes:
    """Return 16 bytes over an array's type and values."""
    return chunks_digest(column.type, column.chunks if hasattr(column, "chunks") else [column])


def type_name(kind: pa.DataType) -> str:
    """Return a name for a type that is the same in all versions of pyarrow and for all layouts of it."""
    from pyarrow import types

    if _is_text(kind):
        return "string"
    if _is_bytes(kind):
        return "binary"
    if types.is_dictionary(kind):
        return f"dictionary<{type_name(kind.value_type)}{', ordered' if kind.ordered else ''}>"
    if types.is_fixed_size_list(kind):
        return f"list<{type_name(kind.value_type)}, {kind.list_size}>"
    if _is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if types.is_struct(kind):
        fields = (kind.field(number) for number in range(kind.num_fields))
        return f"struct<{', '.join(f'{field.name!r}: {type_name(field.type)}' for field in fields)}>"
    if types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {type_name(kind.item_type)}>"
    if types.is_run_end_encoded(kind):
        return type_name(kind.value_type)
    if hasattr(kind, "storage_type"):
        return f"{kind.extension_name}<{type_name(kind.storage_type)}>"
    return str(kind)


class _Hasher(Protocol):
    def update(self, array: pa.Array) -> None: ...

    def digest(self) -> bytes: ...


class _Nulls:
    """Where the nulls are, and how many values there are.

    A byte for each value up to the last null: chunks without nulls only count, until a later one has some.
    """

    def __init__(self) -> None:
        self._running = new_hash()
        self._length = 0
        self._waiting = 0

    def update(self, array: pa.Array) -> np.ndarray[Any, Any] | None:
        """Take a chunk's, and return its mask if it has any."""
        self._length += len(array)
        if not array.null_count:
            self._waiting += len(array)
            return None
        mask = _null_mask(array)
        after = int(mask[::-1].argmax())
        self._running.update(bytes(self._waiting))
        self._running.update(mask[: len(mask) - after].view("uint8").data)
        self._waiting = after
        return mask

    def digest(self) -> bytes:
        return f"{self._length} ".encode() + bytes(self._running.digest())


class _Empty:
    """Null after null."""

    def __init__(self, kind: pa.DataType) -> None:
        self._nulls = 0

    def update(self, array: pa.Array) -> None:
        self._nulls += len(array)

    def digest(self) -> bytes:
        return str(self._nulls).encode()


class _Fixed:
    """Values of one width."""

    def __init__(self, kind: pa.DataType) -> None:
        from pyarrow import types

        self._running, self._nulls = new_hash(), _Nulls()
        self._width = kind.bit_width // 8
        self._dtype = f"{'f' if types.is_floating(kind) else 'u'}{self._width}"

    def update(self, array: pa.Array) -> None:
        import numpy as np

        mask = self._nulls.update(array)
        buffer = array.buffers()[1]
        if buffer is None or not len(array):
            return
        content = memoryview(buffer)[array.offset * self._width : (array.offset + len(array)) * self._width]
        if self._width in (1, 2, 4, 8):
            update_numbers(self._running, np.frombuffer(content, self._dtype), mask)
        else:
            bytewise = np.frombuffer(content, "u1")
            update_numbers(self._running, bytewise, None if mask is None else mask.repeat(self._width))

    def digest(self) -> bytes:
        return self._nulls.digest() + bytes(self._running.digest())


class _Bits:
    """Booleans."""

    def __init__(self, kind: pa.DataType) -> None:
        self._running, self._nulls = new_hash(), _Nulls()

    def update(self, array: pa.Array) -> None:
        mask = self._nulls.update(array)
        if not len(array):
            return
        update_numbers(self._running, _bits(array, 1), mask)

    def digest(self) -> bytes:
        return self._nulls.digest() + bytes(self._running.digest())


class _Text:
    """Strings and bytes."""

    def __init__(self, kind: pa.DataType) -> None:
        self._lengths, self._content, self._nulls = new_hash(), new_hash(), _Nulls()

    def update(self, array: pa.Array) -> None:
        import numpy as np

        mask = self._nulls.update(array)
        if not len(array):
            return
        array, wide = _with_offsets(array)
        _, places, data = array.buffers()
        offsets = np.frombuffer(places, "i8" if wide else "i4")[array.offset : array.offset + len(array) + 1]
        if mask is not None and (offsets[1:] - offsets[:-1])[mask].any():  # something lies under the nulls
            offsets, data = _without(mask, offsets, memoryview(data))
        for start in range(0, len(array), _BLOCK):
            block = offsets[start : start + _BLOCK + 1]
            self._lengths.update((block[1:] - block[:-1]).astype("u4").data)
        if data is not None:
            self._content.update(memoryview(data)[int(offsets[0]) : int(offsets[-1])])

    def digest(self) -> bytes:
        return self._nulls.digest() + bytes(self._lengths.digest()) + bytes(self._content.digest())


class _List:
    """Lists: their lengths, and their values one after the other."""

    def __init__(self, kind: pa.DataType) -> None:
        self._lengths, self._nulls, self._child = new_hash(), _Nulls(), _hasher(kind.value_type)

    def update(self, array: pa.Array) -> None:
        import pyarrow.compute as pc

        mask = self._nulls.update(array)
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
        update_numbers(self._lengths, lengths.astype("i8"), mask)
        self._child.update(array.flatten())

    def digest(self) -> bytes:
        return joined([self._nulls.digest(), bytes(self._lengths.digest()), self._child.digest()])


class _Struct:
    """Structs: each field by itself."""

    def __init__(self, kind: pa.DataType) -> None:
        self._nulls = _Nulls()
        self._children = [_hasher(kind.field(number).type) for number in range(kind.num_fields)]

    def update(self, array: pa.Array) -> None:
        self._nulls.update(array)
        for child, hasher in zip(array.flatten(), self._children, strict=True):
            hasher.update(child)

    def digest(self) -> bytes:
        return joined([self._nulls.digest(), *(child.digest() for child in self._children)])


class _Decoded:
    """Values that are laid out in another way: dictionaries, runs, extension types."""

    def __init__(self, kind: pa.DataType) -> None:
        from pyarrow import types

        self._child = _hasher(kind.storage_type if hasattr(kind, "storage_type") else kind.value_type)
        self._encoded = types.is_dictionary(kind)

    def update(self, array: pa.Array) -> None:
        import pyarrow.compute as pc

        if hasattr(array, "storage"):
            self._child.update(array.storage)
        else:
            self._child.update(array.dictionary_decode() if self._encoded else pc.run_end_decode(array))

    def digest(self) -> bytes:
        return self._child.digest()


class _Values:
    """What has no hasher of its own, value by value: maps and unions."""

    def __init__(self, kind: pa.DataType) -> None:
        self._running = new_hash()

    def update(self, array: pa.Array) -> None:
        from nbops.snapshot.plain import encoded

        for value in array.to_pylist():
            content = encoded(value)
            self._running.update(len(content).to_bytes(8, "little") + content)

    def digest(self) -> bytes:
        return bytes(self._running.digest())


def _hasher(kind: pa.DataType) -> _Hasher:
    from pyarrow import types

    if types.is_null(kind):
        return _Empty(kind)
    if types.is_boolean(kind):
        return _Bits(kind)
    if _is_text(kind) or _is_bytes(kind):
        return _Text(kind)
    if types.is_fixed_size_list(kind) or _is_list(kind):
        return _List(kind)
    if types.is_struct(kind):
        return _Struct(kind)
    if types.is_dictionary(kind) or types.is_run_end_encoded(kind) or hasattr(kind, "storage_type"):
        return _Decoded(kind)
    if types.is_map(kind) or types.is_union(kind):
        return _Values(kind)
    try:
        return _Fixed(kind)
    except ValueError as error:  # no width: a type of a later pyarrow
        raise UnknownContent(str(kind)) from error


def _null_mask(array: pa.Array) -> np.ndarray[Any, Any]:
    """Return for each value whether it's null; six times as fast as by Arrow's own way to NumPy."""
    import numpy as np

    if array.buffers()[0] is None:  # a layout without a bitmap
        return np.asarray(array.is_null().to_numpy(zero_copy_only=False))
    return np.asarray(_bits(array, 0) == 0)


def _bits(array: pa.Array, buffer: int) -> np.ndarray[Any, Any]:
    """Return a byte, 0 or 1, for each of an array's bits in one of its buffers."""
    import numpy as np

    first, skipped = divmod(array.offset, 8)
    packed = np.frombuffer(array.buffers()[buffer], "uint8")[first : (array.offset + len(array) + 7) // 8]
    return np.unpackbits(packed, bitorder="little")[skipped : skipped + len(array)]


def _with_offsets(array: pa.Array) -> tuple[pa.Array, bool]:
    """Return strings with an offset for each, and whether the offsets are wide."""
    import pyarrow as pa
    from pyarrow import types

    kind = array.type
    if types.is_string(kind) or types.is_binary(kind):
        return array, False
    if types.is_large_string(kind) or types.is_large_binary(kind):
        return array, True
    return array.cast(pa.large_string() if _is_text(kind) else pa.large_binary()), True


def _without(
    mask: np.ndarray[Any, Any], offsets: np.ndarray[Any, Any], data: memoryview
) -> tuple[np.ndarray[Any, Any], bytes]:
    """Return offsets and content without what lies under nulls."""
    import numpy as np

    lengths = np.where(mask, 0, offsets[1:] - offsets[:-1])
    kept = zip(offsets[:-1][~mask].tolist(), offsets[1:][~mask].tolist(), strict=True)
    return np.concatenate([[0], np.cumsum(lengths)]), b"".join([bytes(data[start:end]) for start, end in kept])


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    from pyarrow import types

    plain: Sequence[Any] = (types.is_binary, types.is_large_binary, types.is_binary_view)
    return any(test(kind) for test in plain)


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    plain: Sequence[Any] = (types.is_list, types.is_large_list, types.is_list_view, types.is_large_list_view)
    return any(test(kind) for test in plain)
