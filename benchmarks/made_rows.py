"""Made rows of any number, with the structure that real ones have."""

import numpy as np

_ROWS_OF_MIXTURE, _ROWS_OF_SHEET = 65_536, 50_000


def mixture(
    n_rows: int,
    n_features: int = 32,
    *,
    intrinsic: int = 10,
    n_clusters: int = 200,
    n_classes: int = 10,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clusters on planes of few dimensions, some labels wrong.

    Parameters
    ----------
    n_rows, n_features : int
    intrinsic : int
        Dimension of the plane of every cluster; noise of 0.1 lies on all features.
    n_clusters, n_classes : int
        A class has several clusters; 5 % of the labels are drawn at random.
    seed : int, default=0

    Returns
    -------
    X : ndarray of shape (n_rows, n_features), float32
    y : ndarray of shape (n_rows,)
    """
    random = np.random.default_rng(seed)
    centers = 1.5 * random.normal(size=(n_clusters, n_features))
    planes = random.normal(size=(n_clusters, intrinsic, n_features))
    planes /= np.sqrt(intrinsic)
    cluster = random.integers(n_clusters, size=n_rows)
    X = np.empty((n_rows, n_features), dtype=np.float32)
    for start in range(0, n_rows, _ROWS_OF_MIXTURE):
        of_block = cluster[start : start + _ROWS_OF_MIXTURE]
        along = random.normal(size=(len(of_block), intrinsic))
        block = np.empty((len(of_block), n_features))
        # By cluster, so that no array of planes a row is needed.
        for c in np.unique(of_block):
            members = of_block == c
            block[members] = centers[c] + along[members] @ planes[c]
        block += 0.1 * random.normal(size=block.shape)
        X[start : start + _ROWS_OF_MIXTURE] = block
    y = cluster % n_classes
    wrong = random.random(n_rows) < 0.05
    return X, np.where(wrong, random.integers(n_classes, size=n_rows), y)


def curved_sheet(
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
    >>> from benchmarks.made_rows import curved_sheet
    >>> X, y = curved_sheet(1000, 16, 10, seed=0)
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
    for block, start in enumerate(range(0, n_rows, _ROWS_OF_SHEET)):
        # Whole blocks are drawn and then cut: what comes first never changes.
        random = np.random.default_rng([seed, block])
        clump = random.integers(n_clumps, size=_ROWS_OF_SHEET)
        inner = random.normal(size=(_ROWS_OF_SHEET, n_inner))
        inner = centers[clump] + spread[clump, None] * inner
        rows = inner @ lift + np.sin(inner) @ bend
        rows += 0.1 * random.normal(size=rows.shape)
        stop = min(start + _ROWS_OF_SHEET, n_rows)
        X[start:stop], y[start:stop] = (part[: stop - start] for part in (rows, clump))
    return X, y % n_classes
