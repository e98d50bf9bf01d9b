"""Compiled trust in stored answers: one query asks for a microsecond, not for fifty.

Every function here is compiled; none calls a compiled function of another file
(see `knngraph.graph._fista`).
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def trust_around(support, codes, ids, trust):
    """How much the nodes around queries speak for the class of the nearest.

    Parameters
    ----------
    support : ndarray of shape (n_queries, k), float32
        Of the nodes around the queries, nearest first.
    codes : ndarray of shape (n_queries, k), intp
        Their classes.
    ids : ndarray of shape (n_queries, k), intp
        The nodes; -1 where there are no more.
    trust : ndarray of shape (n_queries,)
        Result; see `knngraph.inference.cascade.query_trust`.
    """
    for q in range(ids.shape[0]):
        spoken, total = 0.0, 0.0
        for rank in range(ids.shape[1]):
            if ids[q, rank] < 0:
                continue
            weight = 1.0 / np.sqrt(rank + 1.0)
            total += weight
            if codes[q, rank] == codes[q, 0]:
                spoken += weight * (0.5 + 0.5 * np.float64(support[q, rank]))
        trust[q] = spoken / max(total, 1.0)
