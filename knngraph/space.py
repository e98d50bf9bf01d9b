"""From the user's rows to the Euclidean rows that everything else sees.

The index holds single precision. Data far from the origin would lose its digits
there, so rows are centered and scaled in double precision first. The scale is a
power of two: it costs no accuracy and keeps squares of tiny or huge data inside
the range of single precision. Where single precision is not enough all the same
(see `knngraph.graph.precision`), rows stay double and are not centered: they are
compared by the digits that the user gave.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.weights import middle_values

# Largest dense copy of sparse training rows that `fit` makes.
DENSE_BYTES_LIMIT = 4 * 2**30
# Mapped coordinates stay within these, so that squared distances stay finite.
LARGEST_COORDINATE = 2.0**50
LARGEST_IN_DOUBLE = 2.0**500
# Squares of data of this size in binary orders are safe in single precision.
_EXPONENT_LEFT_ALONE = 30
_BLOCK_BYTES = 32 * 2**20
# Rows are mapped in pieces that stay in the cache of a core.
_CACHED_NUMBERS = 32768


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse array or matrix of scipy, which need not be loaded."""
    return hasattr(X, "tocsr")


@dataclass(frozen=True)
class Space:
    """The map from user rows to index rows.

    Parameters
    ----------
    metric : {"euclidean", "cosine", "learned"}
        With "cosine" rows are brought to unit length, where half the squared
        Euclidean distance is one minus the cosine. A row of zeros stays a row
        of zeros, at distance one from every unit row.
    center : ndarray of shape (n_features,) or None
        Subtracted first (Euclidean metric on dense data).
    scale : float
        A power of two; mapped distance times `scale` is distance in the units
        of the user.
    linear : ndarray of shape (n_features, n_features) or None
        With "learned", the map that follows.
    precision : {"single", "double"}, default="single"
        Of the mapped rows.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.space import fit_space
    >>> X = np.array([[1e8, 0.0], [1e8 + 1, 0.0], [1e8 + 2, 4.0]])
    >>> space = fit_space(X, "euclidean")
    >>> (space.map_rows(X) * space.scale).tolist()
    [[-1.0, 0.0], [0.0, 0.0], [1.0, 4.0]]
    """

    metric: str
    center: np.ndarray | None
    scale: float
    linear: np.ndarray | None = None
    precision: str = "single"

    @property
    def dtype(self) -> np.dtype:
        """Type of the mapped rows, float32 or float64."""
        return np.dtype(np.float32 if self.precision == "single" else np.float64)

    def in_double(self) -> "Space":
        """The same map with all digits of the user's rows."""
        return replace(self, center=None, precision="double")

    def map_rows(self, X: Any) -> np.ndarray:
        """Map rows in blocks of bounded memory.

        Parameters
        ----------
        X : ndarray or CSR of shape (n_rows, n_features)
            Finite numbers. What is farther away than distances can hold is moved
            to the largest coordinate.

        Returns
        -------
        ndarray of shape (n_rows, n_features), of `dtype`, C-contiguous
        """
        rows = np.empty(X.shape, dtype=self.dtype)
        for start, stop in self.blocks(X):
            self.map_block(X[start:stop], out=rows[start:stop])
        return rows

    def blocks(self, X: Any, largest: int | None = None) -> list[tuple[int, int]]:
        """Row ranges whose double-precision copy stays near 32 MiB."""
        size = max(1, _BLOCK_BYTES // (8 * max(1, X.shape[1])))
        size = size if largest is None else min(size, largest)
        return [(i, min(i + size, X.shape[0])) for i in range(0, X.shape[0], size)]

    def map_block(self, block: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Map one block of rows; see `map_rows`."""
        dense = block.toarray() if is_sparse(block) else block
        if out is None:
            out = np.empty(dense.shape, dtype=self.dtype)
        step = max(1, _CACHED_NUMBERS // max(1, dense.shape[1]))
        limit = LARGEST_COORDINATE if self.precision == "single" else LARGEST_IN_DOUBLE
        if self.center is not None and self.scale == 1.0 and self.linear is None:
            within = self._subtract_center(dense, out, step, limit)
        else:
            within = True
            for start in range(0, dense.shape[0], step):
                piece, mapped = dense[start : start + step], out[start : start + step]
                if self.metric == "cosine":
                    mapped[:] = _unit_rows(piece)
                else:
                    self._map_piece(piece, mapped)
                within &= _is_within(mapped, limit)
        if not within:
            np.clip(out, -limit, limit, out=out)
        return out

    def _subtract_center(
        self, dense: np.ndarray, out: np.ndarray, step: int, limit: float
    ) -> bool:
        # The difference of two float32 numbers is rounded once, just as it is
        # on its way through double precision.
        single = out.dtype == np.float32 and self._single_precision_is_exact(
            dense.dtype
        )
        dtype = np.float32 if single else np.float64
        # One center for every row of a piece: the subtraction runs over the whole
        # piece at once, which is a third faster than row by row.
        centers = np.empty((min(step, dense.shape[0]), dense.shape[1]), dtype=dtype)
        centers[:] = self.center
        difference = np.empty_like(centers)
        within = True
        with np.errstate(over="ignore"):
            for start in range(0, dense.shape[0], step):
                piece, mapped = dense[start : start + step], out[start : start + step]
                target = mapped if single else difference[: len(piece)]
                if piece.dtype != dtype:
                    target[:] = piece
                    piece = target
                np.subtract(piece, centers[: len(piece)], out=target)
                if not single:
                    mapped[:] = target
                within &= _is_within(mapped, limit)  # while it is in the cache
        return within

    def _map_piece(self, piece: np.ndarray, out: np.ndarray) -> None:
        with np.errstate(over="ignore"):
            if self.linear is not None:
                self._map_linearly(piece, out)
                return
            centered = piece if self.center is None else piece - self.center
            np.multiply(centered, 1.0 / self.scale, out=out, casting="unsafe")

    def _map_linearly(self, piece: np.ndarray, out: np.ndarray) -> None:
        from knngraph._project import project

        rows = piece.astype(np.float64, order="C")  # compiled for no other order
        if self.center is not None:
            rows -= self.center
        rows *= 1.0 / self.scale
        if not _is_within(rows, LARGEST_IN_DOUBLE):
            np.clip(rows, -LARGEST_IN_DOUBLE, LARGEST_IN_DOUBLE, out=rows)
        project(rows, self.linear, out)

    def _single_precision_is_exact(self, dtype: np.dtype) -> bool:
        if not np.can_cast(dtype, np.float32):
            return False
        center = self.center
        with np.errstate(over="ignore"):  # what is infinite then is not exact
            return center is None or bool((center.astype(np.float32) == center).all())


def fit_space(
    X: Any,
    metric: str,
    precision: str = "single",
    weights: np.ndarray | None = None,
) -> Space:
    """Choose center and scale from the training rows.

    The center is the median of every column. The scale is one, unless the data
    is tiny or huge: then it is the power of two nearest to the median size of a
    centered row. Neither follows a few isolated rows. Sparse data keep their
    zeros where they are, and data in double precision all digits.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    metric : {"euclidean", "cosine"}
    precision : {"single", "double"}, default="single"
        Single precision becomes double where squared distances would leave its
        range.
    weights : ndarray of shape (n_rows,) or None, default=None
        Of the rows, in both medians; None where every row weighs one.
    """
    if is_sparse(X):
        _check_dense_size(X, 4 if precision == "single" else 8)
    if metric == "cosine":
        return Space(metric, None, 1.0, precision=precision)
    if precision == "double":
        return Space(
            metric,
            None,
            power_of_two_near(row_sizes(X, None), weights),
            precision=precision,
        )
    center = None if is_sparse(X) else _column_medians(X, weights)
    sizes = row_sizes(X, center)
    scale = power_of_two_near(sizes, weights)
    if not sizes.max(initial=0.0) < LARGEST_COORDINATE * scale:
        return fit_space(X, metric, "double", weights)
    return Space(metric, center, scale)


def _check_dense_size(X: Any, n_bytes_each: int) -> None:
    n_bytes = n_bytes_each * X.shape[0] * X.shape[1]
    if n_bytes > DENSE_BYTES_LIMIT:
        raise ValueError(
            f"Sparse X of shape {X.shape} would need {n_bytes / 2**30:.1f} GiB as "
            f"the dense float{8 * n_bytes_each} rows that the index holds; the limit "
            f"is {DENSE_BYTES_LIMIT / 2**30:.0f} GiB. Reduce the number of columns "
            "first, for example with sklearn.decomposition.TruncatedSVD in a "
            "Pipeline."
        )


def _column_medians(X: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    medians = np.empty(X.shape[1], dtype=np.float64)
    if weights is not None:
        for place, column in enumerate(X.T):
            medians[place] = middle_values(column, weights)[0]
        return medians
    width = max(1, _BLOCK_BYTES // (8 * X.shape[0]))
    for start in range(0, X.shape[1], width):
        # A copy even where the transpose is contiguous: it is sorted in place.
        columns = np.array(X[:, start : start + width].T, order="C")
        # The middle element, not the mean of two: always a number the column
        # holds, so that integers stay integers and nothing overflows.
        middle = (X.shape[0] - 1) // 2
        columns.partition(middle, axis=1)
        medians[start : start + width] = columns[:, middle]
    return medians


def row_sizes(X: Any, center: np.ndarray | None) -> np.ndarray:
    """Largest coordinate of every centered row, without its sign."""
    if is_sparse(X):
        return np.asarray(abs(X).max(axis=1).todense(), dtype=np.float64).ravel()
    sizes = np.empty(X.shape[0], dtype=np.float64)
    zero = np.zeros(1) if center is None else center
    for start, stop in Space("euclidean", center, 1.0).blocks(X):
        with np.errstate(over="ignore"):
            sizes[start:stop] = np.abs(X[start:stop] - zero).max(axis=1)
    return sizes


def power_of_two_near(sizes: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Scale of rows of these sizes; see `fit_space`."""
    measured = (sizes > 0) & np.isfinite(sizes)
    sizes = sizes[measured]
    if not len(sizes):
        return 1.0
    if weights is None:
        middle = np.partition(sizes, (len(sizes) - 1) // 2)[(len(sizes) - 1) // 2]
    else:
        middle, _ = middle_values(sizes, weights[measured])
    exponent = int(np.frexp(middle)[1])
    if abs(exponent) <= _EXPONENT_LEFT_ALONE:
        return 1.0
    # 1 / scale must be a normal number as well.
    return float(np.ldexp(1.0, min(max(exponent, -1000), 1000)))


def _is_within(mapped: np.ndarray, limit: float) -> bool:
    """Whether no coordinate is farther out."""
    return not mapped.size or bool(mapped.max() < limit and mapped.min() > -limit)


def _unit_rows(dense: np.ndarray) -> np.ndarray:
    rows = dense.astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0.0)
    # Dividing by the largest entry first keeps the squares in range.
    rows /= np.where(largest > 0, largest, 1.0)
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, None]
    rows /= np.where(length > 0, length, 1.0)
    return rows


def in_mapped_units(bandwidth: float | str, space: Space) -> float | str:
    """A bandwidth that is a number, from the units of the user to mapped ones."""
    if isinstance(bandwidth, str):
        return bandwidth
    # Beyond these every kernel entry is 0 or 1, and squares would leave the range.
    return min(max(float(bandwidth) / space.scale, 1e-30), 1e30)
