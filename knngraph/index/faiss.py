"""HNSW search by faiss, where it is installed; the only file that imports it."""

from importlib import import_module
from typing import Any

import numpy as np


class FaissIndex:
    """Approximate nearest points by the HNSW graph of faiss.

    For comparisons only: faiss keeps `ef` points, and an `ef` below `k` leaves the
    end of the list empty. Empty places have the id -1 and an infinite distance.

    Parameters
    ----------
    n_features : int
    M : int, default=16
        Links a point keeps on the upper layers (twice as many on the lowest).
    ef_construction : int, default=200
        Search width while inserting.
    seed : int, default=0
        Seed of the random layer heights.
    """

    def __init__(
        self,
        n_features: int,
        *,
        M: int = 16,
        ef_construction: int = 200,
        seed: int = 0,
    ) -> None:
        faiss = _faiss()
        self._graph = faiss.IndexHNSWFlat(n_features, M)
        self._graph.hnsw.efConstruction = ef_construction
        self._graph.hnsw.rng = faiss.RandomGenerator(seed)

    @property
    def n_points(self) -> int:
        """Number of points inserted so far."""
        return int(self._graph.ntotal)

    def add(self, points: np.ndarray, *, n_threads: int = 1) -> None:
        """Insert rows; the result is reproducible with one thread only."""
        with _threads(n_threads):
            self._graph.add(np.ascontiguousarray(points))

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find up to `k` nearest stored points; see the class for short lists."""
        parameters = _faiss().SearchParametersHNSW(efSearch=ef)
        with _threads(n_threads):
            squared, ids = self._graph.search(
                np.ascontiguousarray(queries), min(k, self.n_points), params=parameters
            )
        return ids.astype(np.intp), np.where(ids < 0, np.inf, squared)


def _faiss() -> Any:
    try:
        # Untyped: the stubs that faiss brings leave names out.
        return import_module("faiss")
    except ImportError as error:
        raise ImportError(
            'backend="faiss" needs the package faiss: install faiss-cpu, or use '
            'backend="hnswlib".'
        ) from error


def _threads(n_threads: int) -> Any:
    # faiss keeps its number of threads for the whole process; this gives it back.
    from threadpoolctl import threadpool_limits

    return threadpool_limits(n_threads, user_api="openmp")
