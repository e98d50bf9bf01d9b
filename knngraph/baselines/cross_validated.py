"""CV-kNN: one number of neighbors for all queries, chosen by cross-validation."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import StrOptions

from knngraph.baselines._base import TUNED, BaselineClassifier, Fold, make_folds
from knngraph.baselines._neighbors import (
    METRICS,
    nearest,
    nearest_in_blocks,
    nearest_others,
    neighbor_weights,
    rows_per_block,
    running_votes,
    vote_shares,
)
from knngraph.parallel import chunk_bounds

_LARGEST_DEFAULT = 30


@dataclass(kw_only=True, eq=False, repr=False)
class CVKNNClassifier(BaselineClassifier):
    """k nearest neighbors with the k of the best cross-validated accuracy.

    Parameters
    ----------
    k_candidates : array-like of int or None, default=None
        Numbers of neighbors to compare. None compares 1 to the square root of
        the number of rows, 30 at most.
    cv : int, "loo", splitter, iterable of splits or None, default=5
        Folds. A number means shuffled folds: stratified where every class has
        that many rows, plain where one has not, leave-one-out where there are
        fewer than two rows a fold. None means 5.
    %(weights)s
    metric : {"euclidean", "manhattan", "chebyshev"}, default="euclidean"
    %(n_jobs)s
    %(random_state)s

    Attributes
    ----------
    best_k_ : int
        The chosen number of neighbors.
    k_candidates_ : ndarray of shape (n_candidates,)
        The numbers compared: those of `k_candidates`, in ascending order, that
        no fold is too small for.
    cv_scores_ : ndarray of shape (n_candidates,)
        Mean accuracy over the folds; empty where a single row makes no folds.
    %(fitted)s

    Notes
    -----
    With N_k(q) the k nearest training rows of q::

        accuracy(k) = mean over folds of the share of test rows whose class
                      wins the vote of N_k,
        k* = the smallest k of the largest accuracy,
        p_c(q) = |{i in N_k*(q) : y_i = c}| / k*.

    Every fold is searched once, for the largest candidate: the votes of all
    smaller ones are running sums over its neighbors.

    The source names neither the candidates, nor the folds, nor what decides
    between equal accuracies. Chosen here: 1 to min(30, sqrt(n)), the rule of
    thumb of the field; 5 stratified folds; the smallest k. Candidates larger
    than the training part of a fold are left out, and k = 1 is used if none
    remains.

    Fitting costs O(n^2 d) for n rows of d features, predicting O(n d) a query.

    References
    ----------
    Rahim, Ahmar and Hidayat (2022), "Cross-validation and validation set
    methods for choosing k in KNN algorithm for healthcare case study", JINAV
    3, 57-61.

    Examples
    --------
    >>> from knngraph import CVKNNClassifier
    >>> X = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]
    >>> y = [0, 0, 1, 0, 1, 1]
    >>> model = CVKNNClassifier(k_candidates=[1, 3, 5], cv="loo").fit(X, y)
    >>> model.best_k_
    3
    >>> model.predict([[2.4]])
    array([0])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "k_candidates": ["array-like", None],
        "weights": [StrOptions({"uniform", "distance"})],
        "metric": [StrOptions(set(METRICS))],
        **TUNED,
    }

    k_candidates: Any = None
    cv: Any = 5
    weights: str = "uniform"
    metric: str = "euclidean"
    n_jobs: int | None = None
    random_state: Any = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._rows = X
        candidates = self._checked_candidates(X.shape[0])
        if isinstance(self.cv, str):
            folds: list[Fold] = []
            smallest_part = X.shape[0] - 1
        else:
            folds = make_folds(X, codes, self.cv, self.random_state)
            smallest_part = min((len(train) for train, _ in folds), default=0)
        candidates = candidates[candidates <= smallest_part]
        self.k_candidates_ = candidates if candidates.size else np.array([1])
        if smallest_part == 0:
            self.cv_scores_ = np.empty(0)
            self.best_k_ = 1
            return
        if folds:
            scores = [self._fold_accuracies(X, codes, *fold) for fold in folds]
        else:
            scores = [self._leave_one_out_accuracies(X, codes)]
        self.cv_scores_ = np.mean(scores, axis=0)
        self.best_k_ = int(self.k_candidates_[np.argmax(self.cv_scores_)])

    def _checked_candidates(self, n_samples: int) -> np.ndarray:
        if self.k_candidates is None:
            most = max(1, min(_LARGEST_DEFAULT, int(np.sqrt(n_samples))))
            return np.arange(1, most + 1)
        candidates = list(self.k_candidates)
        for k in candidates:
            if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
                raise ValueError(
                    f"k_candidates holds {k!r}; give numbers of neighbors, "
                    "integers from 1 on, such as range(1, 21)."
                )
        if not candidates:
            raise ValueError(
                "k_candidates is empty; give at least one number of neighbors, "
                "or None for the default range."
            )
        return np.unique(np.array(candidates, dtype=np.intp))

    def _leave_one_out_accuracies(self, X: np.ndarray, codes: np.ndarray) -> np.ndarray:
        most = int(self.k_candidates_[-1])
        ids, gaps = nearest_others(X, most, self.metric, self._n_threads)
        return self._accuracies(codes[ids], gaps, codes)

    def _fold_accuracies(
        self, X: np.ndarray, codes: np.ndarray, train: np.ndarray, test: np.ndarray
    ) -> np.ndarray:
        most = int(self.k_candidates_[-1])
        ids, gaps = nearest_in_blocks(
            X[test], X[train], most, self.metric, self._n_threads
        )
        return self._accuracies(codes[train][ids], gaps, codes[test])

    def _accuracies(
        self, neighbor_codes: np.ndarray, gaps: np.ndarray, true_codes: np.ndarray
    ) -> np.ndarray:
        """Accuracy of every candidate, shape (n_candidates,)."""
        weights = neighbor_weights(gaps, self.weights)
        correct = np.zeros(self.k_candidates_.shape[0])
        # In slices: the running votes of all rows at once could be large.
        slice_size = rows_per_block(neighbor_codes.shape[1] * self._n_classes)
        for start, stop in chunk_bounds(true_codes.size, slice_size):
            rows = np.arange(start, stop)
            votes = running_votes(neighbor_codes[rows], weights[rows], self._n_classes)
            winners = votes[:, self.k_candidates_ - 1].argmax(axis=2)
            correct += (winners == true_codes[rows, None]).sum(axis=0)
        return correct / true_codes.size

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        ids, gaps = nearest(queries, self._rows, self.best_k_, self.metric)
        weights = neighbor_weights(gaps, self.weights)
        return vote_shares(self._codes[ids], weights, self._n_classes)
