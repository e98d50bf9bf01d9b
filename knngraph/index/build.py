"""Build the index of the training nodes."""

import numpy as np

from knngraph.index.hnsw import HNSWIndex
from knngraph.progress import stage

_ROWS_PER_CALL = 16384


def build_index(
    points: np.ndarray,
    *,
    M: int = 16,
    ef_construction: int = 200,
    seed: int = 0,
    n_threads: int = 1,
    verbose: int = 0,
) -> HNSWIndex:
    """Insert distinct rows into a navigable graph.

    Parameters
    ----------
    points : ndarray of shape (n_nodes, n_features), float32
        In the order of insertion; random order makes the better graph.
    M, ef_construction : int
        See `HNSWIndex`.
    seed : int, default=0
    n_threads : int, default=1
        The graph is reproducible with one thread only.
    verbose : int, default=0

    Returns
    -------
    HNSWIndex
    """
    index = HNSWIndex(
        points.shape[1],
        len(points),
        M=M,
        ef_construction=ef_construction,
        seed=seed,
    )
    with stage("building index", len(points), verbose) as building:
        for start in range(0, len(points), _ROWS_PER_CALL):
            rows = points[start : start + _ROWS_PER_CALL]
            index.add(rows, n_threads=n_threads)
            building.advance(len(rows))
    return index
