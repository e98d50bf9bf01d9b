"""From the user's rows to the Euclidean float32 rows that everything else sees.

The index holds single precision. Data far from the origin would lose its digits
there, so rows are centered and scaled in double precision first. The scale is a
power of two: it costs no accuracy and keeps squares of tiny or huge data inside
the range of single precision.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

# Largest dense float32 copy of sparse training rows that `fit` makes.
DENSE_BYTES_LIMIT = 4 * 2**30
# Mapped coordinates stay below this, so that squared distances stay finite.
LARGEST_COORDINATE = 2.0**50
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

    def map_rows(self, X: Any) -> np.ndarray:
        """Map rows in blocks of bounded memory.

        Parameters
        ----------
        X : ndarray or CSR of shape (n_rows, n_features)
            Finite numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_features), float32, C-contiguous
        """
        rows = np.empty(X.shape, dtype=np.float32)
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
            out = np.empty(dense.shape, dtype=np.float32)
        step = max(1, _CACHED_NUMBERS // max(1, dense.shape[1]))
        if self.center is not None and self.scale == 1.0 and self.linear is None:
            allowed = self._subtract_center(dense, out, step)
        else:
            allowed = True
            for start in range(0, dense.shape[0], step):
                piece, mapped = dense[start : start + step], out[start : start + step]
                if self.metric == "cosine":
                    mapped[:] = _unit_rows(piece)
                else:
                    self._map_piece(piece, mapped)
                allowed &= _is_allowed(mapped)
        if not allowed:
            self._refuse(dense, out)
        return out

    def _subtract_center(self, dense: np.ndarray, out: np.ndarray, step: int) -> bool:
        # The difference of two float32 numbers is rounded once, just as it is
        # on its way through double precision.
        single = self._single_precision_is_exact(dense.dtype)
        dtype = np.float32 if single else np.float64
        # One center for every row of a piece: the subtraction runs over the whole
        # piece at once, which is a third faster than row by row.
        centers = np.empty((min(step, dense.shape[0]), dense.shape[1]), dtype=dtype)
        centers[:] = self.center
        difference = np.empty_like(centers)
        allowed = True
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
                allowed &= _is_allowed(mapped)  # while it is in the cache
        return allowed

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
        project(rows, self.linear, out)

    def _single_precision_is_exact(self, dtype: np.dtype) -> bool:
        if not np.can_cast(dtype, np.float32):
            return False
        center = self.center
        with np.errstate(over="ignore"):  # what is infinite then is not exact
            return center is None or bool((center.astype(np.float32) == center).all())

    def _refuse(self, dense: np.ndarray, mapped: np.ndarray) -> None:
        if self.linear is not None:
            # A learned map mixes the columns; the cause is the farthest entry.
            mapped = dense if self.center is None else dense - self.center
        row, column = np.unravel_index(np.argmax(np.abs(mapped)), mapped.shape)
        value = dense[row, column].item()
        raise ValueError(
            f"X has {value!r} in column {column}, more than "
            f"{LARGEST_COORDINATE:.0e} times the typical spread of the training "
            "rows: distances to it cannot be held in single precision. Remove or "
            "clip the value, or rescale the column."
        )


def fit_space(X: Any, metric: str) -> Space:
    """Choose center and scale from the training rows.

    The center is the median of every column. The scale is one, unless the data
    is tiny or huge: then it is the power of two nearest to the median size of a
    centered row. Neither follows a few isolated rows. Sparse data keep their
    zeros where they are.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_rows, n_features)
    metric : {"euclidean", "cosine"}
    """
    if is_sparse(X):
        _check_dense_size(X)
    if metric == "cosine":
        return Space(metric, None, 1.0)
    center = None if is_sparse(X) else _column_medians(X)
    return Space(metric, center, power_of_two_near(row_sizes(X, center)))


def _check_dense_size(X: Any) -> None:
    n_bytes = 4 * X.shape[0] * X.shape[1]
    if n_bytes > DENSE_BYTES_LIMIT:
        raise ValueError(
            f"Sparse X of shape {X.shape} would need {n_bytes / 2**30:.1f} GiB as "
            "the dense float32 rows that the index holds; the limit is "
            f"{DENSE_BYTES_LIMIT / 2**30:.0f} GiB. Reduce the number of columns "
            "first, for example with sklearn.decomposition.TruncatedSVD in a "
            "Pipeline."
        )


def _column_medians(X: np.ndarray) -> np.ndarray:
    medians = np.empty(X.shape[1], dtype=np.float64)
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
    for start, stop in Space("euclidean", center, 1.0).blocks(X):
        with np.errstate(over="ignore"):
            sizes[start:stop] = np.abs(X[start:stop] - center).max(axis=1)
    return sizes


def power_of_two_near(sizes: np.ndarray) -> float:
    """Scale of rows of these sizes; see `fit_space`."""
    sizes = sizes[(sizes > 0) & np.isfinite(sizes)]
    if not len(sizes):
        return 1.0
    middle = np.partition(sizes, (len(sizes) - 1) // 2)[(len(sizes) - 1) // 2]
    exponent = int(np.frexp(middle)[1])
    if abs(exponent) <= _EXPONENT_LEFT_ALONE:
        return 1.0
    # 1 / scale must be a normal number as well.
    return float(np.ldexp(1.0, min(max(exponent, -1000), 1000)))


def _is_allowed(mapped: np.ndarray) -> bool:
    """Whether distances to mapped rows stay finite; not so for NaN either."""
    return not mapped.size or bool(
        mapped.max() < LARGEST_COORDINATE and mapped.min() > -LARGEST_COORDINATE
    )


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
