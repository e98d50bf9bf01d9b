"""A linear map from the gradients of a smooth fit to the labels."""

from collections.abc import Iterator

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from knngraph.distances import squared_distances

# Rows the fit is made on, label columns it is made for, and rows at which its
# gradients are taken.
MAX_ROWS = 1500
MAX_TARGETS = 12
_GRADIENT_ROWS = 200
# Rows whose distances set the width of the kernel.
_WIDTH_ROWS = 400
_RIDGE = 0.1
# Directions in which the labels do not change keep this share of the mean.
FLOOR = 0.02
# Powers of the outer product of the gradients: a gentle map and a full one.
POWERS = (0.25, 0.5)
# Rounds of the fit, and maps that they give.
N_ROUNDS = 2
N_MAPS = N_ROUNDS * len(POWERS)


def gradient_maps(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, seed: int = 0
) -> Iterator[np.ndarray]:
    """Maps that stretch the directions in which the labels change.

    A map is given by a factor of it, which is cheaper: rows have the same distances
    under both. `symmetric_map` makes the map of the factor.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32 or float64
        In random order; the first 1500 are used. The work is done in the precision
        of the rows: single precision takes half the time.
    codes : ndarray of shape (n_rows,)
    seed : int, default=0
        Of the random combinations of classes, where there are more than 12.

    Yields
    ------
    ndarray of shape (n_features, n_features)
        Factors of four maps, found as they are asked for: the gentle map and the
        full one of the first round, then of the second. Their columns are
        directions, the longest last. None follows where there is nothing to learn:
        one class, one row, or rows that are all the same.

    Notes
    -----
    A kernel ridge regression (Gaussian, sigma^2 half the median squared distance,
    ridge 0.1) is fitted to the centered class indicators. M is the mean outer
    product of its gradients at the first 200 rows, scaled to mean diagonal one. The
    full map is L = (M + 0.02 I)^(1/2), the gentle one the square root of that. With
    the eigenvectors V of M and the eigenvalues s of L, the factor of L is V diag(s).
    The second round is fitted to the rows under the full map of the first.

    References
    ----------
    Radhakrishnan, Beaglehole, Pandit and Belkin (2024), "Mechanism for feature
    learning in neural networks and backpropagation-free machine learning
    models", Science 383, 1461-1467.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.metric.gradient_map import gradient_maps, symmetric_map
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> factors = gradient_maps(rows, (rows[:, 0] > 0).astype(int), 2)
    >>> gentle, full, *_ = map(symmetric_map, factors)
    >>> bool(full[0, 0] > 3 * full[1, 1])
    True
    >>> np.allclose(gentle @ gentle, full)
    True
    """
    if len(rows) < 2:
        return
    rows = rows[:MAX_ROWS]
    # Near the origin, where single precision tells near rows apart.
    rows = rows - np.median(rows, axis=0).astype(rows.dtype)
    targets = _targets(codes[:MAX_ROWS], n_classes, seed).astype(rows.dtype)
    factor = np.eye(rows.shape[1], dtype=rows.dtype)
    for _ in range(N_ROUNDS):
        outer = factor @ _gradient_outer_product(rows @ factor, targets) @ factor.T
        trace = float(np.trace(outer))
        if not trace > 0.0:
            return
        outer *= len(outer) / trace
        values, vectors = np.linalg.eigh(0.5 * (outer + outer.T))
        for power in POWERS:
            factor = vectors * (np.maximum(values, 0.0) + FLOOR) ** power
            yield factor


def symmetric_map(factor: np.ndarray) -> np.ndarray:
    """The map V diag(s) V' of a factor V diag(s), in double precision."""
    factor = factor.astype(np.float64)
    return factor @ (factor / np.linalg.norm(factor, axis=0)).T


def _targets(codes: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    """Columns that the fit is made for: centered indicators, or mixtures of them."""
    indicators = np.eye(n_classes)[codes]
    indicators -= indicators.mean(axis=0)
    if n_classes == 2:
        return indicators[:, :1]  # the other column is its negative
    if n_classes <= MAX_TARGETS:
        return indicators
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n_classes, MAX_TARGETS))
    return indicators @ signs / np.sqrt(MAX_TARGETS)


def _gradient_outer_product(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Sum of outer products of the gradients of the fit, in the space of `rows`.

    Up to a factor, which is of no account: the caller scales it.
    """
    squared = _squared_distances(rows)
    few = slice(0, _WIDTH_ROWS)
    twice_variance = float(np.median(squared[few, few]))
    outer = np.zeros((rows.shape[1], rows.shape[1]), dtype=rows.dtype)
    if twice_variance == 0.0:
        return outer
    kernel = np.exp(squared / rows.dtype.type(-twice_variance))
    # In units of the width the gradients stay in range.
    rows = rows / rows.dtype.type(np.sqrt(twice_variance))
    there, pulls = rows[:_GRADIENT_ROWS], kernel[:_GRADIENT_ROWS].copy()
    kernel[np.diag_indices(len(rows))] += rows.dtype.type(_RIDGE)
    # The transpose of the symmetric kernel is in the order that LAPACK works in place.
    try:
        triangle = cho_factor(kernel.T, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        # Clusters so far apart that their rows are one place but for rounding.
        return outer
    dual = cho_solve(triangle, targets, check_finite=False)
    for column in dual.T:
        pull = pulls * column
        gradients = pull @ rows - pull.sum(axis=1)[:, None] * there
        outer += gradients.T @ gradients
    return outer


def _squared_distances(rows: np.ndarray) -> np.ndarray:
    """Squared distances among rows, in their own precision."""
    if rows.dtype == np.float64:
        return squared_distances(rows, rows)  # a product would lose digits
    squared = rows @ rows.T
    norms = np.diag(squared).copy()
    squared *= -2.0
    squared += norms[:, None]
    squared += norms[None, :]
    return np.maximum(squared, 0.0, out=squared)
