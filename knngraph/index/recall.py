"""How well searches find the nearest points: measured, and raised until they do."""

from dataclasses import dataclass, replace

import numpy as np

from knngraph.compact import CompactPickle
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.protocol import SearchIndex

# Nodes that are held out to measure the search, and the `ef` that are tried.
HELD_OUT = 500
# The search from medoids is measured on one in so many points at most.
_LATEST_SHARE = 10
EF_GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)

# Points on which the recall of lists is measured, and the recall wanted: a little more
# than the 0.95 that users are promised, for the sample has an error of its own.
_SAMPLE = 300
ENOUGH_RECALL = 0.97
# `ef` that are tried for lists, in units of the number of neighbors.
_EF_FACTORS = (2, 3, 4, 6, 8, 12, 16, 24, 32)


@dataclass(frozen=True)
class SearchRecall(CompactPickle):
    """Where searches of several `ef` end for rows that the index does not hold.

    Parameters
    ----------
    reached : ndarray of shape (n_ef, n_held_out)
        Node that the search ends at.
    nearest : ndarray of shape (n_held_out,)
        Node that is nearest.
    excess : ndarray of shape (n_ef, n_held_out), float32
        Distance of the node that the search ends at over that of the nearest, less
        one.
    """

    reached: np.ndarray
    nearest: np.ndarray
    excess: np.ndarray

    @classmethod
    def of_none(cls) -> "SearchRecall":
        """Of no rows."""
        nothing = np.empty((len(EF_GRID), 0), dtype=np.intp)
        return cls(nothing, nothing[0], nothing.astype(np.float32))

    def of(self, rows: slice | np.ndarray) -> "SearchRecall":
        """Of some of the held-out rows."""
        return SearchRecall(
            self.reached[:, rows], self.nearest[rows], self.excess[:, rows]
        )

    def with_more(self, other: "SearchRecall") -> "SearchRecall":
        """Of these held-out rows and then of others, by the same numbers of nodes."""
        return SearchRecall(
            np.concatenate([self.reached, other.reached], axis=1),
            np.concatenate([self.nearest, other.nearest]),
            np.concatenate([self.excess, other.excess], axis=1),
        )

    def renumbered(self, node_now: np.ndarray) -> "SearchRecall":
        """Without searches that ended, or should have ended, at a node that is gone.

        Parameters
        ----------
        node_now : ndarray of shape (n_old_nodes,)
            New number of every node, -1 where it is gone.
        """
        if not len(self.nearest):
            return self
        reached, nearest = node_now[self.reached], node_now[self.nearest]
        there = (nearest >= 0) & (reached >= 0).all(axis=0)
        return replace(self, reached=reached, nearest=nearest).of(there)

    def agreement(self, answers: np.ndarray | None, ef: int) -> float:
        """Share of held-out rows for which this and the exact search answer alike.

        Parameters
        ----------
        answers : ndarray of shape (n_nodes,) or None
            What is read off a node, as its stored class; None for its own number.
        ef : int
            Between two measured values the smaller one counts.

        Returns
        -------
        float
            1.0 where nothing was held out.
        """
        if not len(self.nearest):
            return 1.0
        reached, nearest = self.reached[_row_of(ef)], self.nearest
        if answers is not None:
            reached, nearest = answers[reached], answers[nearest]
        return float((reached == nearest).mean())

    def stretch(self, ef: int) -> np.ndarray:
        """Distance of the node that a search finds over that of the nearest.

        Returns
        -------
        ndarray of shape (n_held_out,)
            At least one; between two measured `ef` the smaller one counts.
        """
        return 1.0 + self.excess[_row_of(ef)].astype(np.float64)

    def smallest_ef(self, answers: np.ndarray | None, share: float) -> int:
        """Smallest measured `ef` with at least this agreement, else the largest."""
        for ef in EF_GRID:
            if self.agreement(answers, ef) >= share:
                return ef
        return EF_GRID[-1]


def _row_of(ef: int) -> int:
    return int(np.searchsorted(EF_GRID, ef, side="right")) - 1


