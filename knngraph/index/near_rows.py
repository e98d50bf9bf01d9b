"""Lists of the nearest rows of all rows: products of near cells, then joins.

A cell is compared with the cells that are nearest to any of its rows, by one product.
What that misses is mostly near a row that it found: a join looks at the neighbors of
the neighbors of every row, and of the rows that list it (Dong et al. 2011).

References
----------
Dong, Moses and Li (2011), "Efficient k-nearest neighbor graph construction for
generic similarity measures", WWW '11, 577-586.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from knngraph.index.cells import Cells
from knngraph.parallel import chunk_bounds, map_chunks

_CELLS_PER_CHUNK = 128
# Cells that a row is compared with, at least and at most, and how much farther their
# centers may be, in squares, than a fourth of the first.
_FIRST, _MOST, _STRETCH = 8, 40, 1.5
# Neighbors that a join looks at, and so many of the list of each; rows that list a row;
# rows that a join may add to a list; and joins, as long as enough is new.
_READ, _REVERSE, _ADDED = 32, 32, 64
_JOINS, _ENOUGH_NEW = 4, 0.001
_SEEN = 4096


@dataclass(frozen=True, eq=False)
class _Lists:
    """Lists under work; `ids` and `fresh` as in `_near_rows.join`."""

    ids: np.ndarray
    squared: np.ndarray
    fresh: np.ndarray

    @classmethod
    def empty(cls, n_rows: int, k: int) -> "_Lists":
        return cls(
            np.empty((n_rows, k), dtype=np.int32),
            np.empty((n_rows, k), dtype=np.float32),
            np.empty(n_rows, dtype=bool),
        )

    def write(self, rows: slice, keys: np.ndarray) -> int:
        """Sort numbers into the lists of some rows; how many are new."""
        from knngraph.index import _near_rows

        keys.sort(axis=1)
        n_read = min(_READ, self.ids.shape[1])
        parts = self.ids[rows], self.squared[rows], self.fresh[rows]
        return int(_near_rows.unpack(keys, n_read, *parts))


# Cells that the rows of a chunk were compared with, one after the other, and where
# those of each row start.
_Compared = tuple[np.ndarray, np.ndarray]


def list_near_rows(
    ordered: np.ndarray,
    cells: Cells,
    k: int,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find about the `k` nearest other rows of every row.

    Parameters
    ----------
    ordered : ndarray of shape (n_rows, n_features), float32
        Distinct rows in the order of their cells.
    cells : Cells
    k : int
        Less than the number of rows.
    n_threads : int, default=1
        Changes no bit of the result.
    advance : callable or None
        Called with numbers of rows as they are done, in all with `n_rows`.

    Returns
    -------
    ids : ndarray of shape (n_rows, k), int32
        Places in the same order, nearest first, equally far ones by place.
    squared : ndarray of shape (n_rows, k), float32
        Squared distances, from differences.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.cells import group_rows
    >>> from knngraph.index.near_rows import list_near_rows
    >>> points = np.arange(500, dtype=np.float32)[:, None] ** 2
    >>> cells = group_rows(points)
    >>> ordered = points[cells.order]
    >>> ids, squared = list_near_rows(ordered, cells, 1)
    >>> row = int(np.flatnonzero(ordered[:, 0] == 49.0)[0])
    >>> ordered[ids[row]].ravel().tolist(), squared[row].tolist()
    ([36.0], [169.0])
    """
    lists, compared = _by_products(ordered, cells, k, n_threads, advance)
    lists = _joins(ordered, cells, compared, lists, n_threads)
    return lists.ids, lists.squared


def _by_products(
    ordered: np.ndarray,
    cells: Cells,
    k: int,
    n_threads: int,
    advance: Callable[[int], None] | None = None,
) -> tuple[_Lists, list[_Compared]]:
    """Lists from products with near cells."""
    lists = _Lists.empty(len(ordered), k)
    starts = cells.starts

    def compare(start: int, stop: int) -> _Compared:
        chosen = _near_cells(ordered, cells, start, stop, 2 * k)
        keys, compared = _compared(ordered, cells, k, start, stop, chosen)
        lists.write(slice(starts[start], starts[stop]), keys)
        return compared

    n_done = 0

    def tell(n_cells: int) -> None:
        nonlocal n_done
        n_done += n_cells
        assert advance is not None
        advance(int(starts[n_done] - starts[n_done - n_cells]))

    compared = map_chunks(
        compare,
        len(starts) - 1,
        _CELLS_PER_CHUNK,
        n_threads,
        None if advance is None else tell,
    )
    return lists, compared


def _near_cells(
    ordered: np.ndarray, cells: Cells, start: int, stop: int, n_wanted: int
) -> np.ndarray:
    """Cells to compare the rows of some cells with, that have enough rows together.

    Returns
    -------
    ndarray of shape (n_rows, at most _MOST), int32
        -1 ends a row early.
    """
    from knngraph.index import _near_rows

    starts, near = cells.starts, cells.near[start:stop]
    first, n_columns = starts[start], ordered.shape[1] + 2
    n_most = _MOST + _MOST // 8
    chosen = np.empty((starts[stop] - first, n_most), dtype=np.int32)
    others = np.empty((near.shape[1], n_columns), dtype=np.float32)
    bits, places = np.empty((2, n_most + 32 + 64), dtype=np.int32)
    for cell, its_near in zip(range(start, stop), near):
        center = cells.centers[cell]
        its_near = its_near[its_near >= 0]
        rows = np.arange(starts[cell], starts[cell + 1], dtype=np.int32)
        _near_rows.gather_centered(cells.centers, its_near, center, _ONE, others)
        own = np.empty((len(rows), n_columns), dtype=np.float32)
        _near_rows.gather_centered(ordered, rows, center, _MINUS_TWO, own)
        product = own @ others[: len(its_near)].T
        _near_rows.choose_cells(
            product.view(np.int32),
            its_near,
            starts,
            n_wanted,
            _MOST,
            _FIRST,
            np.float32(_STRETCH),
            bits,
            places,
            chosen[rows[0] - first : rows[-1] + 1 - first],
        )
    return chosen


