"""The loop over ordered averages, compiled: it dominates OWARIM-FKNN."""

import numpy as np

from knngraph.compiling import compiled


@compiled(allocates=True)
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
    result = np.empty(n_queries)
    # The first j neighbors stay sorted in each feature while j grows: a new one
    # enters on top and passes the smaller of each pair down. The features are
    # the inner loop, without a branch, so that it runs on vector units.
    descending = np.empty((k, n_features))
    passed, average = np.empty(n_features), np.empty(n_features)
    for i in range(n_queries):
        total = 0.0
        for j in range(k):
            row = ids[i, j]
            for f in range(n_features):
                passed[f] = rows[row, f]
            for t in range(j):
                for f in range(n_features):
                    kept, new = descending[t, f], passed[f]
                    descending[t, f] = max(kept, new)
                    passed[f] = min(kept, new)
            # Differences from the largest, so that equal values average to
            # themselves exactly.
            for f in range(n_features):
                descending[j, f] = passed[f]
                average[f] = descending[0, f]
            for t in range(1, j + 1):
                weight = weights[j + 1, t]
                for f in range(n_features):
                    average[f] += weight * (descending[t, f] - descending[0, f])
            squared = 0.0
            for f in range(n_features):
                gap = queries[i, f] - average[f]
                squared += gap * gap
            total += weights[k, j] * squared
        result[i] = total
    return result
