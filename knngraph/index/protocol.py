"""The interfaces of a search index, and of a graph that one is made with."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from knngraph.index.hnsw_parts import HNSWParts

# A graph that has to grow grows by this share at least.
_GROWTH = 0.1


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


class Graph(Protocol):
    """An HNSW graph that names its points by their places, in the order they came.

    hnswlib has one, and this library another (`engines.py`). Both take and give the
    same arrays. Searches by several threads change nothing; `add` does, and no search
    may run meanwhile.
    """

    def __init__(
        self, n_features: int, capacity: int, *, M: int, ef_construction: int, seed: int
    ) -> None: ...

    @classmethod
    def of_parts(cls, parts: "HNSWParts") -> "Graph":
        """The graph of these arrays; ValueError where they are of none."""
        ...

    @property
    def n_places(self) -> int:
        """Number of points, deleted ones among them."""
        ...

    @property
    def n_bytes(self) -> int:
        """Bytes that the points and their links occupy."""
        ...

    def add(self, points: np.ndarray) -> None:
        """Insert points, by one thread, at the places that follow."""
        ...

    def copy(self, removed: np.ndarray) -> "Graph":
        """A graph of its own, in which these places are deleted too."""
        ...

    def parts(self) -> "HNSWParts":
        """The graph as arrays; points are numbered by their places."""
        ...

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The points at some places, float32."""
        ...

    def search(
        self, queries: np.ndarray, k: int, ef: int, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest of `ef` points that are kept, `1 <= k <= ef`.

        Returns
        -------
        places : ndarray of shape (n_queries, k)
            Nearest first; -1 in the first column where fewer than `ef` points that
            are not deleted can be reached.
        squared_distances : ndarray of shape (n_queries, k), float32
        """
        ...

    def row_search(self, ef: int) -> Callable[[np.ndarray], tuple[int, float]]:
        """A function that finds the place nearest to one row, in few microseconds.

        From a row of shape (n_features,), float32, to what `search` finds: the place,
        and the squared distance.
        """
        ...


def room_for(held: int, wanted: int) -> int:
    """Number of points that memory is set aside for where it does not suffice.

    Examples
    --------
    >>> from knngraph.index.protocol import room_for
    >>> room_for(1000, 1001), room_for(10, 1001)
    (1100, 1001)
    """
    return max(wanted, int((1 + _GROWTH) * held))
