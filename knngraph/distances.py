"""Squared Euclidean distances between blocks of rows, in double precision."""

import numpy as np

from knngraph.parallel import chunk_bounds

# Distances below this share of the squared norms are computed from differences: of a
# product too few digits would be left.
_NEAR = 2.0**-22
# Share of such distances from which all are.
_MANY = 0.1
_NUMBERS_PER_BLOCK = 2**20
_CACHED_NUMBERS = 32768


def squared_distances(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distances of every row to every point, by one matrix product.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    points : ndarray of shape (n_points, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_points), float64
        Never negative; off by about 1e-9 of themselves at most.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distances import squared_distances
    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
    [[25.0]]
    """
    rows = rows.astype(np.float64)
    points = points.astype(np.float64)
    squared = rows @ points.T
    squared *= -2.0
    norms, others = (np.einsum("ij,ij->i", part, part) for part in (rows, points))
    squared += norms[:, None]
    squared += others
    most = _NEAR * (norms + others.max(initial=0.0))
    row, point = np.nonzero(squared < most[:, None])
    near = squared[row, point] < _NEAR * (norms[row] + others[point])
    row, point = row[near], point[near]
    if len(row) > _MANY * squared.size:
        # Loaded here: few data are such, and it is more than all else here.
        from scipy.spatial.distance import cdist

        return cdist(rows, points, "sqeuclidean")
    step = max(1, _NUMBERS_PER_BLOCK // max(1, rows.shape[1]))
    for start in range(0, len(row), step):
        pairs = row[start : start + step], point[start : start + step]
        difference = rows[pairs[0]] - points[pairs[1]]
        squared[pairs] = np.einsum("ij,ij->i", difference, difference)
    return squared


def squared_distances_to(
    rows: np.ndarray, points: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    """Distances of row i to the points `ids[i]`, from differences.

    Slower than a matrix product, but right to the last digits for rows that are
    close together and far from the origin.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    points : ndarray of shape (n_points, n_features)
    ids : ndarray of shape (n_rows, k)

    Returns
    -------
    ndarray of shape (n_rows, k), float64
    """
    squared = np.empty(ids.shape, dtype=np.float64)
    # Few rows at once, so that their differences stay in the caches.
    step = max(1, _CACHED_NUMBERS // max(1, ids.shape[1] * points.shape[1]))
    for start, stop in chunk_bounds(len(ids), step):
        some = rows[start:stop, None].astype(np.float64)
        difference = points[ids[start:stop]] - some
        np.einsum("ijk,ijk->ij", difference, difference, out=squared[start:stop])
    return squared
