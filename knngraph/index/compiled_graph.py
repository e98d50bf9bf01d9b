"""The HNSW graph by compiled code of this library: no package beside numba.

The graph is that of hnswlib: the same layers for a seed, the same rule for links. Where
single precision holds all distances exactly, as of small integers, it is the same link
by link; elsewhere the two may round the last bit of a distance differently.
"""

from collections.abc import Callable
from copy import copy
from math import log
from typing import Any

import numpy as np

from knngraph.index.hnsw_parts import NO_ENTRY, HNSWParts, mark_removed
from knngraph.index.protocol import room_for
from knngraph.parallel import map_chunks

_QUERIES_PER_CHUNK = 256
# Deleted points that are kept beside `ef` others, at most, and so many times `ef`.
_SPARE_DELETED, _SPARE_TIMES = 256, 4
# An insertion finds nothing.
_NOTHING = np.empty((0, 0), dtype=np.intp), np.empty((0, 0), dtype=np.float32)
_COUNT = 0xFFFF
# The minimal standard generator of Lewis, Goodman and Miller (1969), IBM Systems
# Journal 8, 136-146, which is the default one of the C++ library of GNU.
_FACTOR, _MODULUS = 16807, 2**31 - 1


class CompiledGraph:
    """The layers of links of an HNSW graph, and its points; see `Graph`.

    Parameters
    ----------
    n_features, capacity, M, ef_construction, seed : int
        As in `HNSWIndex`.
    """

    def __init__(
        self, n_features: int, capacity: int, *, M: int, ef_construction: int, seed: int
    ) -> None:
        self._settings = {
            "ser_version": 1,
            "seed": int(seed),
            "M": int(M),
            "ef_construction": int(max(ef_construction, M)),
            "allow_replace_deleted": False,
        }
        self.n_places, self._n_upper = 0, 0
        self._vectors = np.empty((capacity, n_features), dtype=np.float32)
        # The lists of the lowest layer, then those of the upper layers.
        self._links = np.zeros((capacity, 1 + 2 * M), dtype=np.int32)
        self._first_upper = np.zeros(capacity + 1, dtype=np.int32)
        self._deleted = np.empty(0, dtype=bool)
        self._entry = -1

    @classmethod
    def of_parts(cls, parts: HNSWParts) -> "CompiledGraph":
        """The graph of these arrays; ValueError where they are of none."""
        parts.check()
        settings = parts.settings
        M, n_places = settings["M"], parts.n_points
        graph = cls(
            parts.vectors.shape[1],
            0,
            M=M,
            ef_construction=settings["ef_construction"],
            seed=settings["seed"],
        )
        graph._settings = {name: settings[name] for name in graph._settings}
        upper = parts.upper.view(np.int32).reshape(-1, 1 + M)
        links = np.zeros((n_places + len(upper), 1 + 2 * M), dtype=np.int32)
        links[:n_places] = parts.links.view(np.int32)
        links[n_places:, : 1 + M] = upper
        links[:, 0] &= _COUNT
        graph.n_places, graph._n_upper, graph._links = n_places, len(upper), links
        # Shared where that can be: what is in use of an array never changes.
        graph._vectors = _writable(np.asarray(parts.vectors))
        graph._first_upper = _grown(graph._first_upper, n_places + 1)
        np.cumsum(parts.levels, out=graph._first_upper[1:])
        if parts.removed.any():
            graph._deleted = parts.removed
        if n_places:
            graph._entry = settings["enterpoint_node"]
        return graph

    @property
    def n_bytes(self) -> int:
        """Bytes that the points and their links occupy."""
        per_place = self._vectors.strides[0] + self._first_upper.strides[0]
        per_list = self._links.strides[0]
        return self.n_places * per_place + (self.n_places + self._n_upper) * per_list

    def parts(self) -> HNSWParts:
        """The graph as arrays; points are numbered by their places."""
        n_places, capacity = self.n_places, len(self._vectors)
        settings = self._settings | {
            "max_elements": capacity,
            "max_level": self._top,
            "enterpoint_node": self._entry if n_places else NO_ENTRY,
            "has_deletions": bool(self._deleted.any()),
        }
        lists = self._lists()
        lowest, upper = lists[:n_places].view(np.uint8), lists[n_places:]
        mark_removed(lowest, np.flatnonzero(self._deleted[:n_places]))
        return HNSWParts(
            settings,
            lowest,
            np.arange(n_places, dtype=np.uint64),
            np.diff(self._first_upper[: n_places + 1]),
            upper[:, : 1 + settings["M"]].copy().view(np.uint8).ravel(),
            self._vectors[:n_places],
        )

    def copy(self, removed: np.ndarray) -> "CompiledGraph":
        """A graph of its own, in which these places are deleted too."""
        n_places, twin = self.n_places, copy(self)
        # Without room for more, which both would take.
        twin._vectors = self._vectors[:n_places]
        twin._first_upper = self._first_upper[: n_places + 1]
        twin._links = self._lists()
        if len(removed):
            twin._deleted = _grown(self._deleted[:n_places], n_places)
            twin._deleted[removed] = True
        return twin

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The points at some places, float32."""
        return self._vectors[places]

    def add(self, points: np.ndarray) -> None:
        """Insert points, by one thread, at the places that follow."""
        from knngraph.index import _hnsw

        first, stop = self.n_places, self.n_places + len(points)
        # No more are found than there are: a larger `ef` takes memory alone.
        M, ef = self._settings["M"], min(self._settings["ef_construction"], stop)
        levels = draw_levels(self._settings["seed"], first, len(points), M)
        n_upper = self._n_upper + int(levels.sum())
        self._make_room(stop, n_upper)
        self._vectors[first:stop] = points
        self._first_upper[first + 1 : stop + 1] = self._n_upper + np.cumsum(levels)
        self._entry = _hnsw.search_or_insert(
            *self._arrays(),
            self._vectors[first:stop],
            first,
            ef,
            self._spare(ef),
            *_NOTHING,
        )
        self.n_places, self._n_upper = stop, n_upper

    def search(
        self, queries: np.ndarray, k: int, ef: int, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest of `ef` points that are kept; see `Graph.search`."""
        from knngraph.index import _hnsw

        places = np.empty((len(queries), k), dtype=np.intp)
        squared = np.empty((len(queries), k), dtype=np.float32)
        queries = _writable(queries)
        graph, spare = self._arrays(), self._spare(ef)

        def search(start: int, stop: int) -> None:
            chunk = slice(start, stop)
            found = places[chunk], squared[chunk]
            _hnsw.search_or_insert(*graph, queries[chunk], -1, ef, spare, *found)

        map_chunks(
            search, len(queries), _QUERIES_PER_CHUNK, n_threads, limit_blas=False
        )
        return places, squared

    def row_search(self, ef: int) -> Callable[[np.ndarray], tuple[int, float]]:
        """A function that finds the place nearest to one row; see `Graph`."""
        from knngraph.index import _hnsw

        kernel, graph, spare = _hnsw.search_or_insert, self._arrays(), self._spare(ef)

        def search(row: np.ndarray) -> tuple[int, float]:
            place, squared = np.empty((1, 1), np.intp), np.empty((1, 1), np.float32)
            query = _writable(row[None])
            kernel(*graph, query, -1, ef, spare, place, squared)
            return place.item(0), squared.item(0)

        return search

    @property
    def _top(self) -> int:
        """The highest layer; -1 where there is no point."""
        if self._entry < 0:
            return -1
        first, stop = self._first_upper[self._entry :][:2].tolist()
        return int(stop - first)

    def _arrays(self) -> tuple[Any, ...]:
        """The graph as compiled code takes it."""
        return (
            self._vectors,
            self._links,
            self._first_upper,
            self._deleted,
            self._entry,
            self._top,
        )

    def _spare(self, ef: int) -> int:
        spare = _SPARE_DELETED + _SPARE_TIMES * ef
        return min(spare, int(np.count_nonzero(self._deleted)))

    def _lists(self) -> np.ndarray:
        """A copy of the lists in use: of the lowest layer, then of the others."""
        upper = self._links[len(self._vectors) :]
        return np.concatenate([self._links[: self.n_places], upper[: self._n_upper]])

    def _make_room(self, n_places: int, n_upper: int) -> None:
        """Set memory aside for so many places and lists on the upper layers."""
        capacity = len(self._vectors)
        if n_places <= capacity and n_upper <= len(self._links) - capacity:
            return
        lists, before = self._lists(), self.n_places
        if n_places > capacity:
            capacity = room_for(before, n_places)
            self._vectors = _grown(self._vectors[:before], capacity)
            self._first_upper = _grown(self._first_upper[: before + 1], capacity + 1)
            if len(self._deleted):
                self._deleted = _grown(self._deleted, capacity)
        room = capacity + room_for(self._n_upper, n_upper)
        self._links = _grown(lists[:before], room)
        self._links[capacity:][: self._n_upper] = lists[before:]


