"""Fuzzy c-means: how much each row belongs to each of a few centers."""

import numpy as np

from knngraph.baselines._search import distances


def fuzzy_memberships(
    X: np.ndarray,
    n_groups: int,
    generator: np.random.RandomState,
    *,
    max_iter: int = 100,
    tol: float = 1e-5,
) -> np.ndarray:
    """Memberships of rows in fuzzy groups, with fuzzifier 2.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
    n_groups : int
    generator : RandomState
        Draws the memberships to start from.
    max_iter : int
    tol : float
        Stop when no membership moves by more than this.

    Returns
    -------
    ndarray of shape (n_samples, n_groups)
        Rows sum to one.
    """
    memberships = generator.uniform(size=(X.shape[0], n_groups))
    memberships /= memberships.sum(axis=1, keepdims=True)
    centers = np.zeros((n_groups, X.shape[1]))
    for _ in range(max_iter):
        previous = memberships
        strengths = previous**2
        totals = strengths.sum(axis=0)[:, None]
        # A group that lost all its rows, as copies can bring about, stays put.
        np.divide(strengths.T @ X, totals, out=centers, where=totals > 0.0)
        memberships = _memberships(distances(X, centers))
        if np.abs(memberships - previous).max() <= tol:
            break
    return memberships


def _memberships(gaps: np.ndarray) -> np.ndarray:
    smallest = gaps.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        closeness = (smallest / gaps) ** 2
    # A row that lies on a center belongs to that center alone, or in equal
    # parts to those that share the place.
    closeness = np.where(smallest == 0.0, gaps == 0.0, closeness)
    return closeness / closeness.sum(axis=1, keepdims=True)
