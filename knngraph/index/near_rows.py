"""Lists of the nearest rows of all rows: products of near cells, then joins.

A row is compared with the cells that have the nearest centers; for every cell one
product serves all rows of a chunk that chose it. What that misses is mostly near a row
that it found: a join looks at the neighbors of the neighbors of every row, and of the
rows that list it (Dong et al. 2011), as far as one of the two is new.

References
----------
Dong, Moses and Li (2011), "Efficient k-nearest neighbor graph construction for
generic similarity measures", WWW '11, 577-586.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from knngraph.index.cells import FEWEST, Cells
from knngraph.parallel import chunk_bounds, map_chunks

# So many that a cell is chosen by enough rows of a chunk for an efficient product.
_CELLS_PER_CHUNK = 128
# Cells that a row is compared with, at least and at most, and how much farther their
# centers may be, in squares, than a fourth of the first.
_FIRST, _MOST, _STRETCH = 12, 40, 1.5
# Neighbors that a join looks at, and so many of the list of each; rows that list a row;
# rows that a join may add to a list; and joins, as long as enough is new.
_READ, _REVERSE, _ADDED = 32, 16, 64
_JOINS, _ENOUGH_NEW = 4, 0.001
# Places of a table of the rows that a join has met.
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

    def write(self, rows: np.ndarray, keys: np.ndarray) -> int:
        """Sort numbers into the lists of some rows; how many are new."""
        from knngraph.index import _near_rows

        keys.sort(axis=1)
        n_read = min(_READ, self.ids.shape[1])
        lists = self.ids, self.squared, self.fresh
        return int(_near_rows.unpack(keys, rows, n_read, *lists))


# Cells that the rows of a chunk are compared with, one after the other, and where those
# of each row start.
_Chosen = tuple[np.ndarray, np.ndarray]
_ONE, _MINUS_TWO = np.float32(1.0), np.float32(-2.0)


class _Nearest:
    """The nearest of what rows are compared with, part after part."""

    def __init__(self, n_rows: int, n_wanted: int) -> None:
        from knngraph.index import _near_rows

        self.n_wanted = n_wanted
        self.n_most = n_wanted + n_wanted // 8 + _near_rows.SPARE
        shape = n_rows, self.n_most + _near_rows.STRIP
        self.bits, self.ids = np.empty((2, *shape), dtype=np.int32)
        self.counts = np.zeros(n_rows, dtype=np.int32)
        self.bounds = np.full(n_rows, 2**31 - 1, dtype=np.int32)

    def add(self, product: np.ndarray, places: np.ndarray, first: int) -> None:
        """Add squared distances of the rows at some places to a part."""
        from knngraph.index import _near_rows

        _near_rows.keep_nearest(
            product.view(np.int32),
            places,
            first,
            self.n_wanted,
            self.bounds,
            self.counts,
            self.bits,
            self.ids,
        )

    def keys(self) -> np.ndarray:
        """The bits of the distance and the number of those wanted, nearest first."""
        from knngraph.index import _near_rows

        keys = self.bits[:, : self.n_most].astype(np.int64)
        keys <<= 32
        keys |= self.ids[:, : self.n_most]
        missing = np.arange(self.n_most) >= self.counts[:, None]
        np.copyto(keys, _near_rows.NO_KEY, where=missing)
        keys.sort(axis=1)
        return keys[:, : self.n_wanted]


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
) -> tuple[_Lists, list[_Chosen]]:
    """Lists from products with near cells."""
    lists = _Lists.empty(len(ordered), k)
    starts = cells.starts

    def compare(start: int, stop: int) -> _Chosen:
        # Squares of huge numbers are not finite: their rows come last.
        with np.errstate(over="ignore", invalid="ignore"):
            chosen = _choose_cells(ordered, cells, start, stop, 2 * k)
            keys = _compare(ordered, cells, k, start, stop, chosen)
        lists.write(np.arange(starts[start], starts[stop], dtype=np.int32), keys)
        return chosen

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


def _choose_cells(
    ordered: np.ndarray, cells: Cells, start: int, stop: int, n_wanted: int
) -> _Chosen:
    """Choose the cells that rows of some cells are compared with.

    Those with the nearest centers: up to `_STRETCH` times as far, in squares, as a
    fourth of the `_FIRST` that are taken in any case; more where they have too few rows
    together.
    """
    from knngraph.index import _near_rows

    starts, n_columns = cells.starts, ordered.shape[1] + 2
    first = starts[start]
    n_most = min(max(_MOST, -(-n_wanted // FEWEST)), cells.near.shape[1])
    nearest = _Nearest(starts[stop] - first, n_most)
    right = np.empty((cells.near.shape[1], n_columns), dtype=np.float32)
    for cell in range(start, stop):
        center, near = cells.centers[cell], cells.near[cell]
        near = near[near >= 0]
        rows = np.arange(starts[cell], starts[cell + 1], dtype=np.int32)
        left = np.empty((len(rows), n_columns), dtype=np.float32)
        _near_rows.gather_centered(ordered, rows, center, _MINUS_TWO, left)
        _near_rows.gather_centered(cells.centers, near, center, _ONE, right)
        nearest.add(left @ right[: len(near)].T, rows - first, 0)
    keys = nearest.keys()
    own = np.repeat(np.arange(start, stop), np.diff(starts[start : stop + 1]))
    there = keys != _near_rows.NO_KEY
    chosen = cells.near[own[:, None], np.where(there, keys & 0xFFFF, 0)]
    away = (keys >> 32).astype(np.int32).view(np.float32)
    far = _STRETCH * away[:, [min(_FIRST // 4, n_most) - 1]]
    n_rows = np.cumsum(np.diff(starts)[chosen], axis=1)
    there[:, _FIRST:] &= (away <= far)[:, _FIRST:] | (n_rows < n_wanted)[
        :, _FIRST - 1 : -1
    ]
    bounds = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
    return chosen[there], bounds.astype(np.int32)


def _compare(
    ordered: np.ndarray,
    cells: Cells,
    k: int,
    start: int,
    stop: int,
    chosen: _Chosen,
) -> np.ndarray:
    """Compare rows with the cells chosen for each, by a product for every cell."""
    from scipy.sparse import csr_array

    from knngraph.index import _near_rows

    starts, n_columns = cells.starts, ordered.shape[1] + 2
    first, shape = starts[start], (len(chosen[1]) - 1, len(starts) - 1)
    by_cell = csr_array((np.ones(len(chosen[0]), np.int8), *chosen), shape).tocsc()
    sizes, n_members = np.diff(starts), np.diff(by_cell.indptr)
    there = np.flatnonzero(n_members)
    # Own cells before others: then less of the others has to be kept.
    is_own = (there >= start) & (there < stop)
    # The row itself is one more, and rounding may push some off the list.
    nearest = _Nearest(shape[0], k + 2 + k // 16)
    left = np.empty((n_members.max(), n_columns), dtype=np.float32)
    right = np.empty((sizes[there].max(), n_columns), dtype=np.float32)
    room = np.empty(len(left) * len(right), dtype=np.float32)
    for cell in np.concatenate([there[is_own], there[~is_own]]).tolist():
        center = cells.centers[cell]
        places = by_cell.indices[by_cell.indptr[cell] : by_cell.indptr[cell + 1]]
        others = np.arange(starts[cell], starts[cell + 1], dtype=np.int32)
        n_own, n_others = len(places), len(others)
        _near_rows.gather_centered(ordered, places + first, center, _MINUS_TWO, left)
        _near_rows.gather_centered(ordered, others, center, _ONE, right)
        product = room[: n_own * n_others].reshape(n_own, n_others)
        np.matmul(left[:n_own], right[:n_others].T, out=product)
        nearest.add(product, places, int(starts[cell]))
    keys = np.ascontiguousarray(nearest.keys())
    _near_rows.measure(ordered, first, keys)
    return keys


def _joins(
    ordered: np.ndarray,
    cells: Cells,
    compared: list[_Chosen],
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
    compared: list[_Chosen],
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
        changed = np.empty(last - first, dtype=np.int32)
        keys = np.empty((last - first, k + _ADDED), dtype=np.int64)
        n_changed = _near_rows.join(
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
            changed,
            keys,
            better.ids,
            better.squared,
            better.fresh,
        )
        return better.write(changed[:n_changed], keys[:n_changed])

    return sum(map_chunks(work, len(chunks), 1, n_threads))
