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

import numpy as np

from knngraph.index.cells import Cells
from knngraph.parallel import map_chunks

# A row reaches the nearest cells that have so many rows together, and a cell is
# compared with at most so many cells.
_REACHED = 320
_CELLS_PER_CHUNK = 32
_ROWS_PER_JOIN = 2048
# Neighbors through which a join looks, how many it reads of the list of each, rows
# that list a row, and rows that a join may add to a list.
_THROUGH, _READ, _REVERSE, _ADDED = 32, 32, 16, 64
_JOINS = 2
_SEEN = 2048


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
    for _ in range(_JOINS):
        lists = _joined(ordered, cells, compared, lists, n_threads)
    return lists


def _by_products(
    ordered: np.ndarray,
    cells: Cells,
    k: int,
    n_threads: int,
    advance: Callable[[int], None] | None,
) -> tuple[tuple[np.ndarray, np.ndarray], list[np.ndarray]]:
    from knngraph.index import _near_rows

    n_rows, n_features = ordered.shape
    ids = np.empty((n_rows, k), dtype=np.int32)
    squared = np.empty((n_rows, k), dtype=np.float32)
    starts = cells.starts
    sizes = np.diff(starts)
    n_kept = -(-(k + 2) * 4 // 3)
    n_least = max(128, 2 * k + k % 2)

    def compare(start: int, stop: int) -> list[np.ndarray]:
        reached = _cells_to_compare(ordered, cells, start, stop, max(_REACHED, 3 * k))
        first = starts[start]
        keys = np.empty((starts[stop] - first, n_kept), dtype=np.int64)
        most = max(int(sizes[others].sum()) for others in reached)
        extended = np.empty((most, n_features + 2), dtype=np.float32)
        own = np.empty((int(sizes[start:stop].max()), n_features + 2), dtype=np.float32)
        room = np.empty(len(own) * most, dtype=np.float32)
        least = np.empty(n_least, dtype=np.int32)
        for cell, others in zip(range(start, stop), reached):
            n_own, n_others = int(sizes[cell]), int(sizes[others].sum())
            center = cells.centers[cell]
            _near_rows.gather_centered(ordered, starts, center, others, extended)
            _near_rows.gather_centered(
                ordered, starts, center, np.array([cell], dtype=np.int32), own
            )
            left = own[:n_own]
            left[:, :n_features] *= -2.0
            left[:, n_features:] = left[:, : n_features - 1 : -1]
            product = room[: n_own * n_others].reshape(n_own, n_others)
            np.matmul(left, extended[:n_others].T, out=product)
            _near_rows.keep_nearest(
                ordered,
                starts,
                cell,
                others,
                product.view(np.int32),
                least,
                keys[starts[cell] - first : starts[cell + 1] - first],
            )
        keys.sort(axis=1)
        rows = slice(first, starts[stop])
        _near_rows.unpack(keys, ids[rows], squared[rows])
        return reached

    n_done = 0

    def tell(n_cells: int) -> None:
        nonlocal n_done
        n_done += n_cells
        assert advance is not None
        advance(int(starts[n_done] - starts[n_done - n_cells]))

    parts = map_chunks(
        compare,
        len(sizes),
        _CELLS_PER_CHUNK,
        n_threads,
        None if advance is None else tell,
    )
    return (ids, squared), [others for part in parts for others in part]


def _cells_to_compare(
    ordered: np.ndarray, cells: Cells, start: int, stop: int, n_wanted: int
) -> list[np.ndarray]:
    """Cells that each of some cells is compared with, in the order of the rows."""
    from knngraph.index import _cells

    n_near = cells.near.shape[1]
    marks = np.empty((stop - start, n_near), dtype=np.uint16)
    _cells.mark_near_cells(
        ordered,
        start,
        cells.starts,
        stop,
        cells.centers,
        cells.near,
        n_wanted,
        marks,
        np.empty(n_near, dtype=np.float32),
    )
    marks[:, 0] = 1
    return [
        np.sort(near[mark > 0]) for near, mark in zip(cells.near[start:stop], marks)
    ]


def _joined(
    ordered: np.ndarray,
    cells: Cells,
    compared: list[np.ndarray],
    lists: tuple[np.ndarray, np.ndarray],
    n_threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    from knngraph.index import _near_rows

    ids, squared = lists
    n_rows, k = ids.shape
    cell_of = np.repeat(np.arange(len(compared), dtype=np.int32), np.diff(cells.starts))
    bounds = np.concatenate([[0], np.cumsum([len(c) for c in compared])])
    all_compared = np.concatenate(compared)
    reverse = np.full((n_rows, _REVERSE), -1, dtype=np.int32)
    _near_rows.list_reverse(
        ids, min(k, _REVERSE), reverse, np.zeros(n_rows, dtype=np.int32)
    )
    new_ids, new_squared = np.empty_like(ids), np.empty_like(squared)

    def work(start: int, stop: int) -> None:
        keys = np.empty((stop - start, k + _ADDED), dtype=np.int64)
        _near_rows.join(
            ordered,
            cell_of,
            all_compared,
            bounds,
            ids,
            squared,
            reverse,
            min(k, _THROUGH),
            min(k, _READ),
            start,
            np.empty(len(compared), dtype=np.int32),
            np.full(_SEEN, -1, dtype=np.int64),
            keys,
        )
        keys.sort(axis=1)
        _near_rows.unpack(keys, new_ids[start:stop], new_squared[start:stop])

    map_chunks(work, n_rows, _ROWS_PER_JOIN, n_threads)
    return new_ids, new_squared
