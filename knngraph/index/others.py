"""Nearest other points of stored points, from any search index."""

from collections.abc import Callable

import numpy as np

from knngraph.index.protocol import SearchIndex, ef_for

# Fixed, so that progress has steps and memory has a bound.
_QUERIES_PER_CALL = 16384


def all_but_self(
    found: np.ndarray, asking: np.ndarray, instead: int = -1
) -> np.ndarray:
    """Mark the found neighbors that are not the asking point itself.

    By its number, never by its place: with an approximate search it may come second,
    or not at all. Where it was missed, another goes in its stead.

    Parameters
    ----------
    found : ndarray of shape (n, k)
    asking : ndarray of shape (n,)
    instead : int, default=-1
        Place in the list of the neighbor that goes where the point was missed.

    Returns
    -------
    ndarray of shape (n, k), bool
        All but one of every row.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.others import all_but_self
    >>> all_but_self(np.array([[4, 7], [5, 6]]), np.array([7, 8])).tolist()
    [[True, False], [True, False]]
    """
    own = found == asking[:, None]
    own[~own.any(axis=1), instead] = True
    return ~own


def others_of(
    index: SearchIndex,
    points: np.ndarray,
    asking: np.ndarray,
    k: int,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Search an index for the nearest others of some of its own points.

    Parameters
    ----------
    index : SearchIndex over `points`
    points : ndarray of shape (n_points, n_features)
    asking : ndarray of shape (n_asking,)
        Numbers of these points.
    k : int
        Number of other points wanted; fewer where there are fewer.

    Returns
    -------
    ids : ndarray of shape (n_asking, k), int32
    squared : ndarray of shape (n_asking, k), of the type of `points`
    """
    k = min(k, points.shape[0] - 1)
    ids = np.empty((len(asking), k), dtype=np.int32)
    squared = np.empty((len(asking), k), dtype=points.dtype)
    for start in range(0, len(asking), _QUERIES_PER_CALL):
        some = asking[start : start + _QUERIES_PER_CALL]
        stop = start + len(some)
        found, distance = index.nearest(
            points[some], k + 1, ef=ef_for(k + 1), n_threads=n_threads
        )
        others = all_but_self(found, some)
        ids[start:stop] = found[others].reshape(len(some), k)
        squared[start:stop] = distance[others].reshape(len(some), k)
        if advance is not None:
            advance(len(some))
    return ids, squared
