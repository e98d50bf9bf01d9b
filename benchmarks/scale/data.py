"""Any number of rows from one fixed world, where no file is large enough."""

import numpy as np

_BLOCK = 50_000


def mixture(
    n_rows: int, n_features: int, n_classes: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Classes of five Gaussian clumps each, on a curved sheet of few dimensions.

    The clumps depend on the numbers of features and classes alone; `seed` picks
    the rows. The first rows of a long sample are those of a short one.

    Parameters
    ----------
    n_rows, n_features, n_classes : int
    seed : int

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,), intp

    Examples
    --------
    >>> from benchmarks.scale.data import mixture
    >>> X, y = mixture(1000, 16, 10, seed=0)
    >>> X.shape, len(set(y.tolist()))
    ((1000, 16), 10)
    """
    world = np.random.default_rng(20240229)
    n_inner = max(2, min(10, n_features // 2))
    n_clumps = 5 * n_classes
    centers = world.normal(scale=2.0, size=(n_clumps, n_inner))
    spread = world.uniform(0.5, 1.0, size=n_clumps)
    lift = world.normal(size=(n_inner, n_features)) / np.sqrt(n_inner)
    bend = world.normal(size=(n_inner, n_features)) / np.sqrt(n_inner)
    X = np.empty((n_rows, n_features), dtype=np.float32)
    y = np.empty(n_rows, dtype=np.intp)
    for block, start in enumerate(range(0, n_rows, _BLOCK)):
        # Whole blocks are drawn and then cut: what comes first never changes.
        random = np.random.default_rng([seed, block])
        clump = random.integers(n_clumps, size=_BLOCK)
        inner = random.normal(size=(_BLOCK, n_inner))
        inner = centers[clump] + spread[clump, None] * inner
        rows = inner @ lift + np.sin(inner) @ bend
        rows += 0.1 * random.normal(size=rows.shape)
        stop = min(start + _BLOCK, n_rows)
        X[start:stop], y[start:stop] = (part[: stop - start] for part in (rows, clump))
    return X, y % n_classes
