"""Rows that Wilson editing removes: most of their nearest others disagree.

D. L. Wilson (1972), "Asymptotic properties of nearest neighbor rules using edited
data", IEEE Transactions on Systems, Man, and Cybernetics 2 (3), 408-421.
"""

import numpy as np

from knngraph.index.protocol import SearchIndex, ef_for
from knngraph.weights import LEAST_REST, without_one_row

# Nearest others that vote on a row.
N_VOTERS = 8
# More are searched: with a fifth of the rows left out, enough of them remain.
_SEARCHED = 3 * N_VOTERS


def find_voters(
    index: SearchIndex, points: np.ndarray, *, n_threads: int = 1
) -> np.ndarray:
    """Nearest other nodes of every node.

    Parameters
    ----------
    index : SearchIndex over `points`
    points : ndarray of shape (n_nodes, n_features), float32

    Returns
    -------
    ndarray of shape (n_nodes, k), intp
        Nearest first; -1 in the place of the node itself.
    """
    k = min(_SEARCHED + 1, len(points))
    ids, _ = index.nearest(points, k, ef=ef_for(k), n_threads=n_threads)
    return np.where(ids == np.arange(len(points))[:, None], -1, ids)


def find_edited(
    neighbors: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Nodes whose class fewer than half of the nearest other rows share.

    Copies of a row are others too: on its own node they are the nearest.

    Parameters
    ----------
    neighbors : ndarray of shape (n_nodes, k)
        Of `find_voters`.
    codes : ndarray of shape (n_nodes,)
    weights : ndarray of shape (n_nodes,)
        Weight of the rows on every node that vote; none where it is 0 or false.

    Returns
    -------
    ndarray of shape (n_nodes,), bool

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.condensing.editing import find_edited
    >>> neighbors = np.array([[1, 2], [0, 2], [1, 0]])
    >>> find_edited(neighbors, np.array([0, 0, 1]), np.ones(3, bool)).tolist()
    [False, False, True]
    >>> find_edited(neighbors, np.array([0, 0, 1]), np.array([1, 1, 4])).tolist()
    [True, True, False]
    """
    weights = weights.astype(np.float64)
    own = np.minimum(without_one_row(weights), N_VOTERS)
    voters = np.where(neighbors >= 0, weights[neighbors], 0.0)
    nearer = own[:, None] + np.cumsum(voters, axis=1) - voters
    voters = np.clip(N_VOTERS - nearer, 0.0, voters)
    same = codes[neighbors] == codes[:, None]
    agree = own + (voters * same).sum(axis=1)
    # Half of them are enough, whatever the last digit of their weights.
    return 2 * agree < own + voters.sum(axis=1) - LEAST_REST
