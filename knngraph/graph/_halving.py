"""Compiled ordering of rows by repeated halving, near rows near in the order.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np
from numba.extending import register_jitable

from knngraph.compiling import njit

_REORDER = {"reassoc", "contract", "nsz"}
# Rows of a part that are looked at to find the direction it is long in.
_LOOKED_AT = 64


@register_jitable(fastmath=_REORDER)
def squared_distance(points, a, b):
    """Squared Euclidean distance of two rows in single precision."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        difference = points[a, f] - points[b, f]
        total += difference * difference
    return total


@register_jitable(fastmath=_REORDER)
def coordinate(points, a, direction):
    """Coordinate of a row along a direction, in single precision."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        total += points[a, f] * direction[f]
    return total


@register_jitable
def farthest_from(points, ids, origin):
    """Farthest of some rows, evenly picked, from one of them."""
    farthest = ids[0]
    largest = np.float32(-1.0)
    for i in range(0, ids.shape[0], max(1, ids.shape[0] // _LOOKED_AT)):
        squared = squared_distance(points, ids[i], origin)
        if squared > largest:
            largest = squared
            farthest = ids[i]
    return farthest


@register_jitable
def split_at(ids, keys, place):
    """Reorder so that no key before `place` is above one after it (Hoare 1961)."""
    low, high = 0, ids.shape[0] - 1
    while low < high:
        pivot = keys[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                ids[i], ids[j] = ids[j], ids[i]
                i += 1
                j -= 1
        if place <= j:
            high = j
        elif place >= i:
            low = i
        else:
            return


@njit(cache=True, nogil=True)
def order_by_halving(points, ids, smallest):
    """Order rows in place: halves of halves that lie apart from each other.

    A part is cut in the middle across the line between two rows far from each
    other, until it has `smallest` rows. O(n d log n) time.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    ids : ndarray of shape (n,)
        The rows to order.
    smallest : int
    """
    keys = np.empty(ids.shape[0], dtype=np.float32)
    direction = np.empty(points.shape[1], dtype=np.float32)
    # A part is half of one before it, so that as many wait as a number has bits.
    parts = np.empty((64, 2), dtype=np.intp)
    parts[0, 0], parts[0, 1] = 0, ids.shape[0]
    waiting = 1
    while waiting > 0:
        waiting -= 1
        start, stop = parts[waiting, 0], parts[waiting, 1]
        if stop - start <= smallest:
            continue
        part, part_keys = ids[start:stop], keys[start:stop]
        one = farthest_from(points, part, part[0])
        other = farthest_from(points, part, one)
        for f in range(points.shape[1]):
            direction[f] = points[other, f] - points[one, f]
        for i in range(part.shape[0]):
            part_keys[i] = coordinate(points, part[i], direction)
        middle = part.shape[0] // 2
        split_at(part, part_keys, middle)
        parts[waiting, 0], parts[waiting, 1] = start + middle, stop
        parts[waiting + 1, 0], parts[waiting + 1, 1] = start, start + middle
        waiting += 2
