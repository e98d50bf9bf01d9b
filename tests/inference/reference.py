"""The problem at a query in plain double precision, free of any shortcut.

Works on the rows and labels that the user gave and shares no code with the
library.
"""

import numpy as np
from scipy.spatial.distance import cdist

from tests.reference import solve_by_nnls


def neighbors_sigma(X, m):
    """Root of the median squared distance to the m-th other row, copies counted."""
    squared = cdist(X, X, "sqeuclidean")
    np.fill_diagonal(squared, np.inf)
    squared.sort(axis=1)
    return np.sqrt(np.median(squared[:, min(m, len(X) - 1) - 1]))


def query_votes(X, y, classes, query, m, sigma=None, nugget=0.3, penalty=0.02):
    """Shares of the classes among the m nearest distinct rows of one query.

    Without `sigma` the bandwidth is the distance of the farthest candidate.
    """
    rows, place, counts = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    squared = ((rows - query) ** 2).sum(axis=1)
    nearest = np.argsort(squared, kind="stable")[:m]
    if sigma is None:
        sigma = np.sqrt(squared[nearest[-1]])
    # Relative to the nearest row: the problem is homogeneous in the similarity.
    similarity = np.exp((squared[nearest[0]] - squared[nearest]) / (2.0 * sigma**2))
    gram = np.exp(-cdist(rows[nearest], rows[nearest], "sqeuclidean") / (2 * sigma**2))
    gram += np.diag(nugget / counts[nearest])
    weights = solve_by_nnls(gram, similarity, penalty * 2.0 * similarity.max())
    place = place.ravel()
    shares = np.array([[(y[place == i] == c).mean() for c in classes] for i in nearest])
    return weights @ shares / weights.sum()