def draw_levels(seed: int, first: int, count: int, M: int) -> np.ndarray:
    """Highest layers of points, which follow from the seed and their places.

    A layer has a share of `1 / M` of the points of the layer below. These are the
    numbers that hnswlib draws on Linux, where it inserts all points into one graph.

    Returns
    -------
    ndarray of shape (count,), int32

    Examples
    --------
    >>> from knngraph.index.compiled_graph import draw_levels
    >>> draw_levels(0, 10, 12, 4).tolist()
    [0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0]
    >>> draw_levels(0, 12, 10, 4).tolist() == draw_levels(0, 10, 12, 4).tolist()[2:]
    True
    """
    # Two numbers of the generator make one in double precision, as std::uniform_real
    # distributions do.
    state = (seed % _MODULUS or 1) * pow(_FACTOR, 2 * first, _MODULUS) % _MODULUS
    span = float(_MODULUS - 1)
    levels = np.empty(count, dtype=np.int32)
    for i in range(count):
        low = state * _FACTOR % _MODULUS
        state = low * _FACTOR % _MODULUS
        share = ((low - 1) + (state - 1) * span) / (span * span)
        levels[i] = int(-log(max(share, 0.5**62)) * (1.0 / log(M)))
    return levels


def _grown(array: np.ndarray, length: int) -> np.ndarray:
    """A copy with room for more, which is zero."""
    grown = np.zeros((length, *array.shape[1:]), dtype=array.dtype)
    grown[: len(array)] = array
    return grown


def _writable(rows: np.ndarray) -> np.ndarray:
    """The rows as compiled code always sees them: another kind is compiled anew."""
    if rows.flags.carray and rows.dtype == np.float32:
        return rows
    return np.array(rows, dtype=np.float32, order="C")
