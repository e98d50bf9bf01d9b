"""The formulas of the method in plain double precision, free of any shortcut.

Everything here works on the rows and labels that the user gave, with the whole
kernel in memory, one row and one query at a time, and shares no code with the
library: the problems of fit, the problem at a query, votes by reliable labels, and
all of them together as a model that is fitted anew for every question.
"""

import numpy as np
from scipy.optimize import nnls
from scipy.spatial.distance import cdist, pdist


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
    values, vectors = np.linalg.eigh(gram)
    # Rows next to each other leave a gram matrix that is singular but for rounding.
    roots = np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    target = (vectors.T @ (similarity - penalty / 2.0)) / roots
    return nnls(roots[:, None] * vectors.T, target, maxiter=20 * len(similarity))[0]


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


def neighbors_sigma(X, m):
    """Root of the median squared distance to the m-th other row, copies counted."""
    squared = cdist(X, X, "sqeuclidean")
    np.fill_diagonal(squared, np.inf)
    squared.sort(axis=1)
    return np.sqrt(np.median(squared[:, min(m, len(X) - 1) - 1]))


def problem_at(X, query, m, sigma, nugget, penalty, trust_copies=False):
    """Weights of the m nearest distinct rows of one query, and which rows these are.

    Returns the node of every row, rows of every node, nearest nodes, weights.
    Without `sigma` the bandwidth is the distance of the farthest candidate. With
    trust in copies, rows that lie on the query have no nugget.
    """
    rows, place, counts = np.unique(X, axis=0, return_inverse=True, return_counts=True)
    squared = ((rows - query) ** 2).sum(axis=1)
    nearest = np.argsort(squared, kind="stable")[:m]
    if sigma is None:
        sigma = np.sqrt(squared[nearest[-1]])
    # Relative to the nearest row: the problem is homogeneous in the similarity.
    similarity = np.exp((squared[nearest[0]] - squared[nearest]) / (2.0 * sigma**2))
    gram = np.exp(-cdist(rows[nearest], rows[nearest], "sqeuclidean") / (2 * sigma**2))
    nuggets = nugget / counts[nearest]
    if trust_copies:
        nuggets[squared[nearest] == 0.0] = 0.0
    gram += np.diag(nuggets)
    weights = solve_by_nnls(gram, similarity, penalty * 2.0 * similarity.max())
    return place.ravel(), counts, nearest, weights / weights.sum()


def query_votes(
    X, y, classes, query, m, sigma=None, nugget=0.3, penalty=0.02, trust_copies=False
):
    """Shares of the classes among the m nearest distinct rows of one query."""
    place, _, nearest, weights = problem_at(
        X, query, m, sigma, nugget, penalty, trust_copies
    )
    shares = np.array([[(y[place == i] == c).mean() for c in classes] for i in nearest])
    return weights @ shares


def row_weights(X, query, m, sigma, nugget, penalty=0.02):
    """Share of the vote of every row at one query; copies share their node's."""
    place, counts, nearest, weights = problem_at(X, query, m, sigma, nugget, penalty)
    of_node = np.zeros(len(counts))
    of_node[nearest] = weights / counts[nearest]
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
    X,
    y,
    n_classes,
    m,
    sigma,
    nugget,
    factor,
    noise,
    exponent,
    floor=0.05,
    class_weight=1.0,
    *,
    rivals_without=False,
):
    """Votes at every row without it, by label probabilities found without it.

    Rivals are those of the votes with the row, or without it.
    """
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
            if rivals_without:
                shares[y[j]] -= weighed[i, j]
            of_class = shares * class_weight
            others = np.where(np.arange(n_classes) == y[i], -1.0, of_class)
            rival = int(others.argmax()) if others.max() > 1e-9 else y[i]
            if not rivals_without:
                shares[y[j]] -= weighed[i, j]
            of_class = np.maximum(shares * class_weight, 0.0)
            if 1.0 - weighed[i, j] > 1e-9:
                of_class /= of_class.sum()
            own_share, rival_share = of_class[[y[i], rival]]
            right = (1.0 - noise) * (own_share + floor / n_classes) ** exponent
            wrong = (
                noise / (n_classes - 1) * (rival_share + floor / n_classes) ** exponent
            )
            votes[j, y[i]] += weight * right / (right + wrong)
            votes[j, rival] += weight * wrong / (right + wrong)
    votes *= class_weight
    return votes / votes.sum(axis=1, keepdims=True)