def n_held_out(n_points: int) -> int:
    """Number of points that are held out of so many to measure the search."""
    return min(HELD_OUT, n_points // 5)


def measure_recall(
    index: SearchIndex,
    stored: np.ndarray,
    held_out: np.ndarray,
    n_threads: int,
    numbers: np.ndarray | None = None,
) -> SearchRecall:
    """Search for rows that the index does not hold, and find their nearest exactly.

    Parameters
    ----------
    stored : ndarray of shape (n_stored, n_features), float32
        The points it holds.
    held_out : ndarray of shape (n_held_out, n_features), float32
    numbers : ndarray of shape (n_stored,) or None, default=None
        By which the index names them; None where these are their places.

    Returns
    -------
    SearchRecall
        By these numbers.
    """
    if not len(held_out):
        return SearchRecall.of_none()
    ids, squared = ExactIndex(stored).nearest(held_out, 1, n_threads=n_threads)
    nearest = ids[:, 0] if numbers is None else numbers[ids[:, 0]]
    return _search_with_every_ef(index, held_out, nearest, squared[:, 0], n_threads)


def measure_recall_from_medoids(
    index: HNSWIndex,
    points: np.ndarray,
    n_threads: int,
    entries: tuple[np.ndarray, np.ndarray] | None = None,
) -> SearchRecall:
    """Search from medoids for the points that were inserted last, without these.

    Nothing but links to the last points tells the graph from that before them, but
    where a point that had all of its links gave one up. So unlike `measure_recall` this
    needs no search while the index is built.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
        The points in the order of their numbers.
    entries : tuple of ndarray, or None, default=None
        Where the searches start; see `HNSWIndex.from_medoids`.
    """
    search = index.from_medoids(points, entries)
    latest = index.latest(min(HELD_OUT, len(points) // _LATEST_SHARE))
    places = np.setdiff1d(latest, search.entries)
    left_out = np.zeros(len(points), dtype=bool)
    left_out[places] = True
    queries, nearest = points[places], np.empty(len(places), dtype=np.intp)
    least = np.empty(len(places), dtype=points.dtype)
    rest, k = np.arange(len(places)), 1
    while len(rest):
        k *= 8
        ids, squared = ExactIndex(points).nearest(queries[rest], k, n_threads=n_threads)
        stored = ~left_out[ids]
        first = np.arange(len(rest)), stored.argmax(axis=1)
        nearest[rest], least[rest] = ids[first], squared[first]
        rest = rest[~stored.any(axis=1)]
    found = _search_with_every_ef(
        search.without(places), queries, nearest, least, n_threads
    )
    # Only brute force finds a point that no link leads to.
    astray = left_out[found.reached]
    reached = np.where(astray, nearest, found.reached)
    return SearchRecall(reached, nearest, np.where(astray, 0, found.excess))


def _search_with_every_ef(
    index: SearchIndex,
    queries: np.ndarray,
    nearest: np.ndarray,
    least: np.ndarray,
    n_threads: int,
) -> SearchRecall:
    """Measure the search where the nearest points and squared distances are known."""
    reached = np.tile(nearest, (len(EF_GRID), 1))
    excess = np.zeros(reached.shape, dtype=np.float32)
    for row, ef in enumerate(EF_GRID):
        ids, squared = index.nearest(queries, 1, ef=ef, n_threads=n_threads)
        reached[row] = ids[:, 0]
        lost = (reached[row] != nearest) & (squared[:, 0] > least) & (least > 0.0)
        ratio = squared[lost, 0].astype(np.float64) / least[lost]
        excess[row, lost] = np.sqrt(ratio) - 1.0
        if np.array_equal(reached[row], nearest):
            break  # a larger `ef` finds no less
    return SearchRecall(reached, nearest, excess)


@dataclass(frozen=True)
class WideSearch:
    """An index that is searched with at least a given `ef`.

    Parameters
    ----------
    index : SearchIndex
    ef : int
    recall : float, default=nan
        Share of the exact neighbors that this `ef` finds, on a sample.
    """

    index: SearchIndex
    ef: int
    recall: float = np.nan

    @property
    def n_points(self) -> int:
        """Number of stored points."""
        return self.index.n_points

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points; see `SearchIndex.nearest`."""
        return self.index.nearest(queries, k, ef=max(ef, self.ef), n_threads=n_threads)


def with_enough_recall(
    index: SearchIndex, points: np.ndarray, k: int, *, n_threads: int = 1
) -> WideSearch:
    """Raise `ef` until a sample of points finds its exact neighbors.

    Parameters
    ----------
    index : SearchIndex over `points`
    points : ndarray of shape (n_points, n_features), float32
    k : int
        Number of neighbors of later searches, the point itself included.

    Returns
    -------
    WideSearch
        With the smallest `ef` of 2 k, 3 k ... 32 k that finds 97 % of them, else with
        the largest.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.exact import ExactIndex
    >>> from knngraph.index.recall import with_enough_recall
    >>> points = np.arange(6, dtype=np.float32)[:, None]
    >>> wide = with_enough_recall(ExactIndex(points), points, k=3)
    >>> wide.ef, wide.recall
    (6, 1.0)
    """
    sample = points[_sample_of(len(points))]
    farthest = _farthest(points, sample, k, n_threads)
    for factor in _EF_FACTORS:
        _, squared = index.nearest(sample, k, ef=factor * k, n_threads=n_threads)
        recall = float((squared <= farthest).mean())
        if recall >= ENOUGH_RECALL:
            break
    return WideSearch(index, factor * k, recall)


def recall_of_lists(squared: np.ndarray, points: np.ndarray, n_threads: int) -> float:
    """Share of the nearest others of points that are listed, on a sample.

    Parameters
    ----------
    squared : ndarray of shape (n_points, k), float32
        Squared distances of the neighbors listed.
    points : ndarray of shape (n_points, n_features), float32
    """
    sample = _sample_of(len(points))
    farthest = _farthest(points, points[sample], squared.shape[1] + 1, n_threads)
    return float((squared[sample] <= farthest).mean())


def _sample_of(n_points: int) -> np.ndarray:
    """Some of the points, evenly picked."""
    return np.arange(n_points)[:: max(1, n_points // _SAMPLE)][:_SAMPLE]


def _farthest(
    points: np.ndarray, sample: np.ndarray, k: int, n_threads: int
) -> np.ndarray:
    """Squared distance to the `k`-th nearest point, of shape (n_sampled, 1).

    Of points equally far any may be found, and single precision rounds distances.
    """
    _, exact = ExactIndex(points).nearest(sample, k, n_threads=n_threads)
    return exact[:, -1:] * (1.0 + 1e-5)
