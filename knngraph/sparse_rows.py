"""Rows that may be sparse, without loading scipy for those that are not."""

from typing import Any

import numpy as np


def is_sparse(X: Any) -> bool:
    """Whether X is a sparse array or matrix of scipy, which need not be loaded."""
    return hasattr(X, "tocsr")


def as_dense(X: Any) -> np.ndarray:
    """The same numbers as a dense array; a dense one is returned as it is.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from knngraph.sparse_rows import as_dense
    >>> as_dense(csr_array([[0, 2]]))
    array([[0, 2]])
    """
    dense: np.ndarray = X.toarray() if is_sparse(X) else X
    return dense
