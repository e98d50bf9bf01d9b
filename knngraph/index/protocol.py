"""The interface of a search engine."""

from typing import Protocol

import numpy as np


def ef_for(k: int) -> int:
    """Search width that finds `k` neighbors with next to no loss: twice their number.

    At the default of 32 neighbors and on image-like data, mean distances,
    overlap, barycenter and local dimension then stay within a few percent of
    those of exact neighbors (`benchmarks/fidelity.py`).

    Examples
    --------
    >>> from knngraph.index.protocol import ef_for
    >>> ef_for(32)
    64
    """
    return 2 * k


class SearchIndex(Protocol):
    """Nearest stored points under squared Euclidean distance.

    An index is built once over distinct float32 rows and answers any number of
    threads afterwards: `nearest` changes nothing.
    """

    @property
    def n_points(self) -> int:
        """Number of stored points."""
        ...

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points of every query.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_features), float32
        k : int
            Number of neighbors, at most `n_points`.
        ef : int, default=1
            Search width of approximate engines; at least `k` is used.

        Returns
        -------
        ids : ndarray of shape (n_queries, k), intp
            Positions of the neighbors among the stored points, nearest first.
        squared_distances : ndarray of shape (n_queries, k), float32 or float64
        """
        ...
