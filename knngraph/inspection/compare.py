"""Measures of how one list of neighbors differs from the exact one."""

from dataclasses import dataclass

import numpy as np

from knngraph.distances import squared_distances_to


@dataclass(frozen=True)
class NeighborLists:
    """Neighbors of some queries, nearest first.

    Parameters
    ----------
    ids : ndarray of shape (n_queries, k)
        Positions among the points; -1 ends a list that came back short.
    distances : ndarray of shape (n_queries, k), float64
        Any number where the id is -1.
    """

    ids: np.ndarray
    distances: np.ndarray

    def first(self, k: int) -> "NeighborLists":
        """The lists cut off after `k` neighbors."""
        return NeighborLists(self.ids[:, :k], self.distances[:, :k])

    @property
    def found(self) -> np.ndarray:
        """Which places hold a neighbor."""
        return self.ids >= 0

    def mean_distances(self) -> np.ndarray:
        """Mean distance of every query to the neighbors it got, 0 without any."""
        total = np.where(self.found, self.distances, 0.0).sum(axis=1)
        return total / np.maximum(self.found.sum(axis=1), 1)


def measured_lists(
    queries: np.ndarray, points: np.ndarray, ids: np.ndarray
) -> NeighborLists:
    """Lists with distances from coordinate differences, in double precision."""
    squared = squared_distances_to(queries, points, np.maximum(ids, 0))
    return NeighborLists(ids, np.sqrt(squared))


def found_share(lists: NeighborLists) -> float:
    """Share of the neighbors asked for that came back at all."""
    return float(lists.found.mean())


def overlap(lists: NeighborLists, exact: NeighborLists) -> float:
    """Share of the exact neighbors that were found, over all queries.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inspection.compare import NeighborLists, overlap
    >>> exact = NeighborLists(np.array([[1, 2], [3, 4]]), np.ones((2, 2)))
    >>> found = NeighborLists(np.array([[2, 1], [3, -1]]), np.ones((2, 2)))
    >>> overlap(found, exact)
    0.75
    """
    shared = [
        len(np.intersect1d(mine, other))
        for mine, other in zip(lists.ids, exact.ids)
        # -1 is never among the exact ones
    ]
    return float(np.sum(shared) / exact.ids.size)


def distance_ratio(lists: NeighborLists, exact: NeighborLists) -> float:
    """Mean distance to the neighbors found over that to the exact ones.

    1 where every exact neighbor lies at distance zero.
    """
    mine, other = lists.mean_distances(), exact.mean_distances()
    measured = (other > 0) & lists.found.any(axis=1)
    if not measured.any():
        return 1.0
    return float((mine[measured] / other[measured]).mean())


def barycenter_shift(
    lists: NeighborLists, exact: NeighborLists, points: np.ndarray
) -> float:
    """Way between the centers of both neighborhoods, in mean exact distances.

    0 where every exact neighbor lies at distance zero.
    """
    scale = exact.mean_distances()
    shifts = [
        np.linalg.norm(_center(points, mine) - _center(points, other)) / size
        for mine, other, size in zip(lists.ids, exact.ids, scale)
        if size > 0 and mine[0] >= 0
    ]
    return float(np.mean(shifts)) if shifts else 0.0


def _center(points: np.ndarray, ids: np.ndarray) -> np.ndarray:
    return points[ids[ids >= 0]].astype(np.float64).mean(axis=0)


def intrinsic_dimension(lists: NeighborLists) -> float:
    """Local intrinsic dimensionality by maximum likelihood, mean over queries.

    Parameters
    ----------
    lists : NeighborLists

    Returns
    -------
    float
        NaN where no query has two neighbors at different positive distances.

    Notes
    -----
    For a query with distances r_1 <= ... <= r_k: the inverse of the mean of
    log(r_k / r_i) over i < k (Levina and Bickel 2005). Distances of zero carry
    no scale and are left out.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inspection.compare import NeighborLists, intrinsic_dimension
    >>> along_a_line = np.array([[1.0, np.e]])
    >>> round(intrinsic_dimension(NeighborLists(np.array([[0, 1]]), along_a_line)), 6)
    1.0
    """
    estimates = []
    for ids, distances in zip(lists.ids, lists.distances):
        positive = distances[(ids >= 0) & (distances > 0)]
        if len(positive) > 1:
            logs = np.log(positive[-1] / positive[:-1])
            if logs.sum() > 0:
                estimates.append(len(logs) / logs.sum())
    return float(np.mean(estimates)) if estimates else float("nan")
