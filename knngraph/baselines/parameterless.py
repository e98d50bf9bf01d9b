"""PL-kNN: the vote of the rows between a query and the nearest class center."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import BaselineClassifier, NeighborCountMixin
from knngraph.baselines._neighbors import distances


@dataclass(kw_only=True, eq=False, repr=False)
class PLKNNClassifier(NeighborCountMixin, BaselineClassifier):
    """Parameterless k nearest neighbors.

    Parameters
    ----------
    metric : {"manhattan", "euclidean"}, default="manhattan"
        Distance from queries to rows and centers.
    eps : float, default=1e-4
        Added to a row's distance from its class center before it is inverted.
    %(n_jobs)s

    Attributes
    ----------
    centers_ : ndarray of shape (n_classes, n_features)
        Coordinate-wise median of each class.
    sample_weight_ : ndarray of shape (n_samples,)
        One over the Euclidean distance of a row to its class center.
    %(fitted)s

    Notes
    -----
    With z_c the median of class c, delta the metric, and z the center nearest
    to the query q::

        w_i = 1 / (||x_i - z_{y_i}||_2 + eps),
        kept(q) = {i : delta(q, x_i) <= delta(q, z),  <z - q, x_i - q> >= 0},
        p_c(q) proportional to the sum over i in kept(q), y_i = c, of
                 w_i / delta(q, x_i),

    and the class of z where nothing is kept. The weights are Euclidean whatever
    the metric.

    The authors' program measures queries by the Manhattan distance, the default
    here, although the text suggests the Euclidean one. It tests the half space
    by an angle, which rounding can spoil; here the sign of the inner product is
    taken. It divides by zero where a query equals a row; here rows at distance
    zero, if any are kept, are the only ones to vote, each with its w_i. Equal
    centers and equal scores go to the class that comes first.

    A row that is the median of its own class, such as the only row of a class,
    weighs 1 / eps and wins wherever it is kept; this is as published. With many
    features few rows are kept, and the rule becomes that of the nearest center.

    Fitting costs O(n d), predicting O((n + n_classes) d) a query: the radius
    differs from query to query, and every row is measured.

    References
    ----------
    Jodas, Passos, Adeel and Papa (2022), "PL-kNN: a parameterless nearest
    neighbors classifier", arXiv:2209.12647.

    Examples
    --------
    >>> from knngraph import PLKNNClassifier
    >>> X = [[0, 0], [2, 0], [1, 2], [5, 0], [4, 3], [6, 3]]
    >>> y = [0, 0, 0, 1, 1, 1]
    >>> model = PLKNNClassifier().fit(X, y)
    >>> model.predict([[20, 0], [3, 1]])
    array([1, 0])
    >>> model.n_neighbors_used([[20, 0], [3, 1]])
    array([3, 2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "metric": [StrOptions({"manhattan", "euclidean"})],
        "eps": [Interval(Real, 0, None, closed="neither")],
    }

    metric: str = "manhattan"
    eps: float = 1e-4
    n_jobs: int | None = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._rows = X
        self.centers_ = np.stack(
            [np.median(X[codes == c], axis=0) for c in range(self._n_classes)]
        )
        offsets = X - self.centers_[codes]
        self.sample_weight_ = 1.0 / (
            np.sqrt(np.einsum("ij,ij->i", offsets, offsets)) + self.eps
        )

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        scores = np.zeros((queries.shape[0], self._n_classes))
        nearest_center, kept_rows, kept_gaps = self._keep(queries)
        for i, (kept, gaps) in enumerate(zip(kept_rows, kept_gaps)):
            if kept.size == 0:
                scores[i, nearest_center[i]] = 1.0
                continue
            if gaps.min() == 0.0:
                kept, gaps = kept[gaps == 0.0], np.ones(np.count_nonzero(gaps == 0.0))
            # The nearest gap as the unit keeps tiny distances from overflowing.
            votes = self.sample_weight_[kept] * (gaps.min() / gaps)
            scores[i] = np.bincount(
                self._codes[kept], weights=votes, minlength=self._n_classes
            )
        return scores / scores.sum(axis=1, keepdims=True)

    def _count_neighbors(self, queries: np.ndarray) -> np.ndarray:
        _, kept_rows, _ = self._keep(queries)
        return np.array([kept.size for kept in kept_rows])

    def _keep(
        self, queries: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray], list[np.ndarray]]:
        """Nearest center, kept rows and their distances, for every query."""
        center_gaps = distances(queries, self.centers_, self.metric)
        row_gaps = distances(queries, self._rows, self.metric)
        nearest_center = center_gaps.argmin(axis=1)
        kept_rows, kept_gaps = [], []
        for i, query in enumerate(queries):
            inside = np.flatnonzero(row_gaps[i] <= center_gaps[i].min())
            ahead = self.centers_[nearest_center[i]] - query
            inner = np.einsum("ij,j->i", self._rows[inside] - query, ahead)
            kept = inside[inner >= 0.0]
            kept_rows.append(kept)
            kept_gaps.append(row_gaps[i, kept])
        return nearest_center, kept_rows, kept_gaps
