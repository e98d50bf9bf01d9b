"""Exact neighbors in a fixed order, by distance and then by position; and their votes.

Distances come from coordinate differences, not from a matrix product: a row
then has distance zero to its copies exactly, and no digit of an answer depends
on which other queries share the call.
"""

import numpy as np
from scipy.spatial.distance import cdist

from knngraph.parallel import map_chunks

METRICS = ("euclidean", "manhattan", "chebyshev")

# Squared distances rank like distances and keep ties of integers exact.
_RANKING_METRIC = {
    "euclidean": "sqeuclidean",
    "manhattan": "cityblock",
    "chebyshev": "chebyshev",
}
_DISTANCES_PER_BLOCK = 2**22
_MOST_ROWS_PER_BLOCK = 256


def rows_per_block(n_points: int) -> int:
    """Number of queries whose distances to all points fit one block of memory."""
    return max(1, min(_MOST_ROWS_PER_BLOCK, _DISTANCES_PER_BLOCK // n_points))


def distances(
    queries: np.ndarray, points: np.ndarray, metric: str = "euclidean"
) -> np.ndarray:
    """Distances of every query to every point.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features)
    points : ndarray of shape (n_points, n_features)
    metric : {"euclidean", "manhattan", "chebyshev"}

    Returns
    -------
    ndarray of shape (n_queries, n_points)
    """
    return _to_distances(_ranks(queries, points, metric), metric)


def nearest(
    queries: np.ndarray, points: np.ndarray, k: int, metric: str = "euclidean"
) -> tuple[np.ndarray, np.ndarray]:
    """The `min(k, n_points)` nearest points of a block of queries.

    Returns
    -------
    ids : ndarray of shape (n_queries, k), intp
        Nearest first; of points equally far the one that comes first.
    distances : ndarray of shape (n_queries, k)
    """
    ids, ranks = _smallest(_ranks(queries, points, metric), k)
    return ids, _to_distances(ranks, metric)


def nearest_in_blocks(
    queries: np.ndarray,
    points: np.ndarray,
    k: int,
    metric: str = "euclidean",
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Like `nearest`, for any number of queries in bounded memory."""
    blocks = map_chunks(
        lambda start, stop: nearest(queries[start:stop], points, k, metric),
        queries.shape[0],
        rows_per_block(points.shape[0]),
        n_threads,
    )
    return _join(blocks)


def nearest_others(
    points: np.ndarray, k: int, metric: str = "euclidean", n_threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other points of every point, `min(k, n_points - 1)` of them.

    A point is left out by its position, not by its distance, so that a copy of
    it is a neighbor like any other.
    """
    n_points = points.shape[0]

    def search(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        ranks = _ranks(points[start:stop], points, metric)
        ranks[np.arange(stop - start), np.arange(start, stop)] = np.inf
        ids, ranks = _smallest(ranks, min(k, n_points - 1))
        return ids, _to_distances(ranks, metric)

    return _join(map_chunks(search, n_points, rows_per_block(n_points), n_threads))


def _ranks(queries: np.ndarray, points: np.ndarray, metric: str) -> np.ndarray:
    return cdist(queries, points, metric=_RANKING_METRIC[metric])


def _to_distances(ranks: np.ndarray, metric: str) -> np.ndarray:
    return np.sqrt(ranks) if metric == "euclidean" else ranks


def _smallest(ranks: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    n_queries, n_points = ranks.shape
    k = min(k, n_points)
    ids = np.empty((n_queries, k), dtype=np.intp)
    if k == 0:
        return ids, np.empty((n_queries, 0))
    bounds = np.partition(ranks, k - 1, axis=1)[:, k - 1]
    for i, (row, bound) in enumerate(zip(ranks, bounds)):
        # All points as near as the k-th take part, so that the order decides
        # which of them are left out, not the partition.
        near = np.flatnonzero(row <= bound)
        ids[i] = near[np.argsort(row[near], kind="stable")[:k]]
    return ids, np.take_along_axis(ranks, ids, axis=1)


def _join(
    blocks: list[tuple[np.ndarray, np.ndarray]],
) -> tuple[np.ndarray, np.ndarray]:
    ids, values = zip(*blocks)
    return np.concatenate(ids), np.concatenate(values)


def neighbor_weights(distances: np.ndarray, weights: str) -> np.ndarray:
    """Weight of each neighbor's vote.

    Parameters
    ----------
    distances : ndarray of shape (n_queries, k)
        Nearest first.
    weights : {"uniform", "distance"}
        Equal votes, or votes proportional to one over the distance, where
        neighbors at distance zero, if any, are the only ones to vote.

    Returns
    -------
    ndarray of shape (n_queries, k)
        At most one; the nearest neighbor has weight one.
    """
    if weights == "uniform":
        return np.ones_like(distances)
    first = distances[:, :1]
    with np.errstate(invalid="ignore"):
        # Relative to the nearest, so that tiny distances cannot overflow.
        relative = first / np.maximum(distances, first)
    return np.where(first == 0.0, distances == 0.0, relative)


def inverse_shares(distances: np.ndarray, exponent: float) -> np.ndarray:
    """Shares in proportion to one over a power of the distances, row by row.

    Distances of zero, if any, share all of it equally.
    """
    smallest = distances.min(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        closeness = (smallest / distances) ** exponent
    closeness = np.where(smallest == 0.0, distances == 0.0, closeness)
    return closeness / closeness.sum(axis=1, keepdims=True)


def count_votes(codes: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Sum the weights of each class.

    Parameters
    ----------
    codes : ndarray of shape (n_queries, k), intp
        Classes of the neighbors.
    weights : ndarray of shape (n_queries, k)

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
    """
    n_queries = codes.shape[0]
    cells = codes + n_classes * np.arange(n_queries)[:, None]
    votes = np.bincount(
        cells.ravel(), weights=weights.ravel(), minlength=n_queries * n_classes
    )
    return votes.reshape(n_queries, n_classes)


def vote_shares(codes: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Class shares of the votes; see `count_votes`."""
    votes = count_votes(codes, weights, n_classes)
    return votes / votes.sum(axis=1, keepdims=True)


def running_votes(codes: np.ndarray, weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Votes of the first 1, 2, ..., k neighbors.

    Returns
    -------
    ndarray of shape (n_queries, k, n_classes)
    """
    cast = weights[:, :, None] * (codes[:, :, None] == np.arange(n_classes))
    return np.cumsum(cast, axis=1)
