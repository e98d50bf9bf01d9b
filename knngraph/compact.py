"""Pickles of arrays whose numbers need fewer bytes than their type has.

In memory, numbers of rows and of classes have the types that compiled functions take;
most of them fit into a few bytes, three where rows are fewer than 16 millions. A float
that counts copies is a small integer. Where most entries are zero, the others are held.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

# Arrays that are shorter are not looked at for zeros; of longer ones at most this
# share may be others.
_FEWEST_SCATTERED = 64
_MOST_SCATTERED = 0.8
_NUMBERS_PER_BLOCK = 2**20


class CompactPickle:
    """Mixin of a dataclass that pickles its fields, and nothing else, compactly.

    What is found on first use is not in the pickle, so that use does not change it.
    """

    def __getstate__(self) -> dict[str, Any]:
        names = (field.name for field in fields(self))  # type: ignore[arg-type]
        return {name: packed(getattr(self, name)) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: unpacked(value) for name, value in state.items()})


@dataclass(frozen=True)
class Narrow:
    """Numbers of an array in a smaller type, and the type they had."""

    numbers: np.ndarray
    dtype: str


@dataclass(frozen=True)
class ThreeBytes:
    """Integers less the smallest of them, the lower three bytes of each."""

    numbers: np.ndarray
    low: int
    dtype: str


@dataclass(frozen=True)
class Scattered:
    """The entries of an array that are not zero, packed, and one bit for each place."""

    values: Any
    there: np.ndarray
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Counted:
    """An array that counts from 0 on."""

    size: int
    dtype: str


@dataclass(frozen=True)
class NarrowRows:
    """The arrays of a CSR array, packed."""

    data: np.ndarray
    indices: Narrow | np.ndarray
    indptr: Narrow | np.ndarray
    shape: tuple[int, int]


def packed(value: Any) -> Any:
    """A value for a pickle: arrays of numbers that fit are narrow, all else itself.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.compact import packed, unpacked
    >>> narrow = packed(np.array([0, 300, -1]))
    >>> narrow.numbers.dtype, unpacked(narrow).dtype
    (dtype('int16'), dtype('int64'))
    """
    if isinstance(value, np.ndarray):
        if _counts(value):
            return Counted(len(value), value.dtype.str)
        return _scattered(value) or _narrowed(value)
    if getattr(value, "format", None) == "csr":
        indices, indptr = packed(value.indices), packed(value.indptr)
        return NarrowRows(value.data, indices, indptr, value.shape)
    return value


def unpacked(value: Any) -> Any:
    """The value that was packed, to the bit and with the same type."""
    if isinstance(value, Counted):
        return np.arange(value.size, dtype=value.dtype)
    if isinstance(value, Narrow):
        return value.numbers.astype(value.dtype)
    if isinstance(value, ThreeBytes):
        return _widened(value)
    if isinstance(value, Scattered):
        size = math.prod(value.shape)
        array = np.zeros(size, dtype=value.dtype)
        array[np.unpackbits(value.there, count=size).view(bool)] = unpacked(
            value.values
        )
        return array.reshape(value.shape)
    if isinstance(value, NarrowRows):
        from scipy import sparse

        indices, indptr = unpacked(value.indices), unpacked(value.indptr)
        rows = sparse.csr_array((value.data, indices, indptr), shape=value.shape)
        # scipy chooses the type of its indices itself.
        rows.indices, rows.indptr = indices, indptr
        return rows
    return value


def _counts(array: np.ndarray) -> bool:
    whole = array.dtype.kind in "iu" and array.ndim == 1
    return whole and np.array_equal(array, np.arange(len(array)))


def _scattered(array: np.ndarray) -> Scattered | None:
    """The entries that are not zero where they are few, bit by bit; else None."""
    if array.size < _FEWEST_SCATTERED or array.dtype.kind not in "fiu":
        return None
    bits = np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")  # -0.0 is not 0
    there = bits.ravel() != 0
    if np.count_nonzero(there) > _MOST_SCATTERED * array.size:
        return None
    values = array.ravel()[there]
    packed_bits = np.packbits(there)
    return Scattered(packed(values), packed_bits, array.shape, array.dtype.str)


def _narrowed(array: np.ndarray) -> np.ndarray | Narrow | ThreeBytes:
    """The same numbers in the smallest type, the array itself where that is its own."""
    if not array.size or array.dtype.itemsize == 1:
        return array
    if array.dtype.kind in "iu":
        low, high = int(array.min()), int(array.max())
        dtype = np.min_scalar_type(min(low, -high - 1) if low < 0 else high)
        if dtype.itemsize >= 4 and high - low < 2**24:
            return _three_bytes(array, low)
        if dtype.itemsize < array.dtype.itemsize:
            return Narrow(array.astype(dtype), array.dtype.str)
    if array.dtype == np.float64 and array.ndim == 1:
        with np.errstate(invalid="ignore"):
            numbers = array.astype(np.uint8)
        # Bit by bit: a negative zero is not zero.
        if (numbers.astype(np.float64).view(np.int64) == array.view(np.int64)).all():
            return Narrow(numbers, array.dtype.str)
    return array


def _three_bytes(array: np.ndarray, low: int) -> ThreeBytes:
    numbers = np.empty((*array.shape, 3), dtype=np.uint8)
    for start, stop in _blocks(array):
        above = (array[start:stop] - array.dtype.type(low)).astype("<u4")
        bytes_of = np.ascontiguousarray(above).view(np.uint8)
        numbers[start:stop] = bytes_of.reshape(*above.shape, 4)[..., :3]
    return ThreeBytes(numbers, low, array.dtype.str)


def _widened(value: ThreeBytes) -> np.ndarray:
    dtype = np.dtype(value.dtype)
    array = np.empty(value.numbers.shape[:-1], dtype=dtype)
    for start, stop in _blocks(array):
        wide = np.zeros((*array[start:stop].shape, 4), dtype=np.uint8)
        wide[..., :3] = value.numbers[start:stop]
        array[start:stop] = wide.view("<u4")[..., 0].astype(dtype)
        array[start:stop] += dtype.type(value.low)
    return array


def _blocks(array: np.ndarray) -> list[tuple[int, int]]:
    step = max(1, _NUMBERS_PER_BLOCK * len(array) // max(1, array.size))
    return [(i, i + step) for i in range(0, len(array), step)]
