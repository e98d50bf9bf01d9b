"""ENN: nearest neighbors on training rows that their own neighbors agree with."""

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import BaselineClassifier
from knngraph.baselines._neighbors import (
    METRICS,
    count_votes,
    nearest,
    nearest_others,
    vote_shares,
)
from knngraph.exceptions import KNNGraphWarning


@dataclass(kw_only=True, eq=False, repr=False)
class ENNClassifier(BaselineClassifier):
    """Wilson editing, then the nearest neighbor among the rows that are left.

    Parameters
    ----------
    n_neighbors : int, default=1
        Neighbors that vote on a query, among the rows that are left.
    n_neighbors_edit : int, default=3
        Neighbors that judge a training row.
    kind : {"mode", "all"}, default="mode"
        A row stays if its class is the most frequent among its judges, or only
        if all of them share it.
    tie : {"keep", "smallest"}, default="keep"
        What becomes of a row whose class is as frequent as another one: it
        stays, or it stays only if its class comes first in `classes_`.
    max_iter : int, default=1
        Rounds of editing; more than one is repeated editing, which stops when
        a round removes nothing.
    metric : {"euclidean", "manhattan", "chebyshev"}, default="euclidean"
    %(n_jobs)s

    Attributes
    ----------
    sample_indices_ : ndarray of shape (n_kept,)
        Positions of the training rows that are left, ascending.
    n_removed_ : int
        Number of rows removed.
    removed_per_class_ : ndarray of shape (n_classes,)
        Rows removed of each class.
    n_iter_ : int
        Rounds of editing done.
    classes_ : ndarray of shape (n_classes,)
        Class labels in order, those with no row left included.
    n_samples_fit_ : int
        Number of training rows.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, where `fit` was given any.

    Warns
    -----
    KNNGraphWarning
        If editing would remove every row; all of them are then kept.

    Notes
    -----
    With M(i) the k_e nearest other rows of row i, all judged at once::

        row i stays  if  |{j in M(i) : y_j = y_i}| = max_c |{j in M(i) : y_j = c}|
        ("mode"), or if every y_j = y_i ("all");
        p_c(q) = |{i in N_k(q) : y_i = c}| / k  over the rows that stay.

    A row never judges itself, and a copy of it judges it like any other row.

    Wilson's rule is k_e = 3 and the nearest neighbor afterwards, the defaults.
    It is silent about ties, which are frequent with many classes: "keep" does
    not depend on how the classes are named and is the default; "smallest" is
    what taking the first of the most frequent classes does. Comparisons that
    quote ENN seldom give k_e, the rule or the final k.

    Fitting costs O(n^2 d) a round, predicting O(n_kept d) a query.

    References
    ----------
    Wilson (1972), "Asymptotic properties of nearest neighbor rules using edited
    data", IEEE Transactions on Systems, Man, and Cybernetics 2, 408-421.

    Tomek (1976), "An experiment with the edited nearest-neighbor rule", IEEE
    Transactions on Systems, Man, and Cybernetics 6, 448-452.

    Examples
    --------
    >>> from knngraph import ENNClassifier
    >>> X = [[0.0], [1.0], [2.0], [3.1], [10.0], [11.5]]
    >>> y = [0, 0, 1, 0, 1, 1]
    >>> model = ENNClassifier().fit(X, y)
    >>> model.sample_indices_
    array([0, 1, 3, 4, 5])
    >>> model.predict([[2.3]])
    array([0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors_edit": [Interval(Integral, 1, None, closed="left")],
        "kind": [StrOptions({"mode", "all"})],
        "tie": [StrOptions({"keep", "smallest"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "metric": [StrOptions(set(METRICS))],
    }

    n_neighbors: int = 1
    n_neighbors_edit: int = 3
    kind: str = "mode"
    tie: str = "keep"
    max_iter: int = 1
    metric: str = "euclidean"
    n_jobs: int | None = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._rows = X
        kept = np.arange(X.shape[0])
        self.n_iter_ = 0
        for _ in range(self.max_iter):
            self.n_iter_ += 1
            agreed = self._agreed(X[kept], codes[kept])
            if not agreed.any():
                warnings.warn(
                    f"Editing with n_neighbors_edit={self.n_neighbors_edit} and "
                    f"kind={self.kind!r} would remove every training row; the "
                    f"{kept.size} rows before this round are kept. Another "
                    "n_neighbors_edit, or kind='mode', removes fewer.",
                    KNNGraphWarning,
                    stacklevel=4,
                )
                break
            kept = kept[agreed]
            if agreed.all():
                break
        self.sample_indices_ = kept
        self.n_removed_ = X.shape[0] - kept.size
        self.removed_per_class_ = np.bincount(codes, minlength=self._n_classes)
        self.removed_per_class_ -= np.bincount(codes[kept], minlength=self._n_classes)

    def _agreed(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Which rows their judges let stay, shape (n_samples,)."""
        judges, gaps = nearest_others(
            X, self.n_neighbors_edit, self.metric, self._n_threads
        )
        votes = count_votes(codes[judges], np.ones_like(gaps), self._n_classes)
        own = votes[np.arange(codes.size), codes]
        if self.kind == "all":
            return own == judges.shape[1]
        if judges.shape[1] > 0 and self.tie == "smallest":
            return votes.argmax(axis=1) == codes
        return own == votes.max(axis=1)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        kept = self.sample_indices_
        ids, gaps = nearest(queries, self._rows[kept], self.n_neighbors, self.metric)
        return vote_shares(self._codes[kept][ids], np.ones_like(gaps), self._n_classes)
