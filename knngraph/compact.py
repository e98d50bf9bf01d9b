"""Pickles of arrays whose numbers need fewer bytes than their type has.

In memory, numbers of rows and of classes have the types that compiled functions take;
most of them fit into a few bytes. A float that counts copies is a small integer.
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np


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
        numbers = _narrowed(value)
        return value if numbers is value else Narrow(numbers, value.dtype.str)
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


def _narrowed(array: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest type, the array itself where that is its own."""
    if not array.size or array.dtype.itemsize == 1:
        return array
    if array.dtype.kind in "iu":
        low, high = int(array.min()), int(array.max())
        dtype = np.min_scalar_type(min(low, -high - 1) if low < 0 else high)
        small = dtype.itemsize < array.dtype.itemsize
        return array.astype(dtype) if small else array
    if array.dtype == np.float64 and array.ndim == 1:
        with np.errstate(invalid="ignore"):
            numbers = array.astype(np.uint8)
        # Bit by bit: a negative zero is not zero.
        if (numbers.astype(np.float64).view(np.int64) == array.view(np.int64)).all():
            return numbers
    return array
