"""From the user's rows to the Euclidean rows that everything else sees.

The index holds single precision. Data far from the origin would lose its digits
there, so rows are centered and scaled in double precision first. The scale is a
power of two: it costs no accuracy and keeps squares of tiny or huge data inside
the range of single precision. Where single precision is not enough all the same
(see `knngraph.graph.precision`), rows stay double and are not centered: they are
compared by the digits that the user gave.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from knngraph.missing import Missing, column_medians, fit_missing
from knngraph.prepared.steps import Preparation
from knngraph.sparse_rows import as_dense, is_sparse
from knngraph.weights import middle_values

if TYPE_CHECKING:
    from knngraph.metric.forest import ForestMap

# Largest dense copy of sparse training rows that `fit` makes.
DENSE_BYTES_LIMIT = 4 * 2**30
# Mapped coordinates stay within these, so that squared distances stay finite.
LARGEST_COORDINATE = 2.0**50
LARGEST_IN_DOUBLE = 2.0**500
# Squares of data of this size in binary orders are safe in single precision.
_EXPONENT_LEFT_ALONE = 30
_BLOCK_BYTES = 8 * 2**20
# Relative rounding of mapped rows: what a map shrinks by more is lost.
_ROUNDING = 1e-5
# Rows are mapped in pieces that stay in the cache of a core.
_CACHED_NUMBERS = 32768


@dataclass(frozen=True)
class Space:
    """The map from user rows to index rows.

    Parameters
    ----------
    metric : {"euclidean", "cosine", "learned", "trees", "trees, learned"}
        With "cosine" rows are brought to unit length, where half the squared
        Euclidean distance is one minus the cosine. A row of zeros stays a row
        of zeros, at distance one from every unit row.
    center : ndarray of shape (n_filled,) or None
        Subtracted first (Euclidean metric on dense data); n_filled is the number of
        features, and of the indicators of `missing`.
    scale : float
        A power of two; mapped distance times `scale` is distance in the units
        of the user.
    linear : ndarray of shape (n_mapped, n_mapped) or None
        With "learned", the map that follows.
    precision : {"single", "double"}, default="single"
        Of the mapped rows.
    missing : Missing or None, default=None
        Fills rows in before all else. None where missing values are not allowed.
    trees : ForestMap or None, default=None
        With "trees", what adds its shares of the classes before the filled columns,
        which it weighs.
    prepared : Preparation or None, default=None
        Steps of a pipeline, which come before all else.

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
    missing: Missing | None = None
    trees: "ForestMap | None" = None
    prepared: Preparation | None = None

    def n_prepared(self, n_features: int) -> int:
        """Number of columns behind the steps of a pipeline; X has `n_features`."""
        if self.prepared is None:
            return n_features
        return self.prepared.n_outputs(n_features)

    def n_filled(self, n_features: int) -> int:
        """Number of columns of filled rows; X has `n_features`."""
        n_indicators = 0 if self.missing is None else len(self.missing.columns)
        return self.n_prepared(n_features) + n_indicators

    def takes_missing(self, n_features: int) -> np.ndarray:
        """Which of the columns of X may be NaN."""
        allowed = np.full(self.n_prepared(n_features), self.missing is not None)
        if self.prepared is None:
            return allowed
        return self.prepared.takes_missing(allowed, n_features)

    def n_mapped(self, n_features: int) -> int:
        """Number of columns of mapped rows; X has `n_features`."""
        n_shares = 0 if self.trees is None else self.trees.n_targets
        return n_shares + self.n_filled(n_features)

    @property
    def dtype(self) -> np.dtype:
        """Type of the mapped rows, float32 or float64."""
        return np.dtype(np.float32 if self.precision == "single" else np.float64)

    def in_double(self) -> "Space":
        """The same map with all digits of the user's rows."""
        return replace(self, center=None, precision="double")

    def map_rows(self, X: Any, *, n_threads: int = 1) -> np.ndarray:
        """Map rows in blocks of bounded memory.

        Parameters
        ----------
        X : ndarray or CSR of shape (n_rows, n_features)
            Finite numbers, or NaN where `missing` fills them in. What is farther away
            than distances can hold is moved to the largest coordinate.

        Returns
        -------
        ndarray of shape (n_rows, n_mapped), of `dtype`, C-contiguous
        """
        shape = X.shape[0], self.n_mapped(X.shape[1])
        rows = np.empty(shape, dtype=self.dtype)
        for start, stop in self.blocks(X):
            self.map_block(X[start:stop], out=rows[start:stop], n_threads=n_threads)
        return rows

    def blocks(self, X: Any, largest: int | None = None) -> list[tuple[int, int]]:
        """Row ranges with a double-precision copy that stays near 8 MiB."""
        size = max(1, _BLOCK_BYTES // (8 * max(1, self.n_mapped(X.shape[1]))))
        size = size if largest is None else min(size, largest)
        return [(i, min(i + size, X.shape[0])) for i in range(0, X.shape[0], size)]

    def map_block(
        self,
        block: Any,
        out: np.ndarray | None = None,
        *,
        n_threads: int = 1,
    ) -> np.ndarray:
        """Map one block of rows; see `map_rows`."""
        block = as_dense(block)
        if out is None:
            shape = len(block), self.n_mapped(block.shape[1])
            out = np.empty(shape, dtype=self.dtype)
        if self.prepared is not None:
            block = self.prepared.applied(block)
        dense = self.filled(block)
        step = max(1, _CACHED_NUMBERS // max(1, out.shape[1]))
        limit = LARGEST_COORDINATE if self.precision == "single" else LARGEST_IN_DOUBLE
        moved_only = self.center is not None and self.scale == 1.0
        if moved_only and self.linear is None and self.trees is None:
            within = self._subtract_center(dense, out, step, limit)
        else:
            within = True
            shares = np.empty((len(dense), 0))
            if self.trees is not None:
                shares = self.trees.shares(block, n_threads=n_threads)
            for start in range(0, dense.shape[0], step):
                piece, mapped = dense[start : start + step], out[start : start + step]
                if self.metric == "cosine":
                    mapped[:] = _unit_rows(piece)
                else:
                    self._map_piece(piece, shares[start : start + step], mapped)
                within &= _is_within(mapped, limit)
        if not within:
            np.clip(out, -limit, limit, out=out)
        return out

    def class_shares(self, mapped: np.ndarray, n_classes: int) -> np.ndarray | None:
        """The shares of the classes that the trees gave to mapped rows.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), or None
            None without trees, and where they mix the shares of many classes.
        """
        n_targets = 0 if self.trees is None else self.trees.n_targets
        if n_targets != (n_classes if n_classes > 2 else 1):
            return None
        if self.linear is None:
            shares = mapped[:, :n_targets].astype(np.float64)
        else:
            shares = mapped @ np.linalg.pinv(self.linear, _ROUNDING)[:, :n_targets]
        if n_targets < n_classes:  # the first of two classes has the rest
            shares = np.hstack([1.0 - shares, shares])
        # A map that drops the sum of the shares leaves them short of one alike.
        shares += (1.0 - shares.sum(axis=1, keepdims=True)) / n_classes
        return np.clip(shares, 0.0, 1.0)

    def filled(self, block: Any) -> np.ndarray:
        """A block of rows, dense, with what stands for missing values."""
        dense = as_dense(block)
        return dense if self.missing is None else self.missing.filled(dense)

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

    def _map_piece(
        self, piece: np.ndarray, shares: np.ndarray, out: np.ndarray
    ) -> None:
        with np.errstate(over="ignore"):
            if self.linear is None and self.trees is None:
                centered = piece if self.center is None else piece - self.center
                np.multiply(centered, 1.0 / self.scale, out=out, casting="unsafe")
                return
            rows = np.array(piece, dtype=np.float64, order="C")
            if self.center is not None:
                rows -= self.center
            rows *= 1.0 / self.scale
            if self.trees is not None:
                rows *= self.trees.column_weight
                rows = np.hstack([shares, rows])
            if self.linear is None:
                out[:] = rows
            else:
                self._map_linearly(rows, out)

    def _map_linearly(self, rows: np.ndarray, out: np.ndarray) -> None:
        from knngraph._project import project

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
    *,
    allow_missing: bool = False,
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
    allow_missing : bool, default=False
        Whether NaN, in dense X, stands for a missing value; see `Missing`.
    """
    if is_sparse(X):  # before anything is made of columns that are too many
        _check_dense_size(X.shape, Space(metric, None, 1.0, precision=precision))
    missing, center = None, None
    if allow_missing:
        missing, center = fit_missing(X, weights)
    elif metric != "cosine" and precision == "single" and not is_sparse(X):
        center = column_medians(X, weights)
    space = Space(metric, center, 1.0, precision=precision, missing=missing)
    if is_sparse(X):
        _check_dense_size(X.shape, space)
    if metric == "cosine":
        return space
    if is_sparse(X) or precision == "double":
        space = replace(space, center=None)
    sizes = row_sizes(X, space)
    scale = power_of_two_near(sizes, weights)
    if (
        precision == "single"
        and not sizes.max(initial=0.0) < LARGEST_COORDINATE * scale
    ):
        return fit_space(X, metric, "double", weights, allow_missing=allow_missing)
    return replace(space, scale=scale)


def _check_dense_size(shape: tuple[int, int], space: Space) -> None:
    n_bytes = space.dtype.itemsize * shape[0] * space.n_mapped(shape[1])
    if n_bytes > DENSE_BYTES_LIMIT:
        raise ValueError(
            f"Sparse X of shape {shape} would need {n_bytes / 2**30:.1f} GiB as "
            f"the dense {space.dtype} rows that the index holds; the limit "
            f"is {DENSE_BYTES_LIMIT / 2**30:.0f} GiB. Reduce the number of columns "
            "first, for example with sklearn.decomposition.TruncatedSVD in a "
            "Pipeline."
        )


def row_sizes(X: Any, space: Space) -> np.ndarray:
    """Largest coordinate of every filled and centered row, without its sign."""
    if is_sparse(X) and space.n_mapped(X.shape[1]) == X.shape[1]:
        return np.asarray(abs(X).max(axis=1).todense(), dtype=np.float64).ravel()
    sizes = np.empty(X.shape[0], dtype=np.float64)
    zero = np.zeros(1) if space.center is None else space.center
    for start, stop in space.blocks(X):
        with np.errstate(over="ignore"):
            rows = space.filled(X[start:stop]) - zero
            sizes[start:stop] = np.abs(rows).max(axis=1)
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
