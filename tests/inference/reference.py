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


def row_weights(X, query, m, sigma, nugget, penalty=0.02):
    """Share of the vote of every row at one query; copies share their node's."""
    rows, place, counts = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    place = place.ravel()
    squared = ((rows - query) ** 2).sum(axis=1)
    nearest = np.argsort(squared, kind="stable")[:m]
    similarity = np.exp((squared[nearest[0]] - squared[nearest]) / (2.0 * sigma**2))
    gram = np.exp(-cdist(rows[nearest], rows[nearest], "sqeuclidean") / (2 * sigma**2))
    gram += np.diag(nugget / counts[nearest])
    weights = solve_by_nnls(gram, similarity, penalty * 2.0 * similarity.max())
    of_node = np.zeros(len(rows))
    of_node[nearest] = weights / weights.sum() / counts[nearest]
    return of_node[place]


def votes_by_reliability(X, y, n_classes, queries, m, sigma, nugget, own, rival):
    """Votes whose labels get a share `own`, and other classes the rest."""
    votes = np.zeros((len(queries), n_classes))
    for q, query in enumerate(queries):
        for i, weight in enumerate(row_weights(X, query, m, sigma, nugget)):
            votes[q, y[i]] += weight * own[i]
            votes[q, rival[i]] += weight * (1.0 - own[i])
    return votes


def reliable_leave_one_out(
    X, y, n_classes, m, sigma, nugget, factor, noise, exponent, floor=0.05
):
    """Votes at every row without it, by label probabilities found without it."""
    n = len(X)
    weighed = np.zeros((n, n))
    for i in range(n):
        rest = np.arange(n) != i
        weighed[i, rest] = row_weights(X[rest], X[i], m, sigma, nugget)
    votes = np.zeros((n, n_classes))
    for j in range(n):
        rest = np.flatnonzero(np.arange(n) != j)
        weights = row_weights(X[rest], X[j], m, sigma, factor * nugget)
        for i, weight in zip(rest, weights):
            if weight == 0.0:
                continue
            shares = np.bincount(y, weighed[i], minlength=n_classes)
            others = np.where(np.arange(n_classes) == y[i], -1.0, shares)
            rival = int(others.argmax()) if others.max() > 0.0 else y[i]
            left = 1.0 - weighed[i, j]
            shares[y[j]] -= weighed[i, j]
            own_share, rival_share = np.maximum(shares[[y[i], rival]], 0.0)
            if left > 1e-9:
                own_share, rival_share = own_share / left, rival_share / left
            right = (1.0 - noise) * (own_share + floor / n_classes) ** exponent
            wrong = (
                noise / (n_classes - 1) * (rival_share + floor / n_classes) ** exponent
            )
            votes[j, y[i]] += weight * right / (right + wrong)
            votes[j, rival] += weight * wrong / (right + wrong)
    return votes
