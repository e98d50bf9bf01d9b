"""The formulas of the method in plain double precision, free of any shortcut.

Everything here works on the rows and labels that the user gave, with the whole
kernel in memory, and shares no code with the library.
"""

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls
from scipy.spatial.distance import cdist


def composite_kernel(X, y, sigma, label_weight=0.3, label_discount=0.1):
    """K_ij = (1 - b) exp(-|x_i - x_j|^2 / (2 sigma^2)) + b L_ij."""
    features = np.exp(-cdist(X, X, "sqeuclidean") / (2.0 * sigma**2))
    labels = np.where(y[:, None] == y[None, :], 1.0, label_discount)
    return (1.0 - label_weight) * features + label_weight * labels


def kernel_of(model, X, y):
    """The kernel that a fitted classifier says it used."""
    return composite_kernel(
        X, y, model.bandwidth_, model.label_weight, model.label_discount
    )


def objectives(K, W, penalty, nugget=0.0):
    """K_jj - 2 k_j'w + w'(K + nugget I)w + lambda_j |w|_1 of every row j of W."""
    quadratic = np.einsum("ij,ij->i", W @ K, W) + nugget * (W**2).sum(axis=1)
    linear = np.einsum("ij,ij->i", W, K)
    return np.diag(K) - 2.0 * linear + quadratic + penalty * np.abs(W).sum(axis=1)


def violations(K, W, penalty, nugget=0.0, positive=True):
    """Largest violation of the optimality conditions of every row, over all others."""
    slope = 2.0 * (W @ K + nugget * W - K)
    at_zero = -slope if positive else np.abs(slope)
    worst = np.where(W > 0, np.abs(slope + penalty[:, None]), 0.0)
    worst = np.where(W < 0, np.abs(slope - penalty[:, None]), worst)
    worst = np.where(W == 0, at_zero - penalty[:, None], worst)
    np.fill_diagonal(worst, 0.0)
    return worst.max(axis=1)


def solve_by_nnls(gram, similarity, penalty):
    """Minimise -2 k'w + w'Gw + lambda 1'w over w >= 0 by Lawson and Hanson.

    With G = R'R this is |Rw - b|^2 up to a constant, R'b = k - lambda / 2.
    """
    factor = cholesky(gram)
    target = solve_triangular(factor, similarity - penalty / 2.0, trans="T")
    return nnls(factor, target, maxiter=20 * len(similarity))[0]


def solve_by_coordinate_descent(gram, similarity, penalty, n_sweeps=3000):
    """Minimise -2 k'w + w'Gw + lambda |w|_1 over all w, one weight at a time."""
    weights = np.zeros(len(similarity))
    for _ in range(n_sweeps):
        before = weights.copy()
        for i in range(len(weights)):
            rest = similarity[i] - gram[i] @ weights + gram[i, i] * weights[i]
            shrunk = max(abs(rest) - penalty / 2.0, 0.0)
            weights[i] = np.sign(rest) * shrunk / gram[i, i]
        if np.abs(weights - before).max() < 1e-14:
            break
    return weights


def consensus(W, y, classes, self_weight):
    """Shares of the vote and stored labels, row by row."""
    shares = np.zeros((len(y), len(classes)))
    labels = y.copy()
    for j, row in enumerate(W):
        votes = dict.fromkeys(classes, 0.0)
        for i in np.flatnonzero(row > 0):
            votes[y[i]] += row[i]
        votes[y[j]] += self_weight * row.max()
        total = sum(votes.values())
        shares[j] = [votes[c] / total for c in classes]
        labels[j] = classes[int(np.argmax(shares[j]))]
    return shares, labels
