"""Compiled steps of lists of near rows: what is kept of products, and joins.

A neighbor in a list under work is one number: the bits of its squared distance, which
order as the distance does, then its place. numpy sorts such numbers with the vector
instructions of the processor.
"""

import numpy as np

from knngraph.compiling import compiled, compiled_part

_REORDER = {"reassoc", "contract", "nsz"}
NO_KEY = np.int64(2**63 - 1)
# Bits of a number in single precision without its sign: what rounding made negative is
# near nothing, and what is no number comes last.
_BITS = np.int32(0x7FFFFFFF)
# Rows that are kept beyond those wanted until the farthest of them are dropped.
SPARE = 32
STRIP = 64


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
def shrink(bits, ids, count, n_wanted, n_enough):
    """Keep the least of some numbers, as many as are wanted and no more than enough.

    There are more of them before.

    Returns
    -------
    count, bound
        How many there are now, and a bound that they keep.
    """
    low, high = bits[0], bits[0]
    for i in range(1, count):
        if bits[i] < low:
            low = bits[i]
        if bits[i] > high:
            high = bits[i]
    low, high = np.int64(low) - 1, np.int64(high)
    n_low, n_high = 0, count
    halve = False
    while high - low > 1 and n_high > n_enough:
        # Where it is if they lie evenly; where they do not, halving ends the search.
        share = 0.5
        if not halve:
            share = (0.5 * (n_wanted + n_enough) - n_low) / (n_high - n_low)
        halve = not halve
        bound = low + 1 + np.int64(share * (high - low - 2))
        n_up_to = np.int32(0)
        for i in range(count):
            # In 32 bits, as many at once as fit.
            n_up_to = np.int32(n_up_to + np.int32(bits[i] <= np.int32(bound)))
        if n_up_to >= n_wanted:
            high, n_high = bound, n_up_to
        else:
            low, n_low = bound, n_up_to
    bound = np.int32(high)
    # Of those equally far as many as are enough.
    n_ties = n_enough - n_low if n_high > n_enough else count
    n_left = 0
    for i in range(count):
        number = bits[i]
        bits[n_left], ids[n_left] = number, ids[i]
        is_tie = np.int32(number == bound)
        n_left += np.int32(number < bound) | (is_tie & np.int32(n_ties > 0))
        n_ties -= is_tie
    return n_left, bound


@compiled(fastmath=_REORDER)
def gather_centered(rows, which, center, factor, out):
    """Copy rows, less a center, with what makes their products squared distances.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    which : ndarray of shape (n,), int32
    center : ndarray of shape (n_features,), float32
    factor : float32
        1 for one side of the product and -2 for the other.
    out : ndarray of shape (n, n_features + 2), float32
        Filled with x - c times the factor, and |x - c|^2 and 1, in this order or the
        other.
    """
    n_features = rows.shape[1]
    one = n_features if factor < 0 else n_features + 1
    for place in range(which.shape[0]):
        norm = np.float32(0.0)
        for f in range(n_features):
            value = rows[which[place], f] - center[f]
            out[place, f] = factor * value
            norm += value * value
        out[place, 2 * n_features + 1 - one] = norm
        out[place, one] = np.float32(1.0)


@compiled
def keep_nearest(product, members, first, n_wanted, bounds, counts, bits, ids):
    """Add the nearest of the rows of a cell to what rows have kept.

    Parameters
    ----------
    product : ndarray of shape (n, n_others), int32
        Bits of the squared distances of rows to those of a cell; changed.
    members : ndarray of shape (n,), int32
        Places of the former in the arrays that follow.
    first : int
        First row of the cell.
    n_wanted : int
        Rows to keep at least.
    bounds, counts : ndarray of shape (n_places,), int32
        What is not below the bound need not be kept, and how many are kept.
    bits, ids : ndarray of shape (n_places, n_kept), int32
        Those kept so far. There is room for an eighth more than wanted, `SPARE` and
        `STRIP`.
    """
    n_others = product.shape[1]
    n_enough = n_wanted + n_wanted // 8
    for i in range(product.shape[0]):
        place = members[i]
        count, bound = np.int64(counts[place]), bounds[place]
        its_bits, its_ids = bits[place], ids[place]
        for start in range(0, n_others, STRIP):
            strip = product[i, start : min(start + STRIP, n_others)]
            n_below = np.int32(0)
            for j in range(strip.shape[0]):
                strip[j] &= _BITS
                n_below = np.int32(n_below + np.int32(strip[j] < bound))
            if n_below == 0:
                continue
            for j in range(strip.shape[0]):
                number = strip[j]
                its_bits[count], its_ids[count] = number, first + start + j
                count += np.int32(number < bound)
            if count > (n_enough if bound == _BITS else n_enough + SPARE):
                count, bound = shrink(its_bits, its_ids, count, n_wanted, n_enough)
        counts[place], bounds[place] = count, bound


@compiled
def measure(rows, start, keys):
    """Measure neighbors by differences, and drop the row itself.

    Parameters
    ----------
    start : int
        Row that the first list is of.
    keys : ndarray of shape (n, n_kept), int64
        Bits of a distance, then a row; the row comes to be as in `join`, and new.
    """
    for place in range(keys.shape[0]):
        row = start + place
        for i in range(keys.shape[1]):
            key = keys[place, i]
            other = key & _BITS
            if other == row:
                keys[place, i] = NO_KEY
            elif key != NO_KEY:
                squared = squared_distance(rows, row, other)
                keys[place, i] = key_of(squared, other << 1 | 1)


