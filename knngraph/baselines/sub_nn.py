"""SubNN: nearest neighbors in subsamples whose labels were averaged at fit."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from knngraph.baselines._base import BaselineClassifier
from knngraph.baselines._neighbors import (
    METRICS,
    distances,
    nearest_in_blocks,
    vote_shares,
)


@dataclass(kw_only=True, eq=False, repr=False)
class SubNNClassifier(BaselineClassifier):
    """Average of one-nearest-neighbor answers over denoised subsamples.

    Parameters
    ----------
    n_estimators : int, default=10
        Number of subsamples.
    max_samples : int or float, default=0.5
        Rows of a subsample: a number, all rows where there are fewer, or a
        share of the training rows.
    n_neighbors : int, default=5
        Neighbors, the row itself among them, that give a sampled row its label.
    voting : {"soft", "hard"}, default="soft"
        A sampled row keeps the class shares of its neighbors, or the most
        frequent class alone.
    metric : {"euclidean", "manhattan", "chebyshev"}, default="euclidean"
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Draws the subsamples.

    Attributes
    ----------
    estimators_samples_ : list of ndarray of shape (n_drawn,)
        Positions of the rows of each subsample, ascending.
    %(fitted)s

    Notes
    -----
    Each sampled row x_i gets the label of a vote over all training rows, and a
    query the average over the subsamples s of the label of the row nearest to
    it::

        L_i = class shares of y over N_k(x_i)  (or one at their argmax),
        p(q) = mean over s of L_{nearest row of s to q}.

    The neighbors of x_i count x_i itself. All votes are cast at fit, which is
    why a query needs no k: the error is that of k nearest neighbors up to a
    term that vanishes as the subsamples grow. One subsample of all rows is the
    plain case of labels stored in advance.

    The source leaves the number and size of subsamples to the statistician; the
    defaults are chosen here. Subsamples are drawn without replacement.

    Fitting costs O(n^2 d). A query costs O(u d), u being the number of distinct
    rows drawn: an exhaustive search that all subsamples share, not a tree for
    each.

    References
    ----------
    Xue and Kpotufe (2018), "Achieving the time of 1-NN, but the accuracy of
    k-NN", AISTATS, arXiv:1712.02369.

    Examples
    --------
    >>> from knngraph import SubNNClassifier
    >>> X = [[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]]
    >>> y = ["a", "b", "a", "b", "b", "b"]
    >>> model = SubNNClassifier(n_estimators=1, max_samples=1.0, n_neighbors=3)
    >>> model.fit(X, y).predict([[1.1], [11.1]])
    array(['a', 'b'], dtype='<U1')
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_samples": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0.0, 1.0, closed="right"),
        ],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "voting": [StrOptions({"soft", "hard"})],
        "metric": [StrOptions(set(METRICS))],
        "random_state": ["random_state"],
    }

    n_estimators: int = 10
    max_samples: Any = 0.5
    n_neighbors: int = 5
    voting: str = "soft"
    metric: str = "euclidean"
    n_jobs: int | None = None
    random_state: Any = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        generator = check_random_state(self.random_state)
        size = self._subsample_size(X.shape[0])
        self.estimators_samples_ = [
            np.sort(generator.permutation(X.shape[0])[:size])
            for _ in range(self.n_estimators)
        ]
        drawn = np.unique(np.concatenate(self.estimators_samples_))
        self._drawn_rows = X[drawn]
        self._columns = [
            np.searchsorted(drawn, sample) for sample in self.estimators_samples_
        ]
        ids, gaps = nearest_in_blocks(
            self._drawn_rows, X, self.n_neighbors, self.metric, self._n_threads
        )
        shares = vote_shares(codes[ids], np.ones_like(gaps), self._n_classes)
        if self.voting == "hard":
            shares = np.eye(self._n_classes)[shares.argmax(axis=1)]
        self._labels = shares

    def _subsample_size(self, n_samples: int) -> int:
        if isinstance(self.max_samples, Integral):
            return min(int(self.max_samples), n_samples)
        return max(1, round(float(self.max_samples) * n_samples))

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        gaps = distances(queries, self._drawn_rows, self.metric)
        scores = np.zeros((queries.shape[0], self._n_classes))
        for columns in self._columns:
            scores += self._labels[columns[gaps[:, columns].argmin(axis=1)]]
        return scores / self.n_estimators
