"""The loop over ordered averages, compiled: it dominates OWARIM-FKNN."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def average_distances(queries, rows, ids, weights):  # type: ignore[no-untyped-def]
    """Weighted squared distances to the ordered averages of growing length.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
    rows : ndarray of shape (n_rows, n_features)
    ids : ndarray of shape (n_queries, k)
        Positions in `rows`, nearest first.
    weights : ndarray of shape (longest + 1, longest)
        Row s starts with the weights of s ordered values.

    Returns
    -------
    ndarray of shape (n_queries,)
    """
    n_queries, k = ids.shape
    n_features = queries.shape[1]
    result = np.zeros(n_queries)
    # Feature by feature the first j neighbors stay sorted while j grows, so
    # that each step inserts one value instead of sorting again.
    descending = np.empty(k)
    for i in range(n_queries):
        for f in range(n_features):
            for j in range(k):
                value = rows[ids[i, j], f]
                place = j
                while place > 0 and descending[place - 1] < value:
                    descending[place] = descending[place - 1]
                    place -= 1
                descending[place] = value
                # From the largest value down, so that equal values average to
                # themselves exactly.
                average = descending[0]
                for t in range(1, j + 1):
                    average += weights[j + 1, t] * (descending[t] - descending[0])
                gap = queries[i, f] - average
                result[i] += weights[k, j] * gap * gap
    return result
