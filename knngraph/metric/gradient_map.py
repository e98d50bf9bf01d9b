"""A linear map from the gradients of a smooth fit to the labels."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from scipy.linalg import solve

from knngraph.distances import squared_distances

# Rows the fit is made on, label columns it is made for, and rows at which its
# gradients are looked at.
MAX_ROWS = 1500
MAX_TARGETS = 12
_GRADIENT_ROWS = 400
_RIDGE = 0.1
# Directions in which the labels do not change keep this share of the mean.
FLOOR = 0.02


def gradient_maps(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, n_rounds: int, seed: int = 0
) -> list[np.ndarray]:
    """Maps that stretch the directions in which the labels change.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
        In random order; the first 1500 are used.
    codes : ndarray of shape (n_rows,)
    n_classes : int
    n_rounds : int
        How often the fit is repeated on the mapped rows.
    seed : int, default=0
        Of the random combinations of classes, where there are more than 12.

    Returns
    -------
    list of ndarray of shape (n_features, n_features)
        The map L after every round; rows are mapped as `rows @ L`.

    Notes
    -----
    A kernel ridge regression (Gaussian, sigma^2 half the median squared distance,
    ridge 0.1) is fitted to the centered class indicators. M is the mean outer
    product of its gradients at the first 400 rows, scaled to mean diagonal one, and
    L = (M + 0.02 I)^(1/2). The next round works on the mapped rows.

    References
    ----------
    Radhakrishnan, Beaglehole, Pandit and Belkin (2024), "Mechanism for feature
    learning in neural networks and backpropagation-free machine learning
    models", Science 383, 1461-1467.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.metric.gradient_map import gradient_maps
    >>> rows = np.random.default_rng(0).normal(size=(200, 2))
    >>> (L,) = gradient_maps(rows, (rows[:, 0] > 0).astype(int), 2, n_rounds=1)
    >>> bool(L[0, 0] > 3 * L[1, 1])
    True
    """
    rounds = gradient_rounds(rows, codes, n_classes, seed)
    return [as_map(*found) for found in islice(rounds, n_rounds)]


def gradient_rounds(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Directions in which the labels change, round by round without end.

    Parameters
    ----------
    rows, codes, n_classes, seed
        As in `gradient_maps`.

    Yields
    ------
    values : ndarray of shape (n_features,)
        Eigenvalues of M, the largest first; their mean is one.
    vectors : ndarray of shape (n_features, n_features)
        Its eigenvectors, a column each.
    """
    rows = rows[:MAX_ROWS].astype(np.float64)
    targets = _targets(codes[:MAX_ROWS], n_classes, seed)
    n_features = rows.shape[1]
    linear = np.eye(n_features)
    while True:
        outer = _gradient_outer_product(rows @ linear, targets)
        outer = linear @ outer @ linear.T
        trace = np.trace(outer)
        if not trace > 0.0:
            return  # one class, or rows that are all the same
        outer *= n_features / trace
        values, vectors = np.linalg.eigh(0.5 * (outer + outer.T))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        yield values, vectors
        linear = as_map(values, vectors)


def as_map(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The map L = (M + 0.02 I)^(1/2) by the eigenvalues and eigenvectors of M."""
    return (vectors * np.sqrt(values + FLOOR)) @ vectors.T


def _targets(codes: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    indicators = np.eye(n_classes)[codes]
    indicators -= indicators.mean(axis=0)
    if n_classes <= MAX_TARGETS:
        return indicators
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n_classes, MAX_TARGETS))
    return indicators @ signs / np.sqrt(MAX_TARGETS)


def _gradient_outer_product(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean outer product of the gradients of the fit, in the space of `rows`."""
    squared = squared_distances(rows, rows)
    few = slice(0, _GRADIENT_ROWS)
    twice_variance = float(np.median(squared[few, few]))
    if twice_variance == 0.0:
        return np.zeros((rows.shape[1], rows.shape[1]))
    kernel = np.exp(squared / -twice_variance)
    there, pulls = rows[few], kernel[few].copy()
    kernel[np.diag_indices(len(rows))] += _RIDGE
    dual = solve(kernel, targets, assume_a="pos", check_finite=False)
    outer = np.zeros((rows.shape[1], rows.shape[1]))
    for column in dual.T:
        pull = pulls * column
        gradients = pull @ rows - pull.sum(axis=1)[:, None] * there
        outer += gradients.T @ gradients
    return outer / (len(there) * (0.5 * twice_variance) ** 2)
