"""The HNSW graph of hnswlib; the only file that imports it."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from knngraph.index.hnsw_parts import HNSWParts, mark_removed
from knngraph.index.protocol import room_for


@cache
def has_hnswlib() -> bool:
    """Whether hnswlib is installed, and can be imported."""
    try:
        import hnswlib  # noqa: F401
    except ImportError:
        return False
    return True


class HnswlibGraph:
    """A graph of hnswlib, which checks no argument; see `Graph`.

    It keeps `ef` as a field that threads share, and fails where fewer than `k` points
    can be reached. Here `ef` belongs to the call, and such queries are told apart.

    Parameters
    ----------
    n_features, capacity, M, ef_construction, seed : int
        As in `HNSWIndex`.
    """

    def __init__(
        self, n_features: int, capacity: int, *, M: int, ef_construction: int, seed: int
    ) -> None:
        import hnswlib

        graph = hnswlib.Index(space="l2", dim=n_features)
        graph.init_index(
            max_elements=capacity,
            M=M,
            ef_construction=ef_construction,
            random_seed=seed,
        )
        self._take(graph)

    def _take(self, graph: Any) -> None:
        # hnswlib searches with max(ef, k): with ef fixed at 1 a wider
        # search requests more neighbors, and no call changes shared state.
        graph.set_ef(1)
        graph.set_num_threads(1)
        self._graph = graph

    @classmethod
    def of_parts(cls, parts: HNSWParts) -> "HnswlibGraph":
        """The graph of these arrays; ValueError where they are of none."""
        state = parts.to_state()
        # hnswlib copies the state: three of them would be held.
        del parts
        return cls._of_state(state)

    @classmethod
    def _of_state(cls, state: dict[str, Any]) -> "HnswlibGraph":
        import hnswlib

        graph = hnswlib.Index.__new__(hnswlib.Index)
        graph.__setstate__((state,))
        own = cls.__new__(cls)
        own._take(graph)
        return own

    @property
    def n_places(self) -> int:
        """Number of points, deleted ones among them."""
        return int(self._graph.get_current_count())

    @property
    def n_bytes(self) -> int:
        """Bytes that the points and their links occupy."""
        return int(self._graph.index_file_size())

    def add(self, points: np.ndarray) -> None:
        """Insert points, by one thread: with more it could not be reproduced."""
        n_places = self.n_places
        wanted = n_places + len(points)
        if wanted > self._graph.get_max_elements():
            self._graph.resize_index(room_for(n_places, wanted))
        places = np.arange(n_places, wanted)
        self._graph.add_items(points, places, num_threads=1)

    def copy(self, removed: np.ndarray) -> "HnswlibGraph":
        """A graph of its own, in which these places are deleted too."""
        state = self._state()
        if len(removed):
            records = state["data_level0"].view(np.uint8).reshape(self.n_places, -1)
            mark_removed(records, removed)
            state["has_deletions"] = True
        return self._of_state(state)

    def parts(self) -> HNSWParts:
        """The graph as arrays; points are numbered by their places."""
        return HNSWParts.from_state(self._state())

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._graph.__getstate__()[0]
        return state

    def rows(self, places: np.ndarray) -> np.ndarray:
        """The points at some places, float32."""
        rows = self._graph.get_items(places, return_type="numpy")
        shape = len(places), self._graph.dim
        return np.asarray(rows, dtype=np.float32).reshape(shape)

    def search(
        self, queries: np.ndarray, k: int, ef: int, n_threads: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the `k` nearest of `ef` points that are kept; see `Graph.search`."""
        try:
            places, squared = self._graph.knn_query(
                queries, k=ef, num_threads=n_threads
            )
        except RuntimeError:
            # Fewer than these points are reachable for some query; the others keep
            # the answer that they get in any other batch.
            places = np.full((len(queries), ef), -1, dtype=np.intp)
            squared = np.zeros((len(queries), ef), dtype=np.float32)
            for i in range(len(queries)):
                try:
                    one = self._graph.knn_query(queries[i], k=ef, num_threads=1)
                except RuntimeError:
                    continue
                places[i], squared[i] = one[0][0], one[1][0]
        return places[:, :k], squared[:, :k]

    def row_search(self, ef: int) -> Callable[[np.ndarray], tuple[int, float]]:
        """A function that finds the place nearest to one row; see `Graph`."""
        query = self._graph.knn_query

        def search(row: np.ndarray) -> tuple[int, float]:
            try:
                places, squared = query(row, ef, 1)
            except RuntimeError:
                return -1, 0.0
            return places.item(0), squared.item(0)

        return search
