"""Exact search, by a product of matrices or by a tree of the rows."""

from typing import Any

import numpy as np

from knngraph.distances import squared_distances_to
from knngraph.parallel import chunk_bounds, map_chunks

_QUERIES_PER_BLOCK = 256
# So that the distances of a block stay in the caches: 8 MiB a thread.
_POINTS_PER_BLOCK = 4096
# More than `k`, so that rounding in the product cannot push a true neighbor
# off the list.
_SPARE = 8
# A tree is quicker than the product up to so many columns; in double precision, which
# the product may lose, it is tried up to more.
FEW_COLUMNS, _COLUMNS_IN_DOUBLE = 4, 8
# Rounding of a product that single precision does not see, as a share of the distance.
_UNSEEN = 2.0**-26
# Of a sum of squares, whose terms a tree adds in another order.
_OTHER_ORDER = 1e-12
# Points beyond `k` that are looked at for others as far as the `k`-th.
_MOST_TIES = 1024


class ExactIndex:
    """Exact search in double precision, in blocks of bounded memory.

    Distances are found by a matrix product first; the winners are measured
    again from coordinate differences, because the product loses digits when
    two rows are close together and far from the origin. Where it may have lost
    a winner, and where columns are few, a tree finds them, which compares differences
    only.

    Of points equally far the smaller number comes first.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32 or float64
        The distinct rows to search.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.exact import ExactIndex
    >>> index = ExactIndex(np.array([[0.0], [1.0], [5.0]], dtype=np.float32))
    >>> ids, squared = index.nearest(np.array([[4.0]], dtype=np.float32), k=2)
    >>> ids.tolist(), squared.tolist()
    ([[2, 1]], [[1.0, 9.0]])
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self._tree: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"points": self.points, "_tree": None}

    @property
    def n_points(self) -> int:
        """Number of stored points."""
        return int(self.points.shape[0])

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points; see `SearchIndex.nearest`."""
        k = min(k, self.n_points)
        ids = np.empty((queries.shape[0], k), dtype=np.intp)
        squared = np.empty((queries.shape[0], k), dtype=np.float64)
        double = self.points.dtype == np.float64
        most = _COLUMNS_IN_DOUBLE if double else FEW_COLUMNS
        few = self.points.shape[1] <= most
        search = self._by_tree if few else self._by_product

        def search_block(start: int, stop: int) -> None:
            rows = queries[start:stop].astype(np.float64)
            ids[start:stop], squared[start:stop] = search(rows, k)

        map_chunks(search_block, queries.shape[0], _QUERIES_PER_BLOCK, n_threads)
        return ids, squared

    def _by_product(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        from knngraph.index import _nearest

        shape = len(rows), min(k + _SPARE, self.n_points)
        ids, rough = np.full(shape, -1, dtype=np.intp), np.full(shape, np.inf)
        for start, stop in chunk_bounds(self.n_points, _POINTS_PER_BLOCK):
            # Without a name that keeps them until the next block has its own.
            _nearest.keep_least(
                _compared(rows, self.points[start:stop]), start, ids, rough
            )
        ids, squared = self._measured(rows, ids, k)
        if shape[1] < self.n_points and k:
            lost = np.flatnonzero(self._may_be_lost(rows, rough[:, 0], squared[:, -1]))
            if len(lost):
                ids[lost], squared[lost] = self._by_tree(rows[lost], k)
        return ids, squared

    def _may_be_lost(
        self, rows: np.ndarray, least: np.ndarray, squared: np.ndarray
    ) -> np.ndarray:
        """Whether a point that the product left out may be nearer than the `k`-th.

        Parameters
        ----------
        least : ndarray of shape (n_rows,)
            What `_compared` gives for a point left out, at least.
        squared : ndarray of shape (n_rows,)
            Squared distance to the `k`-th point found.
        """
        norms = np.einsum("ij,ij->i", rows, rows)
        # Such a point is no farther from the origin than the row and its distance.
        size = (2.0 * np.sqrt(norms) + np.sqrt(squared)) ** 2
        rounding = (4.0 + np.sqrt(rows.shape[1])) * 2.0**-53 * size
        lost = least + norms < squared + rounding
        if self.points.dtype == np.float32:
            lost &= rounding > _UNSEEN * squared
        return lost

    def _by_tree(self, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        if self._tree is None:
            from scipy.spatial import cKDTree

            # Two threads may both build it: they build the same.
            self._tree = cKDTree(self.points)
        ids = np.empty((len(rows), k), dtype=np.intp)
        squared = np.empty((len(rows), k))
        left, n_seen = np.arange(len(rows)), k + _SPARE
        while len(left):
            n_seen = min(n_seen, self.n_points)
            away, seen = self._tree.query(rows[left], np.arange(1, n_seen + 1))
            ids[left], squared[left] = self._measured(rows[left], seen, k)
            if n_seen == self.n_points or n_seen > k + _MOST_TIES:
                break
            # Where the last is as far as the `k`-th, others may be that are not seen.
            tied = away[:, -1] ** 2 <= squared[left, -1:].max(axis=1, initial=0.0) * (
                1.0 + _OTHER_ORDER
            )
            left, n_seen = left[tied], 2 * n_seen
        return ids, squared

    def _measured(
        self, rows: np.ndarray, ids: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The `k` nearest of these points, from differences of coordinates."""
        ids = np.sort(ids, axis=1)
        squared = squared_distances_to(rows, self.points, ids)
        nearest_first = np.argsort(squared, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(ids, nearest_first, axis=1),
            np.take_along_axis(squared, nearest_first, axis=1),
        )


def _compared(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Squared distances of rows to points, each less the squared norm of the row.

    One matrix product, which leaves the order of the points as it is.
    """
    columns = points.shape[1]
    extended = np.empty((len(points), columns + 1))
    extended[:, :columns] = points
    extended[:, columns] = np.einsum(
        "ij,ij->i", extended[:, :columns], extended[:, :columns]
    )
    return np.column_stack([-2.0 * rows, np.ones(len(rows))]) @ extended.T
