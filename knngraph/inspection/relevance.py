"""Which columns bring rows of one class together and keep those of others apart."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from knngraph.distances import squared_distances
from knngraph.graph.training_set import TrainingSet
from knngraph.inspection.columns import Columns, as_shares
from knngraph.parallel import chunk_bounds, one_blas_thread
from knngraph.space import Space

# Rows that are looked at, and training rows that their neighbors are among.
_ROWS = 1000
_TRAINING_ROWS = 2000
# Nearest rows of a class of n rows are so many times the root of n: few enough for
# classes that lie in several places, and enough for a mean.
_ROOTS = 2.0
_ROWS_PER_BLOCK = 256
# Bound of the numbers that the parts of the training rows are.
_MOST_NUMBERS = 2**24
# Mean gain of a column that may be rounding alone.
_ROUNDING = 1e-9


def feature_relevance(estimator: Any, X: Any, y: Any = None) -> np.ndarray:
    """Which columns matter for the answers to some rows.

    Parameters
    ----------
    estimator : object
        A fitted `KNNGraphClassifier` or `KNNGraphClassifierCV`.
    X : {array-like, sparse matrix} of shape (n_rows, n_features)
    y : array-like of shape (n_rows,) or None, default=None
        Classes of the rows, of those in `classes_`. None takes the predicted ones.

    Returns
    -------
    ndarray of shape (n_features,)
        Not negative, with the sum one. Equal where no column tells classes apart.

    Notes
    -----
    This is ReliefF, with the squared distance of the estimator in the place of the
    difference: every row is compared with the nearest training rows of its class and
    with the nearest of every other class, 2 sqrt(n) of the n that a class has. Column j
    gains by what it puts the row farther apart from other classes than from its own,

        r_j = sum_c p_c mean_{v of class c} b_j(x, v) - mean_{v of its own} b_j(x, v),

    where b_j is the part of the column in the squared distance, see
    `knngraph.inspection.columns.Columns`, and p_c the share of class c among the
    training rows of other classes. As the part of typical rows cancels, this is also
    the nearness of right voters less that of wrong ones. Every row counts the
    same: its r is divided by the sum of both mean squared distances. The relevance is
    max(mean r_j, 0), over the sum of these. As rows are compared in their
    neighborhoods, columns that matter only together (exclusive or) are found too.

    `feature_relevance_` is that of the training rows, 1000 at most, each left
    out, with the given labels. Neighbors are among 2000 random training rows.

    References
    ----------
    I. Kononenko (1994), "Estimating attributes: analysis and extensions of RELIEF",
    ECML, 171-182.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.inspection import feature_relevance
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True, as_frame=True)
    >>> classifier = KNNGraphClassifier(random_state=0).fit(X, y)
    >>> relevance = feature_relevance(classifier, X[50:], y[50:])
    >>> X.columns[relevance.argmax()]
    'petal length (cm)'
    """
    check_is_fitted(estimator)
    X = estimator._checked_queries(X)
    given = estimator.predict(X) if y is None else np.asarray(y)
    codes = np.searchsorted(estimator.classes_, given)
    codes = np.minimum(codes, len(estimator.classes_) - 1)
    if given.shape != X.shape[:1] or (estimator.classes_[codes] != given).any():
        raise ValueError(
            "y must hold a class of `classes_` for every row of X, or be None."
        )
    model = estimator._model
    rows = model.space.map_rows(X)
    pool = _Pool(model.space, model.training)
    return _relevance(pool, rows, codes, np.ones(len(rows)))


def relevance_of_training_rows(space: Space, training: TrainingSet) -> np.ndarray:
    """Relevance of the columns for the training rows, each left out.

    Returns
    -------
    ndarray of shape (n_features,)
        See `feature_relevance`.
    """
    # The first pairs lie on the first nodes, which are a random sample.
    some = slice(_ROWS)
    return _relevance(
        _Pool(space, training),
        training.points[training.pair_node[some]],
        training.pair_code[some],
        training.pair_weight[some],
        left_out=True,
    )


class _Pool:
    """A random sample of the training pairs, taken apart by columns."""

    def __init__(self, space: Space, training: TrainingSet) -> None:
        self.columns = Columns(space, training)
        n_pairs = self.columns.n_within(_TRAINING_ROWS, _MOST_NUMBERS)
        self.points = training.points[training.pair_node[:n_pairs]]
        self.codes = training.pair_code[:n_pairs]
        self.parts = self.columns.parts(self.points)
        weights = training.pair_weight[:n_pairs]
        self.class_weights = np.bincount(self.codes, weights, training.n_classes)

    def __len__(self) -> int:
        return len(self.codes)

    def contrast(
        self, rows: np.ndarray, codes: np.ndarray, left_out: np.ndarray
    ) -> np.ndarray:
        """What the columns put rows farther from other classes than from their own.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_coordinates)
            Mapped.
        codes : ndarray of shape (n_rows,)
        left_out : ndarray of shape (n_rows,)
            Place in the pool that is not compared, -1 for none.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Over the mean squared distances; zeros for rows without both kinds.
        """
        squared = squared_distances(rows, self.points)
        absent = np.flatnonzero(left_out >= 0)
        squared[absent, left_out[absent]] = np.inf
        weights = self._weights_of_nearest(squared, codes)
        distance = np.zeros(len(rows))
        row, place = np.nonzero(weights)
        np.add.at(distance, row, np.abs(weights[row, place]) * squared[row, place])
        nearest = self.parts.mixed(weights)
        contrast = self.columns.contrast(self.columns.parts(rows), nearest)
        differ = (distance > 0.0)[:, None]
        return np.where(differ, contrast, 0.0) / np.where(
            differ, distance[:, None], 1.0
        )

    def _weights_of_nearest(self, squared: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Weights of the pool at every row: one over its class, less one over others.

        Zeros where a row has no other one of its class, or of another class.
        """
        weights = np.zeros(squared.shape)
        others = self.class_weights.sum() - self.class_weights[codes]
        for code in np.unique(self.codes):
            of_class = np.flatnonzero(self.codes == code)
            n_nearest = min(round(_ROOTS * np.sqrt(len(of_class))), len(of_class))
            among = squared[:, of_class]
            nearest = np.argpartition(among, n_nearest - 1, axis=1)[:, :n_nearest]
            there = np.isfinite(np.take_along_axis(among, nearest, axis=1))
            # Only a row left out is infinitely far, and only from its own class.
            share = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
            factor = -self.class_weights[code] / np.where(others > 0.0, others, 1.0)
            factor[codes == code] = 1.0
            np.put_along_axis(weights, of_class[nearest], factor[:, None] * share, 1)
        both = (weights > 0.0).any(axis=1) & (weights < 0.0).any(axis=1)
        weights[~both] = 0.0
        return weights


def _relevance(
    pool: _Pool,
    rows: np.ndarray,
    codes: np.ndarray,
    row_weights: np.ndarray,
    *,
    left_out: bool = False,
) -> np.ndarray:
    total = np.zeros(1)
    for start, stop in chunk_bounds(len(rows), pool.columns.n_within(_ROWS_PER_BLOCK)):
        block, absent = slice(start, stop), np.arange(start, stop)
        absent[(absent >= len(pool)) | (not left_out)] = -1
        with one_blas_thread():  # the same bits on any number of cores
            contrast = pool.contrast(rows[block], codes[block], absent)
            total = total + row_weights[block] @ contrast
    # Some columns gain by rounding alone.
    total = np.where(total > _ROUNDING * row_weights.sum(), total, 0.0)
    return as_shares(total)
