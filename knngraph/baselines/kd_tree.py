"""Exact k nearest neighbors found with a k-d tree."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.neighbors import KDTree
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import BaselineClassifier
from knngraph.baselines._neighbors import METRICS, neighbor_weights, vote_shares

# Wider than the rounding of a square root and its square, so that the k-th
# neighbor itself is never cut off.
_SLACK = 1.0 + 1e-12


@dataclass(kw_only=True, eq=False, repr=False)
class KDTreeKNNClassifier(BaselineClassifier):
    """k nearest neighbors by branch and bound over a k-d tree.

    Parameters
    ----------
    n_neighbors : int, default=5
        Neighbors that vote; all rows where there are fewer.
    leaf_size : int, default=30
        Rows of a leaf of the tree; changes speed and memory, not the answer.
    %(weights)s
    metric : {"euclidean", "manhattan", "chebyshev"}, default="euclidean"
    %(n_jobs)s

    Attributes
    ----------
    tree_ : sklearn.neighbors.KDTree
        The tree over the training rows.
    %(fitted)s

    Notes
    -----
    A node is passed over if the distance from the query to its box exceeds the
    k-th smallest distance so far: the neighbors are those of an exhaustive
    search, and p_c(q) is the share of their votes for class c.

    The source describes a parallel tree that changes with its data; its answers
    are those of any k-d tree. It names no number of neighbors, and 5 is chosen
    here. Trees return rows of equal distance in an order of their own; here a
    second search, for all rows as near as the k-th, lets the row that comes
    first in the training data win, as in the other classifiers of this module.

    The metric has to be a sum or a maximum over coordinates. For the cosine,
    scale the rows to unit length and keep "euclidean": the order is the same.

    Fitting costs O(n d log n). A query costs O(log n) for a few features; from
    about log2(n) features on the boxes exclude little and it costs O(n d), an
    exhaustive search.

    References
    ----------
    Men, Shen, Gu and Sun (2024), "Parallel kd-tree with batch updates",
    arXiv:2411.09275.

    Examples
    --------
    >>> from knngraph import KDTreeKNNClassifier
    >>> X = [[2, 3], [5, 4], [9, 6], [4, 7], [8, 1], [7, 2]]
    >>> y = [0, 0, 1, 0, 1, 1]
    >>> model = KDTreeKNNClassifier(n_neighbors=3).fit(X, y)
    >>> model.predict([[9, 2], [2, 4.5]])
    array([1, 0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "leaf_size": [Interval(Integral, 1, None, closed="left")],
        "weights": [StrOptions({"uniform", "distance"})],
        "metric": [StrOptions(set(METRICS))],
    }

    n_neighbors: int = 5
    leaf_size: int = 30
    weights: str = "uniform"
    metric: str = "euclidean"
    n_jobs: int | None = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self.tree_ = KDTree(X, leaf_size=self.leaf_size, metric=self.metric)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        ids, gaps = self._nearest(queries)
        weights = neighbor_weights(gaps, self.weights)
        return vote_shares(self._codes[ids], weights, self._n_classes)

    def _nearest(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        k = min(self.n_neighbors, self.n_samples_fit_)
        found, _ = self.tree_.query(queries, k=k)
        near_ids, near_gaps = self.tree_.query_radius(
            queries, found[:, -1] * _SLACK, return_distance=True
        )
        ids = np.empty((queries.shape[0], k), dtype=np.intp)
        gaps = np.empty((queries.shape[0], k))
        for i, (row_ids, row_gaps) in enumerate(zip(near_ids, near_gaps)):
            order = np.lexsort((row_ids, row_gaps))[:k]
            ids[i], gaps[i] = row_ids[order], row_gaps[order]
        return ids, gaps
