"""XHMAkNN: neighbors grow until one class leads in harmonic mean distance."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import (
    TUNED,
    BaselineClassifier,
    NeighborCountMixin,
    tune,
)
from knngraph.baselines._neighbors import METRICS, nearest, running_votes

_GRIDS = {"threshold": (1.0, 0.01, 0.1, 5.0, 10.0), "weight": (0.5, 0.1, 0.3, 0.7, 0.9)}
_EPS = np.finfo(np.float64).eps


@dataclass(kw_only=True, eq=False, repr=False)
class XHMAKNNClassifier(NeighborCountMixin, BaselineClassifier):
    """Harmonic mean adaptive k nearest neighbors, as published or scaled.

    Parameters
    ----------
    n_neighbors : int, default=3
        Neighbors to start with.
    max_extra : int, default=25
        The most neighbors to add.
    threshold : float or "cv", default=1.0
        Lead of the best class over the second, in percent, that stops the
        growth. "cv" compares 0.01, 0.1, 1, 5 and 10.
    weight : float or "cv", default=0.5
        Weight of the number of neighbors of a class against their mean
        distance, above 0 and at most 1. "cv" compares 0.1, 0.3, 0.5, 0.7, 0.9.
    rescale : {None, "minmax"}, default=None
        "minmax" maps the distances of the current k neighbors onto [1/k, 1],
        the range of the other part of the mean.
    metric : {"euclidean", "manhattan", "chebyshev"}, default="euclidean"
    %(cv)s
    %(n_jobs)s
    %(random_state)s

    Attributes
    ----------
    threshold_ : float
        Threshold in use.
    weight_ : float
        Weight in use.
    %(fitted)s

    Notes
    -----
    Among the k nearest rows let n_c be those of class c and A_c their mean
    distance. The published harmonic mean of 1/n_c and A_c is smallest where::

        S_c = w n_c + (1 - w) / A_c

    is largest, with w the `weight`. From k = `n_neighbors` on::

        stop  if one class is present,  or  100 (S_1 / S_2 - 1) >= threshold
              for the two largest,  or  k = n_neighbors + max_extra;
        else  k <- k + 1;
        p_c(q) = S_c / sum of S.

    w = 1/2 is the plain harmonic mean of the source, other values its weighted
    one; two free weights are the same rule with w = w_1 / (w_1 + w_2).

    The source tunes threshold and weight and gives no defaults; those here are
    chosen. Scores as probabilities are ours. Rounding (2.2e-16) is added to A_c
    as in the authors' program; where neighbors at distance zero decide, the
    classes that have no others share the score by their number, so that the
    more frequent wins. Classes still equal at the last k go to the first in
    order.

    The distances mix with counts, so that the rule depends on the scale of the
    data: large distances make it a majority vote, small ones the nearest class
    mean. A later publication scales the distances for this reason. Its constants
    are not known: "minmax" is a reconstruction of the idea from its abstract,
    with d' = 1/k + (1 - 1/k) (d - d_1) / (d_k - d_1) renewed for every k.

    Predicting costs O(n d + k n_classes) a query.

    References
    ----------
    Acikkar and Tokgoz (2024), "An improved KNN classifier based on a novel
    weighted voting function and adaptive k-value selection", Neural Computing
    and Applications 36, 4027-4045.

    Acikkar (2025), scaled harmonic mean adaptive k nearest neighbors, Applied
    Intelligence 55, 168.

    Examples
    --------
    >>> from knngraph import XHMAKNNClassifier
    >>> X = [[1.0], [-1.2], [1.4], [-1.5], [1.7], [2.0]]
    >>> y = [0, 1, 1, 0, 0, 1]
    >>> model = XHMAKNNClassifier(threshold=50.0).fit(X, y)
    >>> model.predict([[0.0]]), model.n_neighbors_used([[0.0]])
    (array([0]), array([6]))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_extra": [Interval(Integral, 0, None, closed="left")],
        "threshold": [Interval(Real, 0, None, closed="left"), StrOptions({"cv"})],
        "weight": [Interval(Real, 0, 1, closed="right"), StrOptions({"cv"})],
        "rescale": [StrOptions({"minmax"}), None],
        "metric": [StrOptions(set(METRICS))],
        **TUNED,
    }

    n_neighbors: int = 3
    max_extra: int = 25
    threshold: Any = 1.0
    weight: Any = 0.5
    rescale: str | None = None
    metric: str = "euclidean"
    cv: Any = 5
    n_jobs: int | None = None
    random_state: Any = None

    @property
    def _numbers_per_query(self) -> int:
        steps = min(self.n_neighbors + self.max_extra, self.n_samples_fit_)
        return max(self.n_samples_fit_, steps * self._n_classes)

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        self._rows = X
        settings = tune(self, _GRIDS, X, codes)
        self.threshold_ = float(settings["threshold"])
        self.weight_ = float(settings["weight"])

    def _count_neighbors(self, queries: np.ndarray) -> np.ndarray:
        return self._grow(queries)[1] + 1

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        return self._grow(queries)[0]

    def _grow(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Class shares at the last k, and the last k less one."""
        most = self.n_neighbors + self.max_extra
        ids, gaps = nearest(queries, self._rows, most, self.metric)
        codes = self._codes[ids]
        counts = running_votes(codes, np.ones_like(gaps), self._n_classes)
        sums = running_votes(codes, gaps, self._n_classes)
        scores = self._scores(counts, sums, gaps)
        last = self._last_steps(scores)
        rows = np.arange(queries.shape[0])
        scores, counts, sums = (table[rows, last] for table in (scores, counts, sums))
        at_zero = np.where(sums == 0.0, counts, 0.0)
        if self.rescale is None and self.weight_ < 1.0:
            scores = np.where(at_zero.any(axis=1, keepdims=True), at_zero, scores)
        return scores / scores.sum(axis=1, keepdims=True), last

    def _scores(
        self, counts: np.ndarray, sums: np.ndarray, gaps: np.ndarray
    ) -> np.ndarray:
        """S of every class for every k, zero for classes not among the k."""
        means = sums / np.maximum(counts, 1.0)
        if self.rescale is not None:
            means = _rescaled_means(means, gaps)
        scores = self.weight_ * counts + (1.0 - self.weight_) / (means + _EPS)
        return np.where(counts > 0.0, scores, 0.0)

    def _last_steps(self, scores: np.ndarray) -> np.ndarray:
        """First position from `n_neighbors` on where the growth stops."""
        n_queries, most, n_classes = scores.shape
        if n_classes == 1:
            leads = np.full((n_queries, most), np.inf)
        else:
            best = np.partition(scores, n_classes - 2, axis=2)
            first, second = best[:, :, -1], best[:, :, -2]
            with np.errstate(divide="ignore"):
                leads = 100.0 * (first / second - 1.0)
        stops = leads >= self.threshold_
        stops[:, : min(self.n_neighbors, most) - 1] = False
        stops[:, -1] = True
        return stops.argmax(axis=1)


def _rescaled_means(means: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Class means of the first k distances mapped onto [1/k, 1], for every k."""
    floor = 1.0 / np.arange(1, gaps.shape[1] + 1)[None, :, None]
    nearest_gap = gaps[:, :1, None]
    width = (gaps - gaps[:, :1])[:, :, None]
    # The map is linear, so that the mean of mapped distances is the map of
    # their mean.
    relative = np.divide(
        means - nearest_gap,
        width,
        out=np.zeros_like(means),
        where=np.broadcast_to(width > 0.0, means.shape),
    )
    return floor + (1.0 - floor) * np.clip(relative, 0.0, 1.0)