class PlainModel:
    """Answers of the three inferences for rows that may hold copies.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
    y : ndarray of shape (n_rows,)
    classes : ndarray of shape (n_classes,)
    parameters : dict
        Of `KNNGraphClassifier`, all of them.
    sigma : float, optional
        Bandwidth of the problem at a query; by default that of these rows.
    """

    def __init__(self, X, y, classes, parameters, sigma=None):
        self.X, self.y, self.classes, self.parameters = X, y, classes, parameters
        m = parameters["max_neighbors"]
        self.sigma = neighbors_sigma(X, m) if sigma is None else sigma
        self.nodes, node_of_row, self.counts = np.unique(
            X, axis=0, return_inverse=True, return_counts=True
        )
        self.node_of_row = node_of_row.ravel()
        # How many rows of every class lie on every node.
        self.labels = np.zeros((len(self.nodes), len(classes)))
        np.add.at(self.labels, (self.node_of_row, np.searchsorted(classes, y)), 1)

    def nearest(self, query):
        """All nodes, nearest first, and their squared distances."""
        squared = ((self.nodes - query) ** 2).sum(axis=1)
        order = np.argsort(squared, kind="stable")
        return order, squared[order]

    def adaptive_votes(self, query):
        """Shares of the classes in the problem solved at the query."""
        p, m = self.parameters, self.parameters["max_neighbors"]
        return query_votes(
            self.X,
            self.y,
            self.classes,
            query,
            m,
            self.sigma,
            p["query_nugget"],
            p["query_penalty"],
        )

    def stored_shares(self):
        """Shares of the vote on every node, from the problems of all rows."""
        p = self.parameters
        node, code = np.nonzero(self.labels)
        count = self.labels[node, code]
        sigma = np.median(pdist(self.nodes)) if len(self.nodes) > 1 else 1.0
        kernel = composite_kernel(
            self.nodes[node], code, sigma, p["label_weight"], p["label_discount"]
        )
        shrink = (p["penalty_max"] - p["penalty_min"]) * (1 - self._density())
        fractions = (p["penalty_min"] + shrink)[node]
        shares = np.zeros_like(self.labels)
        for j in range(len(node)):
            others = np.flatnonzero((np.arange(len(node)) != j) | (count[j] > 1))
            vote = np.zeros(len(self.classes))
            if len(others):
                similarity = kernel[j, others]
                weights = solve_by_nnls(
                    kernel[np.ix_(others, others)],
                    similarity,
                    fractions[j] * 2 * similarity.max(),
                )
                np.add.at(vote, code[others], weights)
                vote[code[j]] += p["self_weight"] * weights.max()
            if not vote.any():
                vote[code[j]] = 1.0
            shares[node[j]] += count[j] * vote / vote.sum()
        return shares / self.counts[:, None]

    def _density(self):
        """Inverse mean distance to the nearest others, in the range of each scale."""
        far = cdist(self.nodes, self.nodes[self.node_of_row])
        first = np.zeros(far.shape, dtype=bool)
        first[np.arange(len(far)), np.argmin(far, axis=1)] = True
        distances = np.sort(far[~first].reshape(len(far), -1), axis=1)
        scales = self.parameters["density_scales"]
        density = np.zeros(len(distances))
        for k in scales:
            near = distances[:, :k]
            others = (near > 0).sum(axis=1)
            value = np.ones(len(near))
            inverse = others[others > 0] / near.sum(axis=1)[others > 0]
            if len(inverse) and np.ptp(inverse) > 1e-6 * inverse.max():
                value[others > 0] = (inverse - inverse.min()) / np.ptp(inverse)
            density += value
        return density / len(scales)