@compiled
def list_reverse(ids, n_listed, reverse, counts):
    """Fill lists of the rows in the lists of which a row is, about the nearest first.

    Parameters
    ----------
    ids : ndarray of shape (n_rows, k), int32
        As in `join`; so are those that are filled.
    n_listed : int
        How many of a list count.
    reverse : ndarray of shape (n_rows, n_reverse), int32
        Not filled where there are no more.
    counts : ndarray of shape (n_rows,), int32
        Filled; zeros before.
    """
    # So many ranks at once as are read from memory together.
    for first in range(0, n_listed, 16):
        for row in range(ids.shape[0]):
            for rank in range(first, min(first + 16, n_listed)):
                number = ids[row, rank]
                other = number >> 1
                if counts[other] < reverse.shape[1]:
                    reverse[other, counts[other]] = row << 1 | number & 1
                    counts[other] += 1


@compiled_part
def meet(number, new, last, seen, met, n_met):
    """Add a row to those met, where it is new and the table does not show it.

    Returns
    -------
    n_met
        How many there are now.
    """
    other = np.int32(number >> 1)
    spot = np.uintp(np.uint32(other) & last)
    met[n_met] = other
    n_met += np.uintp(((new | number & 1) != 0) & (seen[spot] != other))
    seen[spot] = other
    return n_met


@compiled
def join(
    rows,
    cell_of,
    compared,
    bounds,
    marks,
    start,
    ids,
    squared,
    fresh,
    reverse,
    n_reverse,
    n_read,
    seen,
    met,
    changed,
    keys,
    new_ids,
    new_squared,
    new_fresh,
):
    """Meet the neighbors of the neighbors of rows, and keep those that are nearer.

    Parameters
    ----------
    cell_of : ndarray of shape (n_rows,), int32
    compared : ndarray of shape (n_compared,), int32
        Cells that the n rows from `start` on were compared with: `bounds[i]` to
        `bounds[i + 1]` of row `start + i`.
    marks : ndarray of shape (n_cells,), int32
        Room for the last row that was compared with a cell; -1 before.
    start : int
    ids : ndarray of shape (n_rows, k), int32
        Sorted lists: the place of a row times 2, and 1 more where it is new.
    squared : ndarray of shape (n_rows, k), float32
    fresh : ndarray of shape (n_rows,), bool
        Whether any of the first `n_read` is new.
    reverse, n_reverse : ndarray
        As from `list_reverse`.
    n_read : int
        Neighbors that are looked at, and so many of the list of each.
    seen : ndarray of shape (power of two,), int32
        Room for which rows were met. One takes the place of another: a row may be met
        twice.
    met : ndarray of shape (enough,), int32
        Room for these rows.
    changed : ndarray of shape (n,), int32
        Filled with the rows that something is new for.
    keys : ndarray of shape (n, k + n_spare), int64
        Filled with their lists and what is new, in no order.
    new_ids, new_squared, new_fresh : ndarray
        Lists to fill, as `ids`, `squared` and `fresh`, with those as they were, in
        which nothing is new.

    Returns
    -------
    int
        Number of changed rows.
    """
    k = ids.shape[1]
    # Without a sign no number counts from the end of an array: less to check.
    last = np.uint32(seen.shape[0] - 1)
    n_changed = 0
    for place in range(bounds.shape[0] - 1):
        row = start + place
        for i in range(bounds[place], bounds[place + 1]):
            marks[compared[i]] = row
        seen[:] = -1
        for i in range(k):
            other = ids[row, i] >> 1
            seen[np.uint32(other) & last] = other
        n_met = np.uintp(0)
        for i in range(-n_reverse[row], n_read):
            number = reverse[row, i + n_reverse[row]] if i < 0 else ids[row, i]
            middle, new = number >> 1, number & 1
            if not new and not fresh[middle]:
                continue
            if i < 0:
                # A row that lists this one is met itself as well.
                n_met = meet(number, new, last, seen, met, n_met)
            its_ids = ids[middle]
            for j in range(n_read):
                n_met = meet(its_ids[np.uintp(j)], new, last, seen, met, n_met)
        # Step by step for all of them, so that the processor waits for them together.
        n_left = np.uintp(0)
        for i in range(n_met):
            other = met[i]
            met[n_left] = other
            n_left += np.uintp((marks[cell_of[other]] != row) & (other != row))
        count = k
        kept = keys[n_changed]
        worst = squared[row, k - 1]
        for i in range(n_left):
            away = squared_distance(rows, row, met[i])
            if away < worst and count < kept.shape[0]:
                kept[count] = key_of(away, met[i] << 1 | 1)
                count += 1
        for i in range(k):
            number = ids[row, i] >> 1 << 1
            kept[i] = key_of(squared[row, i], number)
            new_ids[row, i], new_squared[row, i] = number, squared[row, i]
        new_fresh[row] = False
        if count > k:
            kept[count:] = NO_KEY
            changed[n_changed] = row
            n_changed += 1
    return n_changed


@compiled
def unpack(keys, changed, n_read, ids, squared, fresh):
    """Write sorted numbers as lists; a neighbor that stands twice is written once.

    Parameters
    ----------
    keys : ndarray of shape (n, at least k), int64
    changed : ndarray of shape (n,), int32
        Rows that they are the lists of.
    ids, squared, fresh : ndarray of n_rows rows
        As in `join`.

    Returns
    -------
    int
        How many are new.
    """
    n_new = 0
    k = ids.shape[1]
    for place in range(keys.shape[0]):
        row = changed[place]
        before = NO_KEY
        count = 0
        first_new = k
        for i in range(keys.shape[1]):
            key = keys[place, i]
            if key >> 1 != before >> 1 and count < k:
                ids[row, count] = np.int32(key & _BITS)
                squared[row, count] = np.int32(key >> 32).view(np.float32)
                if key & 1:
                    n_new += 1
                    first_new = min(first_new, count)
                count += 1
            before = key
        fresh[row] = first_new < n_read
    return n_new
