"""Walk to a stored node and read its label: the published inference."""

import numpy as np

from knngraph.index.protocol import SearchIndex


def reached_nodes(
    index: SearchIndex,
    queries: np.ndarray,
    n_nodes: int = 1,
    *,
    ef: int = 1,
    n_threads: int = 1,
) -> np.ndarray:
    """Node that the walk of every query ends at, and the nearest it passed.

    Parameters
    ----------
    index : SearchIndex
    queries : ndarray of shape (n_queries, n_features), float32
        Mapped rows.
    n_nodes : int, default=1
        Number of nodes to return.
    ef : int, default=1
        Width of the beam; 1 is the greedy walk of the publication.
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (n_queries, n_nodes), intp
        Nearest first.
    """
    nodes, _ = index.nearest(queries, n_nodes, ef=ef, n_threads=n_threads)
    return nodes
