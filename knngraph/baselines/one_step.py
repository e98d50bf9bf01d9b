"""One-step kNN: a group lasso weighs all training rows for a query in one solve."""

import warnings
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import (
    TUNED,
    BaselineClassifier,
    NeighborCountMixin,
    tune,
)
from knngraph.baselines._neighbors import count_votes, distances, inverse_shares
from knngraph.exceptions import KNNGraphWarning

_POWERS = (1.0, 0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)
_GRIDS = {"alpha": _POWERS, "beta": _POWERS}
_LEAST_MEMBERSHIP = 0.01
_MOST_ROUNDS = 100  # of fuzzy c-means
# Rounding of a weight, as a share of the largest: rows that are equal must not
# end on different sides of their mean.
_ROUNDING = 1e-12


@dataclass(kw_only=True, eq=False, repr=False)
class OneStepKNNClassifier(NeighborCountMixin, BaselineClassifier):
    """One-step k nearest neighbors by reweighted group lasso.

    Parameters
    ----------
    alpha : float or "cv", default=1.0
        Weight of the l2,1 norm. "cv" compares the powers of ten from 0.001 to
        1000.
    beta : float or "cv", default=1.0
        Weight of the exclusive group lasso. "cv" compares the same powers.
    n_groups : int, default=2
        Fuzzy groups of training rows.
    %(cv)s
    %(n_jobs)s
    random_state : int, RandomState instance or None, default=None
        Shuffles the rows over the folds and starts the fuzzy groups.

    Attributes
    ----------
    alpha_, beta_ : float
        Weights in use.
    projection_ : ndarray of shape (n_samples, n_features)
        The matrix B that turns a query into the weights of the rows.
    memberships_ : ndarray of shape (n_samples, n_groups)
        How much each row belongs to each group.
    group_sizes_ : ndarray of shape (n_groups,)
        Rows of each group; groups overlap.
    class_prior_ : ndarray of shape (n_classes,)
        Share of each class among the training rows.
    %(fitted)s

    Warns
    -----
    KNNGraphWarning
        If the penalties are so small that the solve loses its digits.

    Notes
    -----
    The objective of the source, for m test rows as the rows of Q at once, is::

        min over W:  ||Q' - X' W||_F^2 + alpha ||W||_{2,1}
                     + beta sum over groups g of (sum over i in g of |W_i|)^2,

    with ``|W_i|`` the absolute sum of row i of W. The authors' program makes one
    step of reweighting from a random start::

        W = (X X' + alpha N + beta F)^{-1} X Q',

    with diagonal N and F that depend on the start and on the test rows given
    together. The answer for a row then depends on chance and on its company.
    Here the start is W = 1 for a single test row, which gives::

        N_ii = sqrt(n),   F_ii = f_i = sum of the sizes of the groups of i,
        w(q) = B q,  B = (X X' + diag(alpha sqrt(n) + beta f))^{-1} X.

    B is solved for once, at fit, and holds for every query there can be: one
    product answers all rows of a call, and each answer is that of the row
    alone. Then::

        w_i <- 0 where w_i < mean(w),   s_c = sum of w_i with y_i = c,
        p_c(q) = max(s_c, 0) / sum of max(s, 0);

    the number of weights left is the k of the query. With the random start and
    m test rows N would be about 2 sqrt(n / (3 m)): a published alpha acts like
    2 alpha / sqrt(3 m) here.

    Groups are those of fuzzy c-means, fuzzifier 2; a row is in every group where
    its membership exceeds 0.01, most often all of them, and f_i = n_groups * n
    then. The authors' program adds up the weights of wrong rows, by position
    among the weights left; here it is by row. It answers the first class where
    no weight is left; here the shares of the classes in the training data
    answer. Where weights are left but no class has a positive sum, the classes
    of the largest sum share the score. No default of alpha and beta is
    published; 1 is chosen.

    The weights are made of inner products: shifting the data changes the
    answer. Rows should have unit length or be centered on purpose. Sums over
    classes favor large classes.

    Fitting costs O(n d^2 + d^3) for d < n, else O(n^3 + n^2 d) time and n^2
    numbers, too much for many rows of more features; the published program
    needs O(n^3 + n^2 m) for every batch of m test rows. Predicting costs O(n d)
    a query.

    References
    ----------
    Zhang and Li (2023), "KNN classification with one-step computation", IEEE
    Transactions on Knowledge and Data Engineering 35, 2711-2723,
    arXiv:2012.06047.

    Examples
    --------
    >>> from knngraph import OneStepKNNClassifier
    >>> X = [[-3.0], [-1.0], [1.0], [2.0]]
    >>> y = [1, 1, 0, 0]
    >>> model = OneStepKNNClassifier(alpha=0.5, beta=0.25, n_groups=1).fit(X, y)
    >>> model.predict([[1.0]]), model.n_neighbors_used([[1.0]])
    (array([0]), array([2]))
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"cv"})],
        "beta": [Interval(Real, 0, None, closed="left"), StrOptions({"cv"})],
        "n_groups": [Interval(Integral, 1, None, closed="left")],
        **TUNED,
    }

    alpha: Any = 1.0
    beta: Any = 1.0
    n_groups: int = 2
    cv: Any = 5
    n_jobs: int | None = None
    random_state: Any = None

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        settings = tune(self, _GRIDS, X, codes)
        self.alpha_ = float(settings["alpha"])
        self.beta_ = float(settings["beta"])
        if self.alpha_ == 0.0 and self.beta_ == 0.0:
            raise ValueError(
                "alpha=0 and beta=0 leave nothing to solve for; make one of them "
                "positive."
            )
        self.class_prior_ = np.bincount(codes) / codes.size
        generator = check_random_state(self.random_state)
        n_groups = min(self.n_groups, X.shape[0])
        self.memberships_ = fuzzy_memberships(X, n_groups, generator)
        belongs = self.memberships_ > _LEAST_MEMBERSHIP
        self.group_sizes_ = belongs.sum(axis=0)
        penalties = self.alpha_ * np.sqrt(X.shape[0]) + self.beta_ * (
            belongs @ self.group_sizes_
        )
        if penalties.min() < _ROUNDING * np.einsum("ij,ij->", X, X):
            warnings.warn(
                f"alpha={self.alpha_} and beta={self.beta_} are next to nothing for "
                "data of this size; make one of them larger, or scale the rows to "
                "unit length.",
                KNNGraphWarning,
                stacklevel=4,
            )
        try:
            self.projection_ = solve_projection(X, penalties)
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"alpha={self.alpha_} and beta={self.beta_} are too small to solve "
                "for these data; make one of them larger, or scale the rows to unit "
                "length."
            ) from error

    def _count_neighbors(self, queries: np.ndarray) -> np.ndarray:
        return np.count_nonzero(self._weigh(queries), axis=1)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        weights = self._weigh(queries)
        codes = np.broadcast_to(self._codes, weights.shape)
        sums = count_votes(codes, weights, self._n_classes)
        positive = np.maximum(sums, 0.0)
        positive = np.where(
            positive.any(axis=1, keepdims=True),
            positive,
            sums == sums.max(axis=1, keepdims=True),
        )
        positive = np.where(
            weights.any(axis=1, keepdims=True), positive, self.class_prior_
        )
        return positive / positive.sum(axis=1, keepdims=True)

    def _weigh(self, queries: np.ndarray) -> np.ndarray:
        """Weights of the training rows, shape (n_queries, n_samples)."""
        # Query by query: one product for the whole block could round a row
        # differently in different company.
        weights = np.stack([self.projection_ @ query for query in queries])
        slack = _ROUNDING * np.abs(weights).max(axis=1, keepdims=True)
        below = weights < weights.mean(axis=1, keepdims=True) - slack
        weights[below] = 0.0
        return weights


def solve_projection(X: np.ndarray, penalties: np.ndarray) -> np.ndarray:
    """The matrix (X X' + diag(penalties))^{-1} X, by the smaller of two systems.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    penalties : ndarray of shape (n_samples,)
        Positive.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
    """
    n_samples, n_features = X.shape
    if n_samples <= n_features:
        return cho_solve(cho_factor(X @ X.T + np.diag(penalties)), X)
    scaled = X / penalties[:, None]
    system = np.eye(n_features) + X.T @ scaled
    return np.ascontiguousarray(cho_solve(cho_factor(system), scaled.T).T)


def fuzzy_memberships(
    X: np.ndarray, n_groups: int, generator: np.random.RandomState
) -> np.ndarray:
    """Memberships of rows in groups, by fuzzy c-means with fuzzifier 2.

    The generator draws the memberships to start from. The rounds end when no
    membership moves by more than 1e-5.

    Returns
    -------
    ndarray of shape (n_samples, n_groups)
        Rows sum to one.
    """
    memberships = generator.uniform(size=(X.shape[0], n_groups))
    memberships /= memberships.sum(axis=1, keepdims=True)
    centers = np.zeros((n_groups, X.shape[1]))
    for _ in range(_MOST_ROUNDS):
        previous = memberships
        strengths = previous**2
        totals = strengths.sum(axis=0)[:, None]
        # A group that lost all its rows, as copies can bring about, stays put.
        np.divide(strengths.T @ X, totals, out=centers, where=totals > 0.0)
        memberships = inverse_shares(distances(X, centers), 2)
        if np.abs(memberships - previous).max() <= 1e-5:
            break
    return memberships
