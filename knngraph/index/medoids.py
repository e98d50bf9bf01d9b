"""Searches that start at the nearest of a few medoids of the stored points."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np

from knngraph.distances import squared_distances
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw_parts import HNSWParts
from knngraph.parallel import chunk_bounds, map_chunks, one_blas_thread

# Of few points. More take longer to measure than they shorten the search there
# (`benchmarks/walks.py`).
N_ENTRIES = 64
# Many points have an entry for so many of them, in as many groups as a group has
# entries, where these are as many as here at least.
_POINTS_PER_ENTRY = 32
_FEWEST_GROUPS, _MOST_GROUPS = 16, 64
_QUERIES_PER_CHUNK = 256
# Sampled points that the entries of few points, or the groups, are chosen from; points
# sampled for every entry of many; and numbers that both may be.
_SAMPLE, _SAMPLED_PER_ENTRY = 4096, 8
_SAMPLE_NUMBERS, _MANY_SAMPLE_NUMBERS = 2**22, 2**24
_ROUNDS = 5
# Deleted points are kept up to so many times `ef`.
_SPARE_DELETED = 4
# A search may end early after as many steps as this times the points that must agree.
# Among many points, which have groups of entries, a search is in another cluster than
# its query more often at first, and all that it meets there may agree.
_EARLY, _EARLY_OF_MANY = 2, 6
_NOTHING_STORED = np.empty(0, dtype=np.intp)
_NOTHING_STORED.flags.writeable = False
# Points outside of the graph, at most: every search measures all of them.
MOST_UNLINKED = 32
_TO_THE_END = 0, 0, 0, _NOTHING_STORED, _NOTHING_STORED


def _none_unlinked() -> np.ndarray:
    return np.empty(0, dtype=np.int32)


@dataclass(frozen=True, eq=False)
class MedoidSearch:
    """Approximate nearest points by a compiled search over the links of an HNSW graph.

    The search of HNSW descends through thinner and thinner layers. This one reads
    the lowest layer only and starts at a near medoid; see `choose_entries`. From there
    both keep the same `ef` nearest points, and end when all of them are expanded.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32
    deleted : ndarray of shape (n_deleted, n_features), float32
        Deleted points: a search passes through them and does not find them.
    links : ndarray of shape (n_points + n_deleted, 2 * M), int32
        Where the points and then the deleted points lead to, on the lowest layer; -1
        ends a row early.
    centers : ndarray of shape (n_groups, n_features), float32
        Means of groups of entries; not read where there is one group.
    entries : ndarray of shape (n_groups, most), int32
        Points that a search may start at: the nearest in the two groups whose centers
        are nearest. -1 ends a group early, never before the first.
    unlinked : ndarray of shape (n_unlinked,), int32
        Points that are not in the graph yet, at most `MOST_UNLINKED`: every search
        measures them.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.hnsw import HNSWIndex
    >>> points = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)
    >>> index = HNSWIndex(n_features=1, capacity=3)
    >>> index.add(points)
    >>> search = index.from_medoids(points)
    >>> ids, squared = search.nearest(np.array([[4.0]], dtype=np.float32), k=2)
    >>> ids.tolist(), squared.tolist()
    ([[2, 1]], [[1.0, 9.0]])
    """

    points: np.ndarray
    deleted: np.ndarray
    links: np.ndarray
    centers: np.ndarray
    entries: np.ndarray
    unlinked: np.ndarray = field(default_factory=_none_unlinked)

    @classmethod
    def of_graph(
        cls,
        parts: HNSWParts,
        points: np.ndarray,
        entries: tuple[np.ndarray, np.ndarray] | None = None,
        unlinked: np.ndarray | None = None,
    ) -> "MedoidSearch":
        """The search over an HNSW graph.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_features), float32
            The points in the order of their numbers; shared.
        entries : tuple of ndarray, or None, default=None
            Centers and entries; None to choose them.
        unlinked : ndarray of shape (n_unlinked,), or None, default=None
            Numbers of points that are not in the graph.
        """
        from knngraph.index import _changed

        removed, records = parts.removed, parts.links.view(np.int32)
        numbers = np.where(removed, -1, parts.labels.astype(np.intp))
        unlinked = _none_unlinked() if unlinked is None else unlinked
        now, unlinked = places_of(numbers, unlinked)
        shape = len(points) + int(removed.sum()), records.shape[1] - 1
        place = np.full(shape[0], -1, dtype=np.intp)
        place[now] = np.arange(len(now))
        links = np.full(shape, -1, dtype=np.int32)
        _changed.read_links(records, place, now, links)
        starts = _linked_entries(points, entries, unlinked)
        return cls(points, parts.vectors[removed], links, *starts, unlinked)

    def renumbered(
        self,
        then: np.ndarray,
        now: np.ndarray,
        points: np.ndarray,
        entries: tuple[np.ndarray, np.ndarray] | None,
        unlinked: np.ndarray,
    ) -> "MedoidSearch":
        """The search after points of the graph have other numbers, or are deleted.

        Parameters
        ----------
        then, now : ndarray of shape (n_places,), int32
            Where this search has the points of the graph, and where the new one has
            them; see `places_of`.
        points, entries
            As in `of_graph`.
        unlinked : ndarray of shape (n_unlinked,), int32
            By their places.
        """
        from knngraph.index import _changed

        place_now = np.full(len(self.links), -1, dtype=np.int32)
        place_now[then] = now
        n_places = len(now) + len(unlinked)
        place_then = np.full(n_places, -1, dtype=np.intp)
        place_then[now] = then
        links = np.full((n_places, self.links.shape[1]), -1, dtype=np.int32)
        _changed.rename(self.links, place_then, place_now, links)
        gone = place_then[len(points) :]
        deleted = np.empty((len(gone), points.shape[1]), dtype=np.float32)
        before = gone >= self.n_points
        deleted[before] = self.deleted[gone[before] - self.n_points]
        deleted[~before] = self.points[gone[~before]]
        starts = _linked_entries(points, entries, unlinked)
        return MedoidSearch(points, deleted, links, *starts, unlinked)

    def without(self, places: np.ndarray) -> "MedoidSearch":
        """The search in which no link leads to some points, none of them an entry."""
        gone = np.zeros(len(self.links), dtype=bool)
        gone[places] = True
        cut = gone[self.links] & (self.links >= 0)
        rows = np.flatnonzero(cut.any(axis=1))
        left = np.where(cut[rows], -1, self.links[rows])
        to_the_front = np.argsort(left < 0, axis=1, kind="stable")
        links = self.links.copy()
        links[rows] = np.take_along_axis(left, to_the_front, axis=1)
        return replace(self, links=links)

    @property
    def n_points(self) -> int:
        """Number of points that a search can find."""
        return len(self.points)

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points; see `SearchIndex.nearest`."""
        return self._search(queries, k, ef, _TO_THE_END, n_threads)[:2]

    def nearest_unless_agreed(
        self,
        queries: np.ndarray,
        k: int,
        *,
        n_agree: int,
        stored: np.ndarray,
        node_classes: np.ndarray,
        ef: int = 1,
        early_ef: int = 1,
        n_threads: int = 1,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points, or fewer where these agree.

        A search ends once twice as many points are expanded as have to agree, six times
        as many where entries are in groups, if they do. Until then it keeps `early_ef`
        points, afterwards `ef`.

        Parameters
        ----------
        queries : ndarray of shape (n_queries, n_features), float32
        n_agree : int
            Number of nearest points that agree if all rows on them are of the class
            that is stored on the nearest.
        stored : ndarray of shape (n_points,), intp
            Class that is stored on every point.
        node_classes : ndarray of shape (n_points,), intp
            Class of all rows on every point, -1 where they differ.
        early_ef : int, default=1
            At least the number of points that are expanded until then is used.

        Returns
        -------
        ids, squared : ndarray of shape (n_queries, k)
            As from `nearest`; where the search has ended early only the first counts.
        agreed : ndarray of shape (n_queries,), bool
            Whether it has.
        """
        steps = _EARLY if len(self.centers) == 1 else _EARLY_OF_MANY
        early = min(steps * n_agree, k)
        n_early = max(early_ef, early)
        rule = n_early, early, n_agree, _read_only(stored), _read_only(node_classes)
        return self._search(queries, k, ef, rule, n_threads)

    def row_searcher(self, ef: int) -> Callable[[np.ndarray], tuple[int, float]]:
        """A function that searches for one row; see `HNSWIndex.row_searcher`."""
        from knngraph.index import _graph_search

        n_kept, n_spare = self._kept(ef, 1)
        graph = self._graph

        def search(row: np.ndarray) -> tuple[int, float]:
            ids, squared = np.empty((1, 1), np.intp), np.empty((1, 1), np.float32)
            query, agreed = _read_only(row[None]), np.empty(1, dtype=bool)
            _graph_search.search_queries(
                *graph, query, n_kept, n_spare, *_TO_THE_END, ids, squared, agreed
            )
            node = ids.item(0)
            if node < 0:
                ids, squared = self.nearest(row[None], 1, ef=ef)
                node = ids.item(0)
            return node, squared.item(0)

        return search

    @cached_property
    def _graph(self) -> tuple[np.ndarray, ...]:
        arrays = (
            self.points,
            self.links,
            self.centers,
            self.entries,
            self.points[self.entries.ravel()],
            self.deleted,
            self.unlinked,
        )
        return tuple(_read_only(array) for array in arrays)

    def _kept(self, ef: int, k: int) -> tuple[int, int]:
        """Number of points that are kept, and of deleted points beside them."""
        n_kept = min(max(ef, k), self.n_points)
        return n_kept, min(_SPARE_DELETED * n_kept, len(self.deleted))

    def _search(
        self, queries: np.ndarray, k: int, ef: int, rule: Any, n_threads: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from knngraph.index import _graph_search

        k = min(k, self.n_points)
        n_kept, n_spare = self._kept(ef, k)
        readable = _read_only(queries)
        ids = np.empty((len(queries), k), dtype=np.intp)
        squared = np.empty((len(queries), k), dtype=np.float32)
        agreed = np.empty(len(queries), dtype=bool)

        def search(start: int, stop: int) -> None:
            chunk = slice(start, stop)
            _graph_search.search_queries(
                *self._graph,
                readable[chunk],
                n_kept,
                n_spare,
                *rule,
                ids[chunk],
                squared[chunk],
                agreed[chunk],
            )

        map_chunks(
            search, len(queries), _QUERIES_PER_CHUNK, n_threads, limit_blas=False
        )
        lost = ids[:, 0] < 0
        if lost.any():
            # Fewer than `ef` points are reachable: brute force, just for these.
            exact = ExactIndex(self.points)
            ids[lost], squared[lost] = exact.nearest(queries[lost], k)
        return ids, squared, agreed


def places_of(
    numbers: np.ndarray, unlinked: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where a search has the points of a graph, by their numbers, and the others.

    Parameters
    ----------
    numbers : ndarray of shape (n_places,), intp
        Number of every point of the graph, -1 where it is deleted.
    unlinked : ndarray of shape (n_unlinked,)
        Numbers of points outside of it.

    Returns
    -------
    places : ndarray of shape (n_places,), int32
        The deleted points are behind all others.
    unlinked : ndarray of shape (n_unlinked,), int32
    """
    gone = numbers < 0
    there = np.concatenate([numbers[~gone], unlinked])
    if there.max(initial=0) >= len(there):  # else they count from 0
        there = there.argsort().argsort()
    n_linked = len(there) - len(unlinked)
    places = np.empty(len(numbers), dtype=np.int32)
    places[~gone] = there[:n_linked]
    places[gone] = len(there) + np.arange(len(numbers) - n_linked)
    return places, there[n_linked:].astype(np.int32)


def _linked_entries(
    points: np.ndarray,
    entries: tuple[np.ndarray, np.ndarray] | None,
    unlinked: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Entries, chosen where there are none, that links lead on from."""
    starts = choose_entries(points) if entries is None else entries
    if not len(unlinked):
        return starts
    number = np.arange(len(points))
    number[unlinked] = -1
    first = np.full((1, 1), np.argmax(number >= 0), dtype=np.int32)
    return renumbered_entries(*starts, number) or (starts[0][:1], first)


def _read_only(array: np.ndarray) -> np.ndarray:
    """The array as compiled code always sees it: another kind is compiled anew."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def choose_entries(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points in the middle of clusters of a sample, in groups.

    Below some 8,000 points there is one group, of 64. With more points, entries
    grow in proportion, up to 4,096: with too few, a search starts in another cluster
    than that of its query, and may end there. As many groups as a group has entries
    keep the distances few that are measured to find the nearest.

    Parameters
    ----------
    points : ndarray of shape (n_points, n_features), float32

    Returns
    -------
    centers : ndarray of shape (n_groups, n_features), float32
    entries : ndarray of shape (n_groups, most), int32
        Ascending in every group; -1 ends it early. A few rounds of Lloyd's algorithm
        find the groups, and the clusters in them; the sample is every so many-th
        point, so that no seed is needed.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.medoids import choose_entries
    >>> centers, entries = choose_entries(np.array([[0.0], [1.0], [5.0]], np.float32))
    >>> entries.tolist()
    [[0, 1, 2]]
    """
    n_points, n_features = points.shape
    n_groups = _count_groups(n_points, n_features)
    with one_blas_thread():
        if n_groups == 1:
            least = max(4 * N_ENTRIES, _SAMPLE_NUMBERS // n_features)
            sampled = _sampled(n_points, min(_SAMPLE, least))
            centers = np.zeros((1, n_features), dtype=np.float32)
            return centers, _medoids(points, sampled, N_ENTRIES)[None]
        sampled = _sampled(n_points, _SAMPLED_PER_ENTRY * n_groups**2)
        few = points[sampled[:: -(-len(sampled) // _SAMPLE)]]
        centers = _means(few, n_groups).astype(np.float32)
        group = np.concatenate(
            [
                squared_distances(points[sampled[start:stop]], centers).argmin(axis=1)
                for start, stop in chunk_bounds(len(sampled), _SAMPLE)
            ]
        )
        entries = np.full((n_groups, n_groups), -1, dtype=np.int32)
        for number in range(n_groups):
            found = _medoids(points, sampled[group == number], n_groups)
            entries[number, : len(found)] = found
    there = entries[:, 0] >= 0
    return centers[there], entries[there]


def early_steps(n_points: int, n_features: int) -> int:
    """Steps after which a search may end early, in points that must agree.

    Examples
    --------
    >>> from knngraph.index.medoids import early_steps
    >>> early_steps(8191, 32), early_steps(8192, 32)
    (2, 6)
    """
    return _EARLY if _count_groups(n_points, n_features) == 1 else _EARLY_OF_MANY


def renumbered_entries(
    centers: np.ndarray, entries: np.ndarray, number_now: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Entries after points have come and gone; None where none of them is left.

    Parameters
    ----------
    centers, entries
        As from `choose_entries`.
    number_now : ndarray of shape (n_old_points,)
        New number of every point, -1 where it is gone.
    """
    last = np.iinfo(np.int32).max
    now = np.where(entries >= 0, number_now[entries], -1)
    now = np.sort(np.where(now >= 0, now, last), axis=1).astype(np.int32)
    now[now == last] = -1
    there = now[:, 0] >= 0
    return (centers[there], now[there]) if there.any() else None


def _count_groups(n_points: int, n_features: int) -> int:
    of_sample = _MANY_SAMPLE_NUMBERS // (_SAMPLED_PER_ENTRY * n_features)
    n_groups = isqrt(min(n_points // _POINTS_PER_ENTRY, of_sample))
    return min(n_groups, _MOST_GROUPS) if n_groups >= _FEWEST_GROUPS else 1


def _sampled(n_points: int, n_sampled: int) -> np.ndarray:
    """Every so many-th point, at most so many."""
    return np.arange(0, n_points, -(-n_points // n_sampled), dtype=np.int32)


def _medoids(points: np.ndarray, sampled: np.ndarray, count: int) -> np.ndarray:
    """Sampled points nearest to the means of their clusters, ascending."""
    if not len(sampled):
        return sampled
    rows = points[sampled]
    middle = squared_distances(rows, _means(rows, count)).argmin(axis=0)
    return np.unique(sampled[middle])


def _means(rows: np.ndarray, count: int) -> np.ndarray:
    """Means of at most `count` clusters, by a few rounds of Lloyd's algorithm."""
    count = min(count, len(rows))
    centers = rows[np.arange(count) * len(rows) // count].astype(np.float64)
    for _ in range(_ROUNDS):
        nearest_center = squared_distances(rows, centers).argmin(axis=1)
        belongs = (nearest_center == np.arange(count)[:, None]).astype(np.float64)
        size = belongs.sum(axis=1)[:, None]
        # An empty cluster stays where it is.
        means = belongs @ rows.astype(np.float64) / np.maximum(size, 1.0)
        centers = np.where(size > 0, means, centers)
    return centers
