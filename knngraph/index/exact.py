"""Exact search by blocked brute force."""

import numpy as np

from knngraph.distances import squared_distances, squared_distances_to
from knngraph.parallel import chunk_bounds, map_chunks

_QUERIES_PER_BLOCK = 256
_POINTS_PER_BLOCK = 16384
# More than asked, so that rounding in the product cannot push a true neighbor
# off the list.
_SPARE = 8
# Points of a block that may still be among the nearest are listed where they are
# at most so many times what is wanted; else the block is sorted.
_FEW = 4


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
        wanted = k + _SPARE
        shortlists = []
        bound = np.full(len(queries), np.inf)
        for start, stop in chunk_bounds(self.n_points, _POINTS_PER_BLOCK):
            rough = squared_distances(queries, self.points[start:stop])
            nearer = rough < bound[:, None]
            if nearer.sum(axis=1).max(initial=0) > _FEW * wanted:
                kept = min(wanted, stop - start)
                # An argpartition at the last place would sort all for nothing.
                place = min(kept, stop - start - 1)
                shortlist = np.argpartition(rough, place, axis=1)[:, :kept]
                farthest = np.take_along_axis(rough, shortlist, axis=1).max(axis=1)
                if kept == wanted:
                    bound = np.minimum(bound, farthest)
            else:
                shortlist = _columns(nearer)
            shortlists.append(np.where(shortlist < 0, -1, shortlist + start))
        ids = np.sort(np.concatenate(shortlists, axis=1), axis=1)
        squared = squared_distances_to(queries, self.points, ids)
        squared[ids < 0] = np.inf
        nearest_first = np.argsort(squared, axis=1, kind="stable")[:, :k]
        return (
            np.take_along_axis(ids, nearest_first, axis=1),
            np.take_along_axis(squared, nearest_first, axis=1),
        )


def _columns(marked: np.ndarray) -> np.ndarray:
    """Marked columns of every row, padded with -1."""
    row, column = np.nonzero(marked)
    counts = np.bincount(row, minlength=len(marked))
    rank = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = np.full((len(marked), counts.max(initial=0)), -1, dtype=np.intp)
    columns[row, rank] = column
    return columns
