"""Compiled ordering of rows by repeated halving, near rows near in the order.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}
# Rows of a part that are looked at to find the direction it is long in.
_LOOKED_AT = 64


@compiled_part(fastmath=_REORDER)
def squared_distance(points, a, b):
    """Squared Euclidean distance of two rows in single precision."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        difference = points[a, f] - points[b, f]
        total += difference * difference
    return total


@compiled_part(fastmath=_REORDER)
def coordinate(points, a, direction):
    """Coordinate of a row along a direction, in single precision."""
    total = np.float32(0.0)
    for f in range(points.shape[1]):
        total += points[a, f] * direction[f]
    return total


@compiled(inline="always")
def farthest_from(points, ids, start, stop, origin):
    """Farthest of some rows, evenly picked, from one of them."""
    farthest = origin
    largest = np.float32(-1.0)
    for i in range(start, stop, max(1, (stop - start) // _LOOKED_AT)):
        row = ids[i]
        squared = squared_distance(points, row, origin)
        if squared > largest:
            largest = squared
            farthest = row
    return farthest


@compiled_part
def split_at(ids, keys, start, stop, place):
    """Reorder so that no key before `place` is above one after it (Hoare 1961)."""
    low, high = start, stop - 1
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


@compiled(allocates=True)
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
    starts, stops = np.empty(64, dtype=np.intp), np.empty(64, dtype=np.intp)
    starts[0], stops[0] = 0, ids.shape[0]
    waiting = 1
    while waiting > 0:
        waiting -= 1
        start, stop = starts[waiting], stops[waiting]
        if stop - start <= smallest:
            continue
        one = farthest_from(points, ids, start, stop, ids[start])
        other = farthest_from(points, ids, start, stop, one)
        for f in range(points.shape[1]):
            direction[f] = points[other, f] - points[one, f]
        for i in range(start, stop):
            keys[i] = coordinate(points, ids[i], direction)
        middle = start + (stop - start) // 2
        split_at(ids, keys, start, stop, middle)
        starts[waiting] = middle
        waiting += 1
        starts[waiting], stops[waiting] = start, middle
        waiting += 1
