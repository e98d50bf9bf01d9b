"""HNSW search, by the engine in use (`engines.py`)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from knngraph.compact import packed, unpacked
from knngraph.distances import squared_distances
from knngraph.exceptions import SavedModelError
from knngraph.index.engines import engine
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw_parts import HNSWParts, mark_removed
from knngraph.index.medoids import MOST_UNLINKED, MedoidSearch, places_of
from knngraph.index.protocol import Graph

# Of the pickle; format 1 held hnswlib's own, which is not checked on load.
STATE_VERSION = 2
# Removed points keep a number that no point has: this one and those that follow.
_FIRST_REMOVED = 2**48


class HNSWIndex:
    """Approximate nearest points by a hierarchical navigable small world graph.

    A graph of an engine names its points by their places. Here they have numbers, may
    be removed and come back, may wait outside of the graph, and are saved in one format
    whatever the engine. Brute force answers what the graph cannot. Rows must be
    distinct and validated before they come here.

    Parameters
    ----------
    n_features : int
    capacity : int
        Number of points that memory is set aside for; more may be added.
    M : int, default=16
        Links a point keeps on the upper layers (twice as many on the lowest).
    ef_construction : int, default=200
        Search width while inserting.
    seed : int, default=0
        Seed of the random layer heights.

    References
    ----------
    Malkov and Yashunin (2020), "Efficient and robust approximate nearest
    neighbor search using hierarchical navigable small world graphs", IEEE TPAMI
    42, 824-836.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.index.hnsw import HNSWIndex
    >>> index = HNSWIndex(n_features=1, capacity=3)
    >>> index.add(np.array([[0.0], [1.0], [5.0]], dtype=np.float32))
    >>> ids, squared = index.nearest(np.array([[4.0]], dtype=np.float32), k=2)
    >>> ids.tolist(), squared.tolist()
    ([[2, 1]], [[1.0, 9.0]])
    """

    def __init__(
        self,
        n_features: int,
        capacity: int,
        *,
        M: int = 16,
        ef_construction: int = 200,
        seed: int = 0,
    ) -> None:
        self.n_features = n_features
        graph = engine()(
            n_features, capacity, M=M, ef_construction=ef_construction, seed=seed
        )
        self._take(graph, np.empty(0, dtype=np.intp))

    def _take(
        self,
        graph: Graph,
        number: np.ndarray,
        unlinked: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> None:
        """Hold a graph, which names its points by their places.

        Parameters
        ----------
        number : ndarray of shape (n_places,)
            By which a search names the point at a place; -1 where it is gone.
        unlinked : ndarray of shape (n_unlinked,), or None
            Numbers of the points that wait outside of the graph.
        rows : ndarray of shape (n_unlinked, n_features), float32, or None
            Their rows.
        """
        self._graph, self._is_shared, self._to_mark = graph, False, number[:0]
        self._number, self.n_linked = number, int((number >= 0).sum())
        if unlinked is None or rows is None:
            unlinked = number[:0]
            rows = np.empty((0, self.n_features), dtype=np.float32)
        self._unlinked, self._unlinked_rows = unlinked, rows
        self._medoid_search: MedoidSearch | None = None
        # The last search from medoids, and where it had the points of the graph.
        self._searched_before: tuple[MedoidSearch, np.ndarray] | None = None

    @property
    def n_points(self) -> int:
        """Number of points that a search can find."""
        return self.n_linked + len(self._unlinked)

    @property
    def n_places(self) -> int:
        """Number of points that take memory, removed ones among them."""
        return self._graph.n_places

    @property
    def n_bytes(self) -> int:
        """Bytes the index occupies, vectors included."""
        return self._graph.n_bytes

    @property
    def numbers(self) -> np.ndarray:
        """By which a search names its points, ascending."""
        linked = self._number[self._number >= 0]
        return np.sort(np.concatenate([linked, self._unlinked]))

    def add(
        self,
        points: np.ndarray,
        numbers: np.ndarray | None = None,
        *,
        may_wait: bool = False,
    ) -> None:
        """Insert rows, by one thread.

        Parameters
        ----------
        points : ndarray of shape (n, n_features), float32
        numbers : ndarray of shape (n,) or None
            By which a search names them, none of them taken; None numbers on.
        may_wait : bool, default=False
            Whether few of them may stay outside of the graph, which then can stay as
            it is. Every search measures them, until they are `MOST_UNLINKED`.
        """
        if not len(points):
            return
        if numbers is None:
            numbers = np.arange(self.n_points, self.n_points + len(points))
        if len(self._unlinked):
            points = np.concatenate([self._unlinked_rows, points])
            numbers = np.concatenate([self._unlinked, numbers])
        if may_wait and len(points) <= MOST_UNLINKED:
            self._unlinked, self._unlinked_rows = numbers, points
            self._medoid_search = None
            return
        graph = self._graph
        if self._is_shared or len(self._to_mark):
            graph = graph.copy(self._to_mark)
        graph.add(points)
        self._take(graph, np.concatenate([self._number, numbers]))

    def renumbered(self, number_now: np.ndarray) -> "HNSWIndex":
        """The same graph in which points have other numbers, or are gone.

        No search finds a point that is gone, but searches still pass through it, so
        that nothing behind it is cut off. Its memory comes back with a new index
        only. Both share the graph until one of them has to change it.

        Parameters
        ----------
        number_now : ndarray of shape (largest number + 1,)
            New number of every point, -1 where it goes.

        Returns
        -------
        HNSWIndex
            This one stays as it is.

        Examples
        --------
        >>> import numpy as np
        >>> from knngraph.index.hnsw import HNSWIndex
        >>> index = HNSWIndex(n_features=1, capacity=3)
        >>> index.add(np.array([[0.0], [1.0], [5.0]], dtype=np.float32))
        >>> changed = index.renumbered(np.array([1, 0, -1]))
        >>> changed.nearest(np.array([[4.0]], dtype=np.float32), k=2)[0].tolist()
        [[0, 1]]
        """
        there = self._number >= 0
        now = np.where(there, number_now[self._number], -1)
        unlinked = number_now[self._unlinked]
        waits = unlinked >= 0
        twin = HNSWIndex.__new__(HNSWIndex)
        twin.n_features = self.n_features
        twin._take(self._graph, now, unlinked[waits], self._unlinked_rows[waits])
        self._is_shared = twin._is_shared = True
        gone = np.flatnonzero(there & (now < 0))
        twin._to_mark = np.concatenate([self._to_mark, gone])
        twin._searched_before = self._searched_before
        if self._medoid_search is not None:
            places, _ = places_of(self._number, self._unlinked)
            twin._searched_before = self._medoid_search, places
        return twin

    def _marked(self) -> Graph:
        """The graph, in which no search finds what is gone."""
        if len(self._to_mark):
            # In this order: another thread does the same again, or nothing.
            self._graph, self._is_shared = self._graph.copy(self._to_mark), False
            self._to_mark = self._to_mark[:0]
        return self._graph

    def nearest(
        self, queries: np.ndarray, k: int, *, ef: int = 1, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest stored points; see `SearchIndex.nearest`."""
        n_points = self.n_points
        k = min(k, n_points)
        ef = min(max(ef, k), self.n_linked)
        n_linked = min(k, ef)
        ids = np.empty((len(queries), n_linked), dtype=np.intp)
        squared = np.empty((len(queries), n_linked), dtype=np.float32)
        if n_linked:
            graph = self._marked()
            places, squared = graph.search(queries, n_linked, ef, n_threads)
            lost = places[:, 0] < 0
            if lost.any():
                # Fewer than `ef` points are reachable: brute force, just for these.
                there = np.flatnonzero(self._number >= 0)
                exact = ExactIndex(graph.rows(there))
                found, squared[lost] = exact.nearest(queries[lost], n_linked)
                places[lost] = there[found]
            ids = self._number[places]
        if len(self._unlinked):
            away = squared_distances(queries, self._unlinked_rows)
            others = np.broadcast_to(self._unlinked, away.shape)
            squared = np.concatenate([squared, away.astype(np.float32)], axis=1)
            order = np.argsort(squared, axis=1, kind="stable")[:, :k]
            ids = np.take_along_axis(np.concatenate([ids, others], axis=1), order, 1)
            squared = np.take_along_axis(squared, order, axis=1)
        return ids, squared

    def points(self) -> np.ndarray:
        """The rows that a search can find, by their numbers, float32."""
        there = np.flatnonzero(self._number >= 0)
        rows = np.concatenate([self._graph.rows(there), self._unlinked_rows])
        return rows[np.argsort(np.concatenate([self._number[there], self._unlinked]))]

    def latest(self, count: int) -> np.ndarray:
        """Places, among the points by number, of those that were inserted last."""
        in_order = self._number[self._number >= 0]
        return np.searchsorted(self.numbers, in_order[max(len(in_order) - count, 0) :])

    def row_searcher(self, ef: int) -> Callable[[np.ndarray], tuple[int, float]]:
        """A function that finds the node nearest to one row, in few microseconds.

        Returns
        -------
        callable
            From a row of shape (n_features,), float32, to the node that `nearest`
            finds with this `ef`, and the squared distance to it.
        """
        number = self._number

        def search_all(row: np.ndarray) -> tuple[int, float]:
            ids, squared = self.nearest(row[None], 1, ef=ef)
            return ids.item(0), squared.item(0)

        if len(self._unlinked):
            return search_all
        find = self._marked().row_search(min(ef, self.n_linked))

        def search(row: np.ndarray) -> tuple[int, float]:
            place, squared = find(row)
            return (number.item(place), squared) if place >= 0 else search_all(row)

        return search

    def from_medoids(
        self,
        points: np.ndarray,
        entries: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> "MedoidSearch":
        """Another search over the same links, made on first use.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_features), float32
            The points in the order of their numbers.
        entries : tuple of ndarray, or None, default=None
            As from `choose_entries`, which is called for None.

        Returns
        -------
        MedoidSearch
            Names points by their place in `points`; does not follow a later `add`.
        """
        if self._medoid_search is None:
            before = self._searched_before  # another thread may be done with it
            if before is None:
                search = MedoidSearch.of_graph(
                    self.parts(), points, entries, self._unlinked
                )
            else:
                now, unlinked = places_of(self._number, self._unlinked)
                search = before[0].renumbered(before[1], now, points, entries, unlinked)
            self._medoid_search, self._searched_before = search, None
        elif self._medoid_search.points is not points:
            # Copies of rows came: the same points in another array, which a file and
            # the training set would hold twice.
            self._medoid_search = replace(self._medoid_search, points=points)
        return self._medoid_search

    def parts(self) -> HNSWParts:
        """The graph as arrays; rows must not be added meanwhile."""
        parts = self._graph.parts()
        mark_removed(parts.links, self._to_mark)
        is_removed = self._number < 0
        settings = parts.settings | {"has_deletions": bool(is_removed.any())}
        removed = _FIRST_REMOVED + np.arange(self.n_places)
        labels = np.where(is_removed, removed, self._number).astype(np.uint64)
        return replace(parts, settings=settings, labels=labels)

    @property
    def unlinked(self) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and rows of the points that wait outside of the graph."""
        return self._unlinked, self._unlinked_rows

    @classmethod
    def from_parts(
        cls,
        parts: HNSWParts,
        unlinked: np.ndarray | None = None,
        rows: np.ndarray | None = None,
    ) -> "HNSWIndex":
        """The index that the arrays came from; ValueError where there is none.

        Parameters
        ----------
        unlinked, rows : ndarray or None
            As the property `unlinked` has them.
        """
        number = np.where(parts.removed, -1, parts.labels.astype(np.intp))
        if unlinked is not None and rows is not None:
            _check_unlinked(unlinked, rows, parts.vectors)
        index = cls.__new__(cls)
        index.n_features = parts.vectors.shape[1]
        # An engine may copy them: they are freed as soon as it has.
        held = [parts]
        del parts
        index._take(engine().of_parts(held.pop()), number, unlinked, rows)
        return index

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"version": STATE_VERSION}
        if len(self._unlinked):
            state["unlinked"] = self._unlinked, self._unlinked_rows
        return state | {"parts": dict(vars(self.parts()))}

    def state_beside(self, points: np.ndarray) -> dict[str, Any]:
        """The state for a file that holds these points too: without their vectors.

        Parameters
        ----------
        points : ndarray of shape (n_points, n_features)
            In the order of their numbers.
        """
        state = self.__getstate__()
        parts = state["parts"]
        vectors, labels = parts["vectors"], parts["labels"]
        there = labels < len(points)
        same = points.dtype == vectors.dtype and np.array_equal(
            vectors[there].view(np.uint32), points[labels[there]].view(np.uint32)
        )
        parts = parts | {
            "vectors": vectors[~there] if same else vectors,
            # Numbers of four bytes, many of which are zero or take fewer.
            "links": np.ascontiguousarray(parts["links"]).view("<u4"),
        }
        parts = {name: packed(value) for name, value in parts.items()}
        return state | {"parts": parts}

    @classmethod
    def from_state_beside(
        cls, state: dict[str, Any], points: np.ndarray
    ) -> "HNSWIndex":
        """The index of a `state_beside` of these points."""
        parts = {name: unpacked(value) for name, value in state["parts"].items()}
        parts["links"] = parts["links"].view(np.uint8)
        others, labels = parts["vectors"], parts["labels"]
        if len(others) < len(labels):
            there = labels < len(points)
            vectors = np.empty((len(labels), points.shape[1]), dtype=np.float32)
            vectors[there], vectors[~there] = points[labels[there]], others
            parts["vectors"] = vectors
        index = cls.__new__(cls)
        index.__setstate__(state | {"parts": parts})
        return index

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.get("version")
        if version != STATE_VERSION:
            raise SavedModelError(
                f"This index was saved in format {version}; this release of knngraph "
                f"reads format {STATE_VERSION}. Load it with the release that wrote "
                "it, or fit again."
            )
        unlinked = state.get("unlinked", (None, None))
        index = HNSWIndex.from_parts(HNSWParts(**state["parts"]), *unlinked)
        self.__dict__.update(vars(index))


def _check_unlinked(
    unlinked: np.ndarray, rows: np.ndarray, vectors: np.ndarray
) -> None:
    shape = len(unlinked), vectors.shape[1]
    if unlinked.dtype.kind != "i" or rows.dtype != np.float32 or rows.shape != shape:
        raise ValueError("The points outside of the HNSW index are damaged.")