_ONE, _MINUS_TWO = np.float32(1.0), np.float32(-2.0)


def _compared(
    ordered: np.ndarray,
    cells: Cells,
    k: int,
    start: int,
    stop: int,
    chosen: np.ndarray,
) -> tuple[np.ndarray, _Compared]:
    """Compare rows with the cells chosen for each, a product for every cell."""
    from knngraph.index import _near_rows

    starts, n_columns = cells.starts, ordered.shape[1] + 2
    n_cells, n_rows = len(starts) - 1, len(chosen)
    slots = np.full(n_cells, -1, dtype=np.int32)
    near = np.empty(n_cells, dtype=np.int32)
    bounds = np.empty(n_cells + 2, dtype=np.int32)
    members = np.empty(chosen.size, dtype=np.int32)
    n_slots = _near_rows.by_cell(chosen, start, stop, slots, near, bounds, members)
    near = near[:n_slots]
    # The row itself, and what rounding of the products may push off the list.
    n_wanted = k + 1 + k // 16
    largest = int((starts[near + 1] - starts[near]).max())
    n_enough = n_wanted + n_wanted // 8
    shape = n_rows, n_enough + 32 + largest
    bits, ids = np.empty(shape, dtype=np.int32), np.empty(shape, dtype=np.int32)
    counts = np.zeros(n_rows, dtype=np.int32)
    least = np.full(n_rows, 2**31 - 1, dtype=np.int32)
    most = int(np.diff(bounds[: n_slots + 1]).max())
    left = np.empty((most, n_columns), dtype=np.float32)
    right = np.empty((largest, n_columns), dtype=np.float32)
    room = np.empty(most * largest, dtype=np.float32)
    for slot, cell in enumerate(near.tolist()):
        center = cells.centers[cell]
        places = members[bounds[slot] : bounds[slot + 1]]
        others = np.arange(starts[cell], starts[cell + 1], dtype=np.int32)
        shape = len(places), len(others)
        _near_rows.gather_centered(
            ordered, places + starts[start], center, _MINUS_TWO, left
        )
        _near_rows.gather_centered(ordered, others, center, _ONE, right)
        product = room[: shape[0] * shape[1]].reshape(shape)
        np.matmul(left[: shape[0]], right[: shape[1]].T, out=product)
        _near_rows.keep_nearest(
            product.view(np.int32),
            places,
            others[0],
            n_wanted,
            least,
            counts,
            bits,
            ids,
        )
    keys = np.empty((n_rows, n_enough), dtype=np.int64)
    _near_rows.measure_kept(ordered, starts[start], n_wanted, counts, bits, ids, keys)
    there = chosen >= 0
    n_compared = np.cumsum(there.sum(axis=1), dtype=np.int32)
    return keys, (chosen[there], np.concatenate([[np.int32(0)], n_compared]))


def _joins(
    ordered: np.ndarray,
    cells: Cells,
    compared: list[_Compared],
    lists: _Lists,
    n_threads: int,
) -> _Lists:
    """Join until little is new; ids are plain in the end."""
    # A join reads the distances of its own rows alone: they need no second room.
    other = _Lists(np.empty_like(lists.ids), lists.squared, lists.fresh.copy())
    for _ in range(_JOINS):
        n_new = _join(ordered, cells.starts, compared, lists, other, n_threads)
        lists, other = other, lists
        if n_new < _ENOUGH_NEW * lists.ids.size:
            break
    lists.ids[:] >>= 1
    return lists


def _join(
    ordered: np.ndarray,
    starts: np.ndarray,
    compared: list[_Compared],
    lists: _Lists,
    better: _Lists,
    n_threads: int,
) -> int:
    """Fill better lists; how many neighbors are new."""
    from knngraph.index import _near_rows

    n_rows, k = lists.ids.shape
    n_cells = len(starts) - 1
    cell_of = np.repeat(np.arange(n_cells, dtype=np.int32), np.diff(starts))
    chunks = chunk_bounds(n_cells, _CELLS_PER_CHUNK)
    n_read = min(k, _READ)
    reverse = np.empty((n_rows, _REVERSE), dtype=np.int32)
    n_reverse = np.zeros(n_rows, dtype=np.int32)
    _near_rows.list_reverse(lists.ids, n_read, reverse, n_reverse)

    def work(chunk: int, _: int) -> int:
        first, last = (int(starts[cell]) for cell in chunks[chunk])
        keys = np.empty((last - first, k + _ADDED), dtype=np.int64)
        _near_rows.join(
            ordered,
            cell_of,
            *compared[chunk],
            np.full(n_cells, -1, dtype=np.int32),
            first,
            lists.ids,
            lists.squared,
            lists.fresh,
            reverse,
            n_reverse,
            n_read,
            np.empty(_SEEN, dtype=np.int32),
            np.empty((_REVERSE + n_read) * (n_read + 1) + 1, dtype=np.int32),
            keys,
        )
        return better.write(slice(first, last), keys)

    return sum(map_chunks(work, len(chunks), 1, n_threads))
