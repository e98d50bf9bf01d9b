"""k*-NN: the best number and weights of neighbors for each query."""

from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import (
    TUNED,
    BaselineClassifier,
    NeighborCountMixin,
    tune,
)
from knngraph.baselines._neighbors import METRICS, nearest, vote_shares

_GRIDS = {"smoothness": (1.0, 0.1, 0.5, 5.0, 10.0, 20.0)}


@dataclass(kw_only=True, eq=False, repr=False)
class KStarNNClassifier(NeighborCountMixin, BaselineClassifier):
    """Locally optimal number of neighbors, with weights, for each query.

    Parameters
    ----------
    smoothness : float or "cv", default=1.0
        Lipschitz constant of the classes over the noise of the labels (L/C in
        the source). The larger, the fewer neighbors. "cv" compares 0.1, 0.5, 1,
        5, 10 and 20.
    metric : {"euclidean", "manhattan", "chebyshev"}, default="euclidean"
    %(cv)s
    %(n_jobs)s
    %(random_state)s

    Attributes
    ----------
    smoothness_ : float
        Value in use.
    %(fitted)s

    Notes
    -----
    With b_1 <= b_2 <= ... the distances of q times `smoothness`, the weights
    minimize ||a||_2 + <a, b> over the simplex. They are::

        a_i proportional to max(lambda_k - b_i, 0),
        lambda_k = (B_k + sqrt(k + B_k^2 - k Q_k)) / k,
        B_k = b_1 + .. + b_k,  Q_k = b_1^2 + .. + b_k^2,

    at the first k with lambda_k <= b_{k+1}, and p_c(q) is the sum of the
    weights of class c.

    The source treats regression and two classes; more classes are one column
    each here. Its authors tune the one parameter over the values that "cv"
    compares. It carries the unit of the data: scaled data want another value.

    Predicting costs O(n d + n log n) a query.

    References
    ----------
    Anava and Levy (2016), "k*-nearest neighbors: from global to local",
    Advances in Neural Information Processing Systems 29.

    Examples
    --------
    >>> from knngraph import KStarNNClassifier
    >>> model = KStarNNClassifier().fit([[0.1], [0.3], [2.0]], [0, 1, 0])
    >>> model.predict_proba([[0.0]]).round(4)
    array([[0.5714, 0.4286]])
    >>> model.n_neighbors_used([[0.0]])
    array([2])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "smoothness": [Interval(Real, 0, None, closed="neither"), StrOptions({"cv"})],
        "metric": [StrOptions(set(METRICS))],
        **TUNED,
    }

    smoothness: Any = 1.0
    metric: str = "euclidean"
    cv: Any = 5
    n_jobs: int | None = None
    random_state: Any = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._rows = X
        self.smoothness_ = float(tune(self, _GRIDS, X, codes)["smoothness"])

    def _count_neighbors(self, queries: np.ndarray) -> np.ndarray:
        return np.count_nonzero(self._weigh(queries)[1], axis=1)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        ids, weights = self._weigh(queries)
        return vote_shares(self._codes[ids], weights, self._n_classes)

    def _weigh(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ids, gaps = nearest(queries, self._rows, self.n_samples_fit_, self.metric)
        return ids, optimal_weights(self.smoothness_ * gaps)


def optimal_weights(costs: np.ndarray) -> np.ndarray:
    """Minimize ||a||_2 + <a, b> over the simplex, row by row.

    Parameters
    ----------
    costs : ndarray of shape (n_queries, n_points)
        The b, ascending in each row.

    Returns
    -------
    ndarray of shape (n_queries, n_points)
        Rows sum to one.
    """
    # Only differences matter on the simplex; without the common part the
    # square root keeps its digits where all distances are large.
    costs = costs - costs[:, :1]
    k = np.arange(1, costs.shape[1] + 1)
    sums = np.cumsum(costs, axis=1)
    radicand = k + sums**2 - k * np.cumsum(costs**2, axis=1)
    levels = (sums + np.sqrt(np.maximum(radicand, 0.0))) / k
    ends = np.ones(costs.shape, dtype=bool)
    ends[:, :-1] = levels[:, :-1] <= costs[:, 1:]
    last = ends.argmax(axis=1)[:, None]
    level = np.take_along_axis(levels, last, axis=1)
    weights = np.where(k - 1 <= last, np.maximum(level - costs, 0.0), 0.0)
    return weights / weights.sum(axis=1, keepdims=True)
