"""Votes of neighbors as class shares."""

import numpy as np


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
