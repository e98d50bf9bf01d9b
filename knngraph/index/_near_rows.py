"""Compiled steps of lists of near rows: what is kept of a product, and joins.

A neighbor in a list under work is one number: the bits of its squared distance, which
order as the distance does, then its place. numpy sorts such numbers with the vector
instructions of the processor.
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}
_NO_KEY = np.int64(2**63 - 1)
# Without the sign: what rounding made negative is near nothing, and what is no number
# comes last.
_BITS = np.int32(0x7FFFFFFF)


@compiled_part(fastmath=_REORDER)
def squared_distance(rows, a, b):
    """Squared Euclidean distance of two rows, from differences."""
    total = np.float32(0.0)
    for f in range(rows.shape[1]):
        difference = rows[a, f] - rows[b, f]
        total += difference * difference
    return total


@compiled_part
def key_of(squared, row):
    """The number that stands for a neighbor."""
    return np.int64(np.float32(squared).view(np.int32)) << 32 | np.int64(row)


@compiled_part
def count_up_to(numbers, bound):
    """How many numbers are at most as large as a bound."""
    count = np.int32(0)
    for i in range(numbers.shape[0]):
        count += np.int32(numbers[i] <= bound)
    return count


@compiled_part
def bound_of(numbers, n_wanted, n_enough):
    """A bound that at least `n_wanted` numbers keep, and not many more if possible."""
    low, high = np.int32(-1), np.int32(0x7FFFFFFF)
    while high - low > 1:
        middle = low + (high - low) // 2
        count = count_up_to(numbers, middle)
        if count >= n_wanted:
            high = middle
            if count <= n_enough:
                break
        else:
            low = middle
    return high


@compiled(fastmath=_REORDER)
def gather_centered(rows, starts, center, cells, out):
    """Copy the rows of cells, less a center, with what makes a product distances.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    cells : ndarray of shape (n,), int32
    out : ndarray of shape (at least all rows of these cells, n_features + 2), float32
        Filled with x - c, |x - c|^2 and 1.
    """
    n_features = rows.shape[1]
    place = 0
    for cell in cells:
        for row in range(starts[cell], starts[cell + 1]):
            norm = np.float32(0.0)
            for f in range(n_features):
                value = rows[row, f] - center[f]
                out[place, f] = value
                norm += value * value
            out[place, n_features] = norm
            out[place, n_features + 1] = np.float32(1.0)
            place += 1


@compiled
def keep_nearest(rows, starts, cell, cells, product, least, keys):
    """Keep the nearest of the rows that a cell was compared with.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    cells : ndarray of shape (n,), int32
        What the cell was compared with.
    product : ndarray of shape (n_own, n_others), int32
        Bits of the squared distances of the rows of the cell; changed.
    least : ndarray of shape (n_least,), int32
        Room for the least of so many parts of a row of the product.
    keys : ndarray of shape (n_own, n_kept), int64
        Filled, in no order, with a spare beyond `n_wanted` where that is quick.
    """
    n_own, n_others = product.shape
    n_least, n_kept = least.shape[0], keys.shape[1]
    n_wanted = 3 * n_kept // 4
    for i in range(n_own):
        row = starts[cell] + i
        bits = product[i]
        least[:] = _BITS
        for start in range(0, n_others, n_least):
            part = bits[start : min(start + n_least, n_others)]
            for j in range(part.shape[0]):
                value = part[j] & _BITS
                part[j] = value
                least[j] = min(least[j], value)
        if n_others >= 2 * n_least:
            bound = bound_of(least, n_wanted, n_wanted + n_wanted // 12)
        else:
            bound = bound_of(bits, n_wanted + 1, n_kept)
        kept = keys[i]
        count = 0
        while True:
            count = count_up_to(bits, bound)
            if count <= n_kept:
                break
            # Many of the least lie in the same part, or are equally far.
            exact = bound_of(bits, n_wanted + 1, n_kept)
            if exact >= bound:
                break
            bound = exact
        ties = count > n_kept
        last = bound - 1 if ties else bound
        count = 0
        place = 0
        for c in range(cells.shape[0]):
            first = starts[cells[c]]
            for other in range(first, starts[cells[c] + 1]):
                if bits[place] <= last and other != row:
                    kept[count] = other
                    count += 1
                place += 1
        if ties:
            place = 0
            for c in range(cells.shape[0]):
                for other in range(starts[cells[c]], starts[cells[c] + 1]):
                    if bits[place] == bound and other != row and count < n_kept:
                        kept[count] = other
                        count += 1
                    place += 1
        for j in range(count):
            kept[j] = key_of(squared_distance(rows, row, kept[j]), kept[j])
        kept[count:] = _NO_KEY


@compiled
def list_reverse(ids, n_listed, reverse, counts):
    """Fill lists of the rows in the lists of which a row is, the nearest ones first."""
    for rank in range(n_listed):
        for row in range(ids.shape[0]):
            other = ids[row, rank]
            if other >= 0 and counts[other] < reverse.shape[1]:
                reverse[other, counts[other]] = row
                counts[other] += 1


@compiled
def join(
    rows,
    cell_of,
    compared,
    bounds,
    ids,
    squared,
    reverse,
    n_through,
    n_read,
    start,
    marks,
    seen,
    keys,
):
    """Meet the neighbors of the neighbors of rows, and keep those that are nearer.

    Parameters
    ----------
    cell_of : ndarray of shape (n_rows,), int32
    compared : ndarray of shape (n,), int32
        Cells that cells were compared with: `bounds[c]` to `bounds[c + 1]` of cell c.
    ids, squared : ndarray of shape (n_rows, k)
        Sorted lists.
    reverse : ndarray of shape (n_rows, n_reverse), int32
        Rows that have a row in their list, -1 where there are no more.
    n_through, n_read : int
        Neighbors that are looked at, and how many of the list of each.
    start : int
        First row.
    marks : ndarray of shape (n_cells,), int32
        Room for which cells were compared.
    seen : ndarray of shape (power of two,), int64
        Room for which rows were met; negative numbers.
    keys : ndarray of shape (n, k + n_spare), int64
        Filled with the lists of n rows and what was met, in no order.
    """
    k = ids.shape[1]
    last = seen.shape[0] - 1
    marks[:] = -1
    n_reverse = reverse.shape[1]
    for place in range(keys.shape[0]):
        row = start + place
        cell = cell_of[row]
        if place == 0 or cell != cell_of[row - 1]:
            for i in range(bounds[cell], bounds[cell + 1]):
                marks[compared[i]] = cell
        kept = keys[place]
        for i in range(k):
            other = ids[row, i]
            kept[i] = _NO_KEY
            if other >= 0:
                kept[i] = key_of(squared[row, i], other)
                seen[other & last] = np.int64(row) << 32 | other
        count = k
        worst = squared[row, k - 1]
        for i in range(-n_reverse, n_through):
            middle = reverse[row, i + n_reverse] if i < 0 else ids[row, i]
            if middle < 0:
                continue
            # A row that lists this one is met itself as well.
            for j in range(-1 if i < 0 else 0, n_read):
                other = middle if j < 0 else ids[middle, j]
                if other < 0 or other == row or marks[cell_of[other]] == cell:
                    continue
                met = np.int64(row) << 32 | other
                if seen[other & last] == met:
                    continue
                seen[other & last] = met
                away = squared_distance(rows, row, other)
                if away < worst and count < kept.shape[0]:
                    kept[count] = key_of(away, other)
                    count += 1
        kept[count:] = _NO_KEY


@compiled
def unpack(keys, ids, squared):
    """Write sorted numbers as lists; a neighbor that stands twice is written once.

    Returns
    -------
    int
        Number of neighbors that no list had.
    """
    for row in range(keys.shape[0]):
        before = _NO_KEY
        count = 0
        for i in range(keys.shape[1]):
            key = keys[row, i]
            if key == before or count == ids.shape[1]:
                continue
            before = key
            ids[row, count] = np.int32(key & 0xFFFFFFFF)
            squared[row, count] = np.int32(key >> 32).view(np.float32)
            count += 1
        ids[row, count:] = -1
        squared[row, count:] = np.inf
