"""How near two mapped rows are, column by column of the user."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.parallel import one_blas_thread
from knngraph.space import Space

# Nodes that stand for all training rows, and numbers of these that are held.
_TYPICAL_NODES = 2000
_TYPICAL_NUMBERS = 2**23
# What nearness may be by rounding alone, as a share of its terms.
_ROUNDING = 1e-9
# Relative error of a coordinate in single and in double precision, doubled.
_RESOLUTION = {"single": 2.0**-23, "double": 2.0**-52}
# Decimal digits that double precision holds.
_MOST_DIGITS = 15


@dataclass(frozen=True)
class Parts:
    """Mapped rows taken apart, less the mean of the training rows.

    The squared distance of rows a and b is the sum over the coordinates of
    (a.before - b.before) * (a.after - b.after), exactly.

    Parameters
    ----------
    before : ndarray of shape (n, n_coordinates)
        Rows before the linear map L; each coordinate is of one column.
    after : ndarray of shape (n, n_coordinates)
        The same times L L'; without a linear map the same.
    products : ndarray of shape (n, n_coordinates)
        Of both.
    """

    before: np.ndarray
    after: np.ndarray
    products: np.ndarray

    def mixed(self, weights: Any) -> "Parts":
        """Sums of the parts of the rows, by weights of shape (m, n)."""
        return Parts(
            weights @ self.before, weights @ self.after, weights @ self.products
        )


class Columns:
    """Nearness of mapped rows, split over the columns of the user.

    Parameters
    ----------
    space : Space
    training : TrainingSet

    Notes
    -----
    Under a linear map L the squared distance of a query q and a training row v is a
    sum over the columns: with M = L L' and e = q - v::

        d^2 = e'M e = sum_j b_j(q, v),  b_j(q, v) = e_j (M e)_j.

    Column j makes the two near by as much as it puts q and v less apart than q and a
    typical training row t::

        near_j = mean_t b_j(q, t) - b_j(q, v),

    the mean over a random sample of at most 2000 distinct rows, by their weights. The
    sum over j is the mean of d^2(q, t), less d^2(q, v). With the cosine metric it is
    the product that is split: near_j = q_j (v_j - mean_t t_j) over rows of unit length,
    so that a column which is zero at the query has no part.

    The share of a column is max(near_j, 0), divided by the sum over all columns. It is
    zero where a column puts the two farther apart than typical rows. Where every
    column does, or where there is one training row, all columns have equal shares.
    The indicator of a missing value belongs to its column.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inspection.columns import Columns
    >>> from knngraph.space import Space
    >>> rows = np.array([[0.0, 0], [0, 4], [8, 0], [8, 4]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 0, 1, 1]), n_classes=2)
    >>> columns = Columns(Space("euclidean", np.array([10.0, 20.0]), 1.0), training)
    >>> query, voter = columns.parts(rows[:1]), columns.parts(rows[1:2])
    >>> columns.near(query, voter)  # 32 - 0, 8 - 16
    array([[32., -8.]])
    >>> columns.shares(query, voter)
    array([[1., 0.]])
    >>> columns.values(rows[1:2])
    array([[10., 24.]])
    """

    def __init__(self, space: Space, training: TrainingSet) -> None:
        self.space, self.missing = space, space.missing
        points = training.points
        n_indicators = 0 if self.missing is None else len(self.missing.columns)
        self.n_features = points.shape[1] - n_indicators
        n_nodes = min(_TYPICAL_NODES, max(1, _TYPICAL_NUMBERS // points.shape[1]))
        self._inverse = None
        if space.linear is not None:
            with one_blas_thread():
                self._inverse = np.linalg.inv(space.linear)
        self._mean = np.zeros(points.shape[1])
        weights = training.node_weights()[:n_nodes]
        sample = points[:n_nodes].astype(np.float64)
        self._mean = np.average(sample, axis=0, weights=weights)
        products = np.average(self.parts(sample).products, axis=0, weights=weights)
        self._typical = self._by_column(products[None])
        self._power = self._power_of_values(sample)

    def parts(self, mapped: np.ndarray) -> Parts:
        """Take mapped rows, of shape (n, n_coordinates), apart."""
        from_mean = mapped - self._mean
        if self._inverse is None or self.space.linear is None:
            return Parts(from_mean, from_mean, from_mean**2)
        with one_blas_thread():
            before = from_mean @ self._inverse
            after = from_mean @ self.space.linear.T
        return Parts(before, after, before * after)

    def near(self, queries: Parts, rows: Parts) -> np.ndarray:
        """How much every column makes rows near, see `near_j` in the notes.

        Parameters
        ----------
        queries, rows : Parts
            One query, or as many as there are rows.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
        """
        nearness = self.contrast(queries, rows)
        return nearness if self.space.metric == "cosine" else nearness + self._typical

    def contrast(self, queries: Parts, mixed: Parts) -> np.ndarray:
        """Weighted sum of `near` over rows with weights that sum to zero.

        Parameters
        ----------
        queries : Parts
        mixed : Parts
            Sums of the rows by weights; as many as there are queries, or one query.

        Returns
        -------
        ndarray of shape (n, n_features)
        """
        if self.space.metric == "cosine":
            return (queries.before + self._mean) * mixed.before
        terms = queries.before * mixed.after
        terms += queries.after * mixed.before
        terms -= mixed.products
        return self._by_column(terms)

    def shares(self, query: Parts, rows: Parts) -> np.ndarray:
        """Shares of the columns in what makes rows near to a query.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Not negative, each row with the sum one.
        """
        near = self.near(query, rows)
        rounding = _ROUNDING * (np.abs(near).sum(axis=1) + self._typical.sum())
        return as_shares(np.where(near > rounding[:, None], near, 0.0))

    def values(self, mapped: np.ndarray) -> np.ndarray:
        """Mapped rows in the units of the user.

        Returns
        -------
        ndarray of shape (n_rows, n_features)
            Rounded to the digits that the mapped rows hold; NaN where a value was
            missing. Rows of unit length with the cosine metric.
        """
        filled = self._in_units(mapped.astype(np.float64))
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.round(filled * self._power) / self._power
        values = np.where(np.isfinite(rounded), rounded, filled)[:, : self.n_features]
        if self.missing is not None:
            indicators = filled[:, self.n_features :]
            row, place = np.nonzero(indicators > 0.5 * self.missing.sizes)
            values[row, self.missing.columns[place]] = np.nan
        return values

    def _in_units(self, rows: np.ndarray) -> np.ndarray:
        """The columns and the indicators of missing values in the units of the user."""
        if self._inverse is not None:
            with one_blas_thread():
                rows = rows @ self._inverse
        rows = rows * self.space.scale
        return rows if self.space.center is None else rows + self.space.center

    def _by_column(self, terms: np.ndarray) -> np.ndarray:
        """Add the terms of the indicators to those of their columns."""
        by_column = terms[:, : self.n_features]
        if self.missing is not None:
            by_column[:, self.missing.columns] += terms[:, self.n_features :]
        return by_column

    def _power_of_values(self, sample: np.ndarray) -> np.ndarray:
        """The power of ten that is rounded to, of every column, by what it holds."""
        largest = np.abs(sample).max(axis=0)
        if self._inverse is not None:
            largest = largest @ np.abs(self._inverse)
        error = _RESOLUTION[self.space.precision] * largest * self.space.scale
        least = 10.0**-_MOST_DIGITS * np.abs(self._in_units(sample)).max(axis=0)
        error = np.maximum(np.maximum(error, least), np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            return 10.0 ** np.floor(-np.log10(error))


def as_shares(amounts: np.ndarray) -> np.ndarray:
    """Amounts, none negative, over their sum in every row; equal where all are zero.

    Returns
    -------
    ndarray of the shape of `amounts`
    """
    largest = amounts.max(axis=-1, keepdims=True)
    amounts = np.where(largest > 0.0, amounts / np.where(largest > 0, largest, 1), 1.0)
    return amounts / amounts.sum(axis=-1, keepdims=True)
