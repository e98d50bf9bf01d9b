"""Missing values: the median of a column, and a column that says where it is missing.

A missing value becomes the median of the present values of its column. For every
column with missing values at fit, another one is appended to the rows: zero where the
value is present, and the spread of the column where it is missing. So a row without a
value is as far from a row with one, in the mean, as two rows with one are from each
other, and two rows without are as near in this column as copies.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.sparse_rows import as_dense, is_sparse
from knngraph.weights import middle_values

_BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Missing:
    """What stands in the place of missing values (NaN).

    Parameters
    ----------
    medians : ndarray of shape (n_features,), float64
        Of the present values.
    columns : ndarray of shape (n_indicators,), intp
        Those with missing values at fit.
    sizes : ndarray of shape (n_indicators,), float64
        What their indicators hold where a value is missing: the root of the mean
        squared distance of the present values from their median.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.missing import fit_missing
    >>> missing, _ = fit_missing(np.array([[1.0, 5], [3.0, 4], [np.nan, 7], [5.0, 7]]))
    >>> missing.filled(np.array([[1.0, 4.0], [np.nan, np.nan]])).round(3).tolist()
    [[1.0, 4.0, 0.0], [3.0, 5.0, 1.633]]
    """

    medians: np.ndarray
    columns: np.ndarray
    sizes: np.ndarray

    def filled(self, rows: np.ndarray) -> np.ndarray:
        """Rows without missing values, and their indicators.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_features)

        Returns
        -------
        ndarray of shape (n_rows, n_features + n_indicators)
            The same object where nothing is missing, at fit or here.
        """
        if not len(self.columns) and not has_missing(rows):
            return rows
        n_rows, n_features = rows.shape
        filled = np.empty((n_rows, n_features + len(self.columns)))
        values, indicators = filled[:, :n_features], filled[:, n_features:]
        values[:] = rows
        missing = np.isnan(values)
        np.copyto(values, self.medians, where=missing)
        indicators[:] = np.where(missing[:, self.columns], self.sizes, 0.0)
        return filled


def has_missing(rows: np.ndarray) -> bool:
    """Whether a number is NaN."""
    # The minimum is NaN then, and needs no array for an answer to every number.
    return rows.dtype.kind == "f" and rows.size > 0 and bool(np.isnan(rows.min()))


def with_nan(X: Any) -> Any:
    """The same with NaN for NA and None among objects."""
    if isinstance(X, list):
        try:
            table = np.asarray(X)
        except ValueError:
            return X  # lists of different lengths
        X = table if table.dtype.kind == "O" else X
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return X
    if isinstance(X, pandas.DataFrame) and "object" in map(str, X.dtypes):
        return X.mask(X.isna(), np.nan)
    if isinstance(X, np.ndarray) and X.dtype.kind == "O":
        return np.where(pandas.isna(X), np.nan, X)
    return X


def columns_with_missing(X: Any) -> np.ndarray:
    """Columns with NaN, ascending.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    """
    if not has_missing(X.data if is_sparse(X) else X):
        return np.empty(0, dtype=np.intp)
    if not is_sparse(X):
        return np.flatnonzero(np.isnan(X.min(axis=0)))
    return np.unique(X.indices[np.isnan(X.data)]).astype(np.intp)


def columns_without_values(X: Any) -> np.ndarray:
    """Columns in which every value is missing, ascending.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    """
    if is_sparse(X):
        missing = X.indices[np.isnan(X.data)].astype(np.intp)
        columns, n_missing = np.unique(missing, return_counts=True)
    else:
        columns = columns_with_missing(X)
        n_missing = np.isnan(X[:, columns]).sum(axis=0)
    return columns[n_missing == X.shape[0]]


def fit_missing(
    X: Any, weights: np.ndarray | None = None
) -> tuple[Missing, np.ndarray]:
    """Find what stands for missing values in the training rows.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
        With one value at least in every column.
    weights : ndarray of shape (n_rows,) or None, default=None
        Of the rows; None where every row weighs one.

    Returns
    -------
    missing : Missing
    center : ndarray of shape (n_features + n_indicators,)
        Medians of the rows that it fills: those of the present values, which stay
        what they are when they are filled in, and those of the indicators.
    """
    columns = columns_with_missing(X)
    medians = column_medians(X, weights)
    X = X.tocsc() if is_sparse(X) and len(columns) else X
    for column in columns:
        medians[column] = _median(*_present(X, column, weights))
    sizes = _spreads(X, columns, medians, weights)
    if not sizes.all():
        # All present values are the same: the indicator is as large as another column.
        spreads = _spreads(X, range(X.shape[1]), medians, weights)
        spreads = np.sort(spreads[spreads > 0.0])
        sizes[sizes == 0.0] = spreads[(len(spreads) - 1) // 2] if len(spreads) else 1.0
    missing = Missing(medians, columns, sizes)
    if not len(columns):
        return missing, medians
    often = [
        _median(np.isnan(_column(X, column)).astype(np.float64), weights)
        for column in columns
    ]
    return missing, np.concatenate([medians, sizes * often])


def column_medians(X: Any, weights: np.ndarray | None = None) -> np.ndarray:
    """Median of every column without NaN.

    The middle element, not the mean of two: always a number the column holds, so that
    integers stay integers and nothing overflows.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    weights : ndarray of shape (n_rows,) or None
        None where every row weighs one.
    """
    medians = np.zeros(X.shape[1], dtype=np.float64)
    if is_sparse(X):
        # Where more than half of a column is zero, so is the median.
        weight = np.ones(X.shape[0]) if weights is None else weights
        stored = np.bincount(
            X.indices, np.repeat(weight, np.diff(X.indptr)), X.shape[1]
        )
        X = X.tocsc()
        for place in np.flatnonzero(2.1 * stored > weight.sum()).tolist():
            medians[place] = _median(_column(X, place), weights)
        return medians
    if weights is not None:
        for place, column in enumerate(X.T):
            medians[place] = _median(column, weights)
        return medians
    width = max(1, _BLOCK_BYTES // (8 * X.shape[0]))
    for start in range(0, X.shape[1], width):
        # A copy even where the transpose is contiguous: it is sorted in place.
        columns = np.array(X[:, start : start + width].T, order="C")
        middle = (X.shape[0] - 1) // 2
        columns.partition(middle, axis=1)
        medians[start : start + width] = columns[:, middle]
    return medians


def _column(X: Any, column: int) -> np.ndarray:
    if is_sparse(X):
        return as_dense(X[:, [column]])[:, 0]
    return np.asarray(X[:, column])


def _present(
    X: Any, column: int, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray | None]:
    values = _column(X, column)
    there = ~np.isnan(values)
    return values[there], None if weights is None else weights[there]


def _median(values: np.ndarray, weights: np.ndarray | None) -> float:
    if weights is not None:
        return middle_values(values, weights)[0]
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])


def _spreads(
    X: Any,
    columns: Iterable[int],
    medians: np.ndarray,
    weights: np.ndarray | None,
) -> np.ndarray:
    spreads = [
        _spread(*_present(X, column, weights), medians[column]) for column in columns
    ]
    return np.array(spreads, dtype=np.float64)


def _spread(values: np.ndarray, weights: np.ndarray | None, median: float) -> float:
    """Root of the mean squared distance from the median.

    The sum runs over distinct values, ascending: it depends on no order of the rows,
    and copies of a row add to it what their weight would.
    """
    if weights is None:
        values, counts = np.unique(values, return_counts=True)
    else:
        order = np.lexsort((weights, values))
        values, starts = np.unique(values[order], return_index=True)
        counts = np.add.reduceat(weights[order], starts)
    # Halves and shares of the largest one: no square and no difference overflows.
    away = 0.5 * values.astype(np.float64) - 0.5 * median
    largest = float(np.abs(away).max())
    if largest == 0.0:
        return 0.0
    mean = np.average((away / largest) ** 2, weights=counts)
    return min(2.0 * largest * float(np.sqrt(mean)), float(np.finfo(np.float64).max))
