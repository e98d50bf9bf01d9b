"""Squared Euclidean distances between blocks of rows, in double precision."""

import numpy as np


def squared_distances(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distances of every row to every point, by one matrix product.

    Where both are in double precision the product would lose their digits: then from
    differences, which takes longer.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features)
    points : ndarray of shape (n_points, n_features)

    Returns
    -------
    ndarray of shape (n_rows, n_points), float64
        Never negative; off by rounding of about 1e-16 of the squared norms.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distances import squared_distances
    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
    [[25.0]]
    """
    if rows.dtype == points.dtype == np.float64:
        from scipy.spatial.distance import cdist

        return cdist(rows, points, "sqeuclidean")
    rows = rows.astype(np.float64)
    points = points.astype(np.float64)
    squared = rows @ points.T
    squared *= -2.0
    squared += np.einsum("ij,ij->i", rows, rows)[:, None]
    squared += np.einsum("ij,ij->i", points, points)[None, :]
    return np.maximum(squared, 0.0, out=squared)


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
    for i, row in enumerate(rows.astype(np.float64)):
        difference = points[ids[i]] - row
        squared[i] = np.einsum("ij,ij->i", difference, difference)
    return squared
