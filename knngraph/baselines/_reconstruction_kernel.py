"""Coordinate descent for the sparse mixes of the kTree, compiled."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def descend(  # type: ignore[no-untyped-def]
    inner, curved, start, stop, penalty, exclude_self, max_iter, tol, nnz_tol
):
    """Solve columns `start` to `stop`, one by one, from zero.

    Parameters
    ----------
    inner : ndarray of shape (n, n)
        Inner products of the rows.
    curved : ndarray of shape (n, n)
        The quadratic form; equal to `inner` without a Laplacian.
    start, stop : int
    penalty : float
        Weight of the l1 norm.
    exclude_self : bool
    max_iter : int
    tol, nnz_tol : float
        Shares of the norm of the row: the last move of a settled column, and
        the shortest part it keeps.

    Returns
    -------
    mixes : ndarray of shape (stop - start, n)
    n_sweeps : ndarray of shape (stop - start,)
        `max_iter + 1` where a column did not settle.
    """
    n = inner.shape[0]
    mixes = np.zeros((stop - start, n))
    n_sweeps = np.full(stop - start, max_iter + 1)
    residual = np.empty(n)
    active = np.empty(n, dtype=np.bool_)
    for c in range(stop - start):
        i = start + c
        mix = mixes[c]
        # Half the negative slope of the objective, kept up to date.
        for j in range(n):
            residual[j] = inner[j, i] - 0.5 * penalty
            active[j] = False
        limit = tol * np.sqrt(inner[i, i])
        # Sweeps over all coordinates find which may move; sweeps over those
        # alone, cheap, settle them; the last sweep is always over all.
        over_all = True
        for sweep in range(1, max_iter + 1):
            largest = 0.0
            for j in range(n):
                if not over_all and not active[j]:
                    continue
                if curved[j, j] <= 0.0 or (exclude_self and j == i):
                    continue
                moved = max(0.0, mix[j] + residual[j] / curved[j, j])
                change = moved - mix[j]
                if change != 0.0:
                    mix[j] = moved
                    active[j] = True
                    for other in range(n):
                        residual[other] -= change * curved[j, other]
                    largest = max(largest, abs(change) * np.sqrt(curved[j, j]))
            if largest <= limit:
                if over_all:
                    n_sweeps[c] = sweep
                    break
                over_all = True
            else:
                over_all = False
        least = nnz_tol * np.sqrt(inner[i, i])
        for j in range(n):
            if mix[j] * np.sqrt(max(0.0, inner[j, j])) <= least:
                mix[j] = 0.0
    return mixes, n_sweeps
