"""Exact search by blocked brute force."""

import numpy as np

from knngraph.distances import squared_distances_to
from knngraph.parallel import chunk_bounds, map_chunks

_QUERIES_PER_BLOCK = 256
# So that the distances of a block stay in the caches: 8 MiB a thread.
_POINTS_PER_BLOCK = 4096
# More than `k`, so that rounding in the product cannot push a true neighbor
# off the list.
_SPARE = 8


class ExactIndex:
    """Brute-force search in double precision, in blocks of bounded memory.

    Distances are found by a matrix product first; the winners are measured
    again from coordinate differences, because the product loses digits when
    two rows are close together and far from the origin.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
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

        def search(start: int, stop: int) -> None:
            ids[start:stop], squared[start:stop] = self._search(queries[start:stop], k)

        map_chunks(search, queries.shape[0], _QUERIES_PER_BLOCK, n_threads)
        return ids, squared

    def _search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        from knngraph.index import _nearest

        rows = queries.astype(np.float64)
        shape = len(rows), min(k + _SPARE, self.n_points)
        ids, rough = np.full(shape, -1, dtype=np.intp), np.full(shape, np.inf)
        for start, stop in chunk_bounds(self.n_points, _POINTS_PER_BLOCK):
            # Without a name that keeps them until the next block has its own.
            _nearest.keep_least(
                _compared(rows, self.points[start:stop]), start, ids, rough
            )
        ids.sort(axis=1)
        squared = squared_distances_to(queries, self.points, ids)
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
