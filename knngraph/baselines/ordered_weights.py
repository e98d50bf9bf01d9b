"""OWARIM-FKNN: fuzzy neighbors around ordered weighted averages of each class."""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from knngraph.baselines._base import TUNED, BaselineClassifier, tune
from knngraph.baselines._neighbors import inverse_shares, nearest

_GRIDS = {"n_neighbors": (10, 1, 3, 5, 15, 20), "alpha": (0.5, 0.25, 1.0, 2.0)}


@dataclass(kw_only=True, eq=False, repr=False)
class OWAKNNClassifier(BaselineClassifier):
    """Fuzzy k nearest neighbors with ordered weighted averaging.

    Parameters
    ----------
    n_neighbors : int or "cv", default=10
        Neighbors taken from each class; a smaller class gives all its rows.
        "cv" compares 1, 3, 5, 10, 15 and 20.
    alpha : float or "cv", default=0.5
        Exponent of the quantifier. Below one the larger coordinates and the
        nearer averages count more, at one all count the same. "cv" compares
        0.25, 0.5, 1 and 2.
    m : float, default=2.0
        Fuzzy strength, above one; the nearer to one, the harder the scores.
    %(cv)s
    %(n_jobs)s
    %(random_state)s

    Attributes
    ----------
    n_neighbors_ : int
        Neighbors of each class in use.
    alpha_ : float
        Exponent in use.
    n_neighbors_per_class_ : ndarray of shape (n_classes,)
        The smaller of `n_neighbors_` and the rows of the class.
    class_counts_ : ndarray of shape (n_classes,)
        Training rows of each class.
    %(fitted)s

    Notes
    -----
    The quantifier Q(r) = r^alpha gives the weights of s ordered things::

        w_t = (t/s)^alpha - ((t-1)/s)^alpha,  t = 1..s.

    For each class, with x_(1), x_(2), ... its rows by distance from the query q
    and k the neighbors taken from it::

        v_j = for each feature, the weighted average of x_(1)..x_(j) in
              descending order of that feature, j = 1..k,
        D_c = sum over j of w_j ||q - v_j||^2,  j in the order of the neighbors,
        p_c(q) proportional to D_c^(-1/(m-1)).

    The source tunes k and alpha on a grid that is not known; the defaults are
    those of the authors' examples. Their program replaces the infinite weight
    of D_c = 0 by one, so that another class can win; here the classes with
    D_c = 0 share the score equally. Their program also keeps the k of a small
    class for all later classes and queries; here it ends with that class.

    The averages sort signed values: the rule follows shifts and positive scales
    of the data, but x and -x are not treated alike unless alpha is one.

    Predicting costs O(n d) plus O(k^2 d) for every class, a query.

    References
    ----------
    Kumbure and others (2025), "Ordered weighted averaging with RIM
    based fuzzy k-nearest neighbor classifier", Expert Systems with Applications
    282, 127795.

    Yager (1996), "Quantifier guided aggregation using OWA operators",
    International Journal of Intelligent Systems 11, 49-73.

    Examples
    --------
    >>> from knngraph import OWAKNNClassifier
    >>> X = [[1.0], [3.0], [4.0], [7.0], [8.0], [12.0]]
    >>> y = [0, 0, 0, 1, 1, 1]
    >>> model = OWAKNNClassifier(n_neighbors=3, alpha=0.5).fit(X, y)
    >>> model.predict_proba([[5.0]]).round(4)
    array([[0.8502, 0.1498]])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaselineClassifier._parameter_constraints,
        "n_neighbors": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"cv"}),
        ],
        "alpha": [Interval(Real, 0, None, closed="neither"), StrOptions({"cv"})],
        "m": [Interval(Real, 1, None, closed="neither")],
        **TUNED,
    }

    n_neighbors: Any = 10
    alpha: Any = 0.5
    m: float = 2.0
    cv: Any = 5
    n_jobs: int | None = None
    random_state: Any = None

    def decision_distances(self, X: Any) -> np.ndarray:
        """Weighted squared distance D of each query to each class.

        Parameters
        ----------
        X : array-like of shape (n_queries, n_features)

        Returns
        -------
        ndarray of shape (n_queries, n_classes)
            The class of the smallest value is predicted.
        """
        return self._map_queries(self._class_distances, X)

    def _learn(self, X: np.ndarray, codes: np.ndarray) -> None:
        settings = tune(self, _GRIDS, X, codes)
        self.n_neighbors_ = int(settings["n_neighbors"])
        self.alpha_ = float(settings["alpha"])
        self.class_counts_ = np.bincount(codes, minlength=self._n_classes)
        self.n_neighbors_per_class_ = np.minimum(self.n_neighbors_, self.class_counts_)
        self._rows_of_class = [X[codes == c] for c in range(self._n_classes)]
        longest = int(self.n_neighbors_per_class_.max())
        self._weights = weight_table(longest, self.alpha_)

    def _class_scores(self, queries: np.ndarray) -> np.ndarray:
        return inverse_shares(self._class_distances(queries), 1.0 / (self.m - 1.0))

    def _class_distances(self, queries: np.ndarray) -> np.ndarray:
        # Imported here: only a prediction needs numba.
        from knngraph.baselines._ordered_kernel import average_distances

        squared = np.empty((queries.shape[0], self._n_classes))
        for c, rows in enumerate(self._rows_of_class):
            k = int(self.n_neighbors_per_class_[c])
            ids, _ = nearest(queries, rows, k)
            squared[:, c] = average_distances(queries, rows, ids, self._weights)
        return squared


def weight_table(longest: int, alpha: float) -> np.ndarray:
    """Quantifier weights of every length up to the longest.

    Returns
    -------
    ndarray of shape (longest + 1, longest)
        Row s starts with the s weights of that length.
    """
    table = np.zeros((longest + 1, longest))
    for length in range(1, longest + 1):
        steps = (np.arange(length + 1) / length) ** alpha
        table[length, :length] = np.diff(steps)
    return table
