"""How near two mapped rows are, column by column of the user."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inspection.paths import TreePaths
from knngraph.parallel import one_blas_thread
from knngraph.space import Space

# Nodes that stand for all training rows, and numbers that these may be.
_TYPICAL_NODES = 2000
_MOST_NUMBERS = 2**22
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
    products : ndarray of shape (n, n_features)
        Of both, summed over the coordinates of a column.
    paths : ndarray of shape (n, n_features, n_shares)
        Parts of the columns in the class shares of trees, which are the first
        coordinates; see `TreePaths`. No shares without trees.
    """

    before: np.ndarray
    after: np.ndarray
    products: np.ndarray
    paths: np.ndarray

    def mixed(self, weights: np.ndarray) -> "Parts":
        """Sums of the parts of the rows, by weights of shape (m, n)."""
        return Parts(
            weights @ self.before,
            weights @ self.after,
            weights @ self.products,
            np.tensordot(weights, self.paths, axes=1),
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

    With trees the first coordinates of a row x are shares p(x) of classes, which
    `TreePaths` splits into parts c_j(x), one for every column, by the splits on its
    paths. What they leave of p is spread over the columns by the sizes of their parts.
    Then b_j is summed over the class shares and the coordinate of the column: the
    differences there, c_j(q) - c_j(v) and e_j, times those of M e. So the b_j add up to
    d^2 again. Splits on which the paths of q and v agree change both parts alike: what
    holds them apart are the columns of the splits where they part, and of those after.

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
        self.space, self.missing, self.trees = space, space.missing, space.trees
        points = training.points
        self.n_shares = 0 if self.trees is None else self.trees.n_targets
        n_indicators = 0 if self.missing is None else len(self.missing.columns)
        self.n_features = points.shape[1] - self.n_shares - n_indicators
        self._inverse = None
        if space.linear is not None:
            with one_blas_thread():
                self._inverse = np.linalg.inv(space.linear)
        n_nodes = self.n_within(_TYPICAL_NODES)
        n_sampled = n_nodes
        if self.trees is not None:  # the parts of these are larger than rows
            n_sampled = min(
                _TYPICAL_NODES, max(n_nodes, _MOST_NUMBERS // points.shape[1])
            )
        sample = points[:n_sampled].astype(np.float64)
        typical, weights = sample[:n_nodes], training.node_weights()[:n_nodes]
        self._mean = np.average(typical, axis=0, weights=weights)
        self._power = self._power_of_values(sample)
        self._paths, self._mean_paths = None, np.zeros((self.n_features, self.n_shares))
        if self.trees is not None:
            shares = self._before_map(sample)[:, : self.n_shares]
            self._paths = TreePaths(self.trees, self.values(sample), shares)
        parts = self.parts(typical)
        self._mean_paths = np.average(parts.paths, axis=0, weights=weights)
        # The same of parts less their mean: what they are multiplied by has mean zero.
        self._typical = np.average(parts.products, axis=0, weights=weights)

    def n_within(self, n_rows: int, n_numbers: int = _MOST_NUMBERS) -> int:
        """So many rows, or as many as have parts of so many numbers."""
        return min(n_rows, max(1, n_numbers // (self.n_features * (3 + self.n_shares))))

    def parts(self, mapped: np.ndarray) -> Parts:
        """Take mapped rows, of shape (n, n_coordinates), apart."""
        from_mean = mapped - self._mean
        before, after = self._before_map(from_mean), from_mean
        if self.space.linear is not None:
            with one_blas_thread():
                after = from_mean @ self.space.linear.T
        products = self._by_column(before * after)
        if self._paths is None:
            paths = np.zeros((len(mapped), self.n_features, 0))
        else:
            paths = self._paths.parts(self.values(mapped))
            left = before[:, : self.n_shares] - paths.sum(axis=1)
            of_left = as_shares(np.abs(paths).sum(axis=2))
            paths += of_left[:, :, None] * left[:, None, :] - self._mean_paths
            products += np.einsum("ijk,ik->ij", paths, after[:, : self.n_shares])
        return Parts(before, after, products, paths)

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
        contrast = self._by_column(terms) - mixed.products
        if self.n_shares:
            shares = queries.after[:, : self.n_shares], mixed.after[:, : self.n_shares]
            contrast += np.einsum("...jk,...k->...j", queries.paths, shares[1])
            contrast += np.einsum("...jk,...k->...j", mixed.paths, shares[0])
        return contrast

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
        rows = self._before_map(rows)[:, self.n_shares :] * self._unit
        return rows if self.space.center is None else rows + self.space.center

    def _before_map(self, rows: np.ndarray) -> np.ndarray:
        if self._inverse is None:
            return rows
        with one_blas_thread():
            return rows @ self._inverse

    @property
    def _unit(self) -> float:
        """What a coordinate of the columns is multiplied by in units of the user."""
        weight = 1.0 if self.trees is None else self.trees.column_weight
        return self.space.scale / weight

    def _by_column(self, terms: np.ndarray) -> np.ndarray:
        """Add the terms of the indicators to those of their columns."""
        terms = terms[:, self.n_shares :]
        by_column = terms[:, : self.n_features]
        if self.missing is not None:
            by_column[:, self.missing.columns] += terms[:, self.n_features :]
        return by_column

    def _power_of_values(self, sample: np.ndarray) -> np.ndarray:
        """The power of ten that is rounded to, of every column, by what it holds."""
        largest = np.abs(sample).max(axis=0)
        if self._inverse is not None:
            largest = largest @ np.abs(self._inverse)
        largest = largest[self.n_shares :] * self._unit
        error = _RESOLUTION[self.space.precision] * largest
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
