"""Each training row as a sparse non-negative mix of the others.

The number of rows in the mix is the number of neighbors that the kTree learns.
"""

import numpy as np
from scipy.sparse import csc_array
from scipy.spatial.distance import cdist

from knngraph.parallel import map_chunks

_COLUMNS_PER_CHUNK = 64


def feature_laplacian(X: np.ndarray, n_neighbors: int, sigma: float) -> np.ndarray:
    """Laplacian of the graph that joins each feature to the nearest ones.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_neighbors : int
    sigma : float
        Width of the Gaussian over distances of columns of X.

    Returns
    -------
    ndarray of shape (n_features, n_features)
    """
    squared = cdist(X.T, X.T, metric="sqeuclidean")
    ranks = squared.copy()
    np.fill_diagonal(ranks, np.inf)
    k = min(n_neighbors, X.shape[1] - 1)
    near = np.zeros(squared.shape, dtype=bool)
    order = np.argsort(ranks, axis=1, kind="stable")[:, :k]
    np.put_along_axis(near, order, True, axis=1)
    similarity = np.where(near | near.T, np.exp(-squared / (2.0 * sigma**2)), 0.0)
    return np.diag(similarity.sum(axis=1)) - similarity


def largest_penalty(X: np.ndarray) -> float:
    """The l1 penalty from which on every mix of other rows is empty."""
    inner = X @ X.T
    np.fill_diagonal(inner, -np.inf)
    return max(0.0, 2.0 * float(inner.max()))


def reconstruct(
    X: np.ndarray,
    rho1: float,
    rho2: float,
    laplacian: np.ndarray | None,
    *,
    exclude_self: bool,
    max_iter: int,
    tol: float,
    n_threads: int,
) -> tuple[csc_array, np.ndarray]:
    """Minimize ||Z - ZW||^2 + rho1 ||W||_1 + rho2 tr(W'Z'LZW), W >= 0, Z = X'.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    rho1, rho2 : float
    laplacian : ndarray of shape (n_features, n_features) or None
        Not needed where `rho2` is zero.
    exclude_self : bool
        Keep the diagonal of W at zero.
    max_iter : int
        Steps for one column; each lets one row in.
    tol : float
        A column is done when no row that is out has a slope above this share
        of the norms of the two rows.
    n_threads : int

    Returns
    -------
    mixes : csc_array of shape (n_samples, n_samples)
        Column i mixes the other rows into row i.
    n_steps : ndarray of shape (n_samples,)
        Steps done; `max_iter + 1` for a column that did not settle.
    """
    # Imported here: loading numba is for those who fit.
    from knngraph.baselines._reconstruction_kernel import solve_mixes

    inner = X @ X.T
    curved = inner
    if rho2 > 0.0 and laplacian is not None:
        curved = inner + rho2 * (X @ laplacian @ X.T)
        curved = 0.5 * (curved + curved.T)
    n_samples = X.shape[0]
    n_steps = np.empty(n_samples, dtype=np.intp)

    def solve(start: int, stop: int) -> csc_array:
        mixes = np.zeros((stop - start, n_samples))
        solve_mixes(
            inner,
            curved,
            start,
            rho1,
            exclude_self,
            max_iter,
            tol,
            mixes,
            n_steps[start:stop],
        )
        return csc_array(mixes.T)

    columns = map_chunks(solve, n_samples, _COLUMNS_PER_CHUNK, n_threads)
    indptr = np.concatenate([[0]] + [np.diff(part.indptr) for part in columns])
    joined = csc_array(
        (
            np.concatenate([part.data for part in columns]),
            np.concatenate([part.indices for part in columns]),
            np.cumsum(indptr),
        ),
        shape=(n_samples, n_samples),
    )
    return joined, n_steps
