"""Squared Euclidean distances between blocks of rows, in double precision."""

import numpy as np


class BlockDistances:
    """Squared distances from blocks of query rows to one set of points.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features)
    """

    def __init__(self, points: np.ndarray) -> None:
        self.points = points
        self._double = points.astype(np.float64)
        self._squared_norms = np.einsum("ij,ij->i", self._double, self._double)

    def to_all(self, queries: np.ndarray) -> np.ndarray:
        """Distances of every query to every point, by one matrix product.

        Returns
        -------
        ndarray of shape (n_queries, n_points), float64
            Never negative; off by rounding of about 1e-16 of the squared norms.
        """
        queries = queries.astype(np.float64)
        squared = queries @ self._double.T
        squared *= -2.0
        squared += np.einsum("ij,ij->i", queries, queries)[:, None]
        squared += self._squared_norms[None, :]
        return np.maximum(squared, 0.0, out=squared)

    def to_some(self, queries: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Distances of query i to the points `ids[i]`, from differences.

        Returns
        -------
        ndarray of shape `ids.shape`, float64
        """
        squared = np.empty(ids.shape, dtype=np.float64)
        for i, row in enumerate(queries.astype(np.float64)):
            difference = self._double[ids[i]] - row
            squared[i] = np.einsum("ij,ij->i", difference, difference)
        return squared
