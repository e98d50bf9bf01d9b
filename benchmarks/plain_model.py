"""The model in plain double precision, fitted anew for every question.

Brute force over the rows of the user, one row and one query at a time; shares no
code with the library, and none of its shortcuts.
"""

from typing import Any

import numpy as np
from scipy.optimize import nnls
from scipy.spatial.distance import cdist, pdist


class PlainModel:
    """Answers of the three inferences for rows that may hold copies.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
    y : ndarray of shape (n_rows,)
    classes : ndarray of shape (n_classes,)
    parameters : dict
        Of `KNNGraphClassifier`, all of them.
    """

    def __init__(
        self, X: np.ndarray, y: np.ndarray, classes: np.ndarray, parameters: dict
    ) -> None:
        self.parameters = parameters
        self.nodes, node_of_row, self.counts = np.unique(
            X, axis=0, return_inverse=True, return_counts=True
        )
        self.codes = np.searchsorted(classes, y)
        self.n_classes = len(classes)
        self.node_of_row = node_of_row.ravel()
        # How many rows of every class lie on every node.
        self.labels = np.zeros((len(self.nodes), self.n_classes))
        np.add.at(self.labels, (self.node_of_row, self.codes), 1)

    def nearest(self, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All nodes, nearest first, and their squared distances."""
        squared = ((self.nodes - query) ** 2).sum(axis=1)
        order = np.argsort(squared, kind="stable")
        return order, squared[order]

    def adaptive_votes(self, query: np.ndarray) -> np.ndarray:
        """Shares of the classes in the problem solved at the query."""
        p = self.parameters
        order, squared = self.nearest(query)
        m = p["max_neighbors"]
        order, squared = order[:m], squared[:m]
        twice_variance = 2 * self._squared_to(m)
        similarity = np.exp((squared[0] - squared) / twice_variance)
        gram = np.exp(-cdist(*2 * [self.nodes[order]], "sqeuclidean") / twice_variance)
        gram += np.diag(p["query_nugget"] / self.counts[order])
        weights = _solve(gram, similarity, p["query_penalty"] * 2 * similarity.max())
        shares = self.labels[order] / self.counts[order, None]
        return weights @ shares / weights.sum()

    def stored_shares(self) -> np.ndarray:
        """Shares of the vote on every node, from the problems of all rows."""
        p = self.parameters
        node, code = np.nonzero(self.labels)
        count = self.labels[node, code]
        sigma = np.median(pdist(self.nodes)) if len(self.nodes) > 1 else 1.0
        features = np.exp(-cdist(*2 * [self.nodes], "sqeuclidean") / (2 * sigma**2))
        agree = np.where(code[:, None] == code, 1.0, p["label_discount"])
        kernel = (1 - p["label_weight"]) * features[np.ix_(node, node)]
        kernel += p["label_weight"] * agree
        shrink = (p["penalty_max"] - p["penalty_min"]) * (1 - self._density())
        fractions = (p["penalty_min"] + shrink)[node]
        shares = np.zeros_like(self.labels)
        for j in range(len(node)):
            others = np.flatnonzero((np.arange(len(node)) != j) | (count[j] > 1))
            vote = np.zeros(self.n_classes)
            if len(others):
                similarity = kernel[j, others]
                weights = _solve(
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

    def _distances(self) -> np.ndarray:
        """Distance of every node to all other rows, sorted."""
        far = cdist(self.nodes, self.nodes[self.node_of_row])
        first = np.zeros(far.shape, dtype=bool)
        first[np.arange(len(far)), np.argmin(far, axis=1)] = True
        return np.sort(far[~first].reshape(len(far), -1), axis=1)

    def _squared_to(self, m: int) -> float:
        distances = self._distances()[self.node_of_row]
        return float(np.median(distances[:, min(m, distances.shape[1]) - 1]) ** 2)

    def _density(self) -> np.ndarray:
        distances = self._distances()
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


def _solve(gram: np.ndarray, similarity: np.ndarray, penalty: float) -> Any:
    """Minimise w'Gw - 2 k'w + penalty * sum w over w >= 0, by Lawson and Hanson."""
    values, vectors = np.linalg.eigh(gram)
    # Rows next to each other leave a gram matrix that is singular but for rounding.
    roots = np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    target = (vectors.T @ (similarity - penalty / 2)) / roots
    return nnls(roots[:, None] * vectors.T, target, maxiter=20 * len(similarity))[0]
