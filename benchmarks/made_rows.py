"""Made rows of any number, with the structure that real ones have."""

import numpy as np

_ROWS_PER_BLOCK = 65536


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
    for start in range(0, n_rows, _ROWS_PER_BLOCK):
        of_block = cluster[start : start + _ROWS_PER_BLOCK]
        along = random.normal(size=(len(of_block), intrinsic))
        block = np.empty((len(of_block), n_features))
        # By cluster, so that no array of planes a row is needed.
        for c in np.unique(of_block):
            members = of_block == c
            block[members] = centers[c] + along[members] @ planes[c]
        block += 0.1 * random.normal(size=block.shape)
        X[start : start + _ROWS_PER_BLOCK] = block
    y = cluster % n_classes
    wrong = random.random(n_rows) < 0.05
    return X, np.where(wrong, random.integers(n_classes, size=n_rows), y)
