"""Rows that their own neighborhood contradicts."""

import numpy as np

from knngraph.index.protocol import SearchIndex, beam_for

# Nearest others that judge a row.
JUDGES = 8
# More are searched: with a fifth of the rows left out, enough of them remain.
_SEARCHED = 3 * JUDGES


def nearest_nodes(
    index: SearchIndex, points: np.ndarray, *, n_threads: int = 1
) -> np.ndarray:
    """Nearest other nodes of every node.

    Parameters
    ----------
    index : SearchIndex over `points`
    points : ndarray of shape (n_nodes, n_features), float32
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (n_nodes, k), intp
        Nearest first; -1 in the place of the node itself.
    """
    k = min(_SEARCHED + 1, len(points))
    ids, _ = index.nearest(points, k, ef=beam_for(k), n_threads=n_threads)
    return np.where(ids == np.arange(len(points))[:, None], -1, ids)


def find_outvoted(
    neighbors: np.ndarray, codes: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """Nodes whose class fewer than half of their nearest others share.

    Parameters
    ----------
    neighbors : ndarray of shape (n_nodes, k)
        Of `nearest_nodes`.
    codes : ndarray of shape (n_nodes,)
    there : ndarray of shape (n_nodes,), bool
        Nodes that may judge.

    Returns
    -------
    ndarray of shape (n_nodes,), bool

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.condensing.outvoted import find_outvoted
    >>> neighbors = np.array([[1, 2], [0, 2], [1, 0]])
    >>> find_outvoted(neighbors, np.array([0, 0, 1]), np.ones(3, bool)).tolist()
    [False, False, True]
    """
    judges = (neighbors >= 0) & there[neighbors]
    judges &= np.cumsum(judges, axis=1) <= JUDGES
    agree = (judges & (codes[neighbors] == codes[:, None])).sum(axis=1)
    return 2 * agree < judges.sum(axis=1)
