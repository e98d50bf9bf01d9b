"""Neighbor lists of the nodes: the nearest other nodes of every one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.compact import CompactPickle, packed, unpacked
from knngraph.distances import squared_distances_to
from knngraph.index.others import others_of
from knngraph.index.protocol import SearchIndex
from knngraph.parallel import chunk_bounds
from knngraph.weights import LEAST_REST, all_one, without_one_row

# What is worked out of the lists is worked out for so many nodes at once.
NODES_PER_BLOCK = 16384
_EVERY_NODE = slice(None)


@dataclass(frozen=True)
class _LastBits:
    """What bits of distances have beyond those that are measured again, packed."""

    packed: Any


@dataclass(frozen=True)
class Neighbors(CompactPickle):
    """Nearest other nodes, nearest first.

    Parameters
    ----------
    ids : ndarray of shape (n_nodes, k), int32
    squared : ndarray of shape (n_nodes, k), of the type of the rows
        Squared distances.
    node_weights : ndarray of shape (n_nodes,)
        Weight of the rows on every node.
    listed_weights : ndarray of shape (n_nodes, k) or None
        Weight of the rows on the listed nodes, where those are none of the nodes
        that `node_weights` knows.
    """

    ids: np.ndarray
    squared: np.ndarray
    node_weights: np.ndarray
    listed_weights: np.ndarray | None = None

    def state_beside(self, points: np.ndarray) -> dict[str, Any]:
        """The state for a file that holds the nodes too.

        Distances of single precision follow from the nodes but for their last bits,
        which the file holds: one byte, or none, in place of four.
        """
        state = self.__getstate__()
        if self.squared.dtype == np.float32 and self.squared.size:
            last_bits = self.squared.view(np.int32) - _measured(points, self.ids)
            state["squared"] = _LastBits(packed(last_bits))
        return state

    @classmethod
    def from_state_beside(
        cls, state: dict[str, Any], points: np.ndarray
    ) -> "Neighbors":
        """The lists of a `state_beside` of these nodes.

        Distances are measured on their first use: answers of most kinds read none.
        """
        neighbors = cls.__new__(cls)
        last_bits = state["squared"]
        if isinstance(last_bits, _LastBits):
            state = {k: value for k, value in state.items() if k != "squared"}
            vars(neighbors)["_to_measure"] = points, last_bits
        neighbors.__setstate__(state)
        return neighbors

    def __getattr__(self, name: str) -> Any:
        found = vars(self).get("_to_measure")
        if found is not None and name == "squared":
            points, last_bits = found
            bits = _measured(points, self.ids)
            bits += unpacked(last_bits.packed)
            # In this order: another thread finds the one or the other.
            vars(self)["squared"] = bits.view(np.float32)
            vars(self).pop("_to_measure", None)
        if name not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        return vars(self)[name]

    def rows_taken(self, k: int, nodes: slice = _EVERY_NODE) -> np.ndarray:
        """How many rows of each listed node are among the `k` nearest other rows.

        By weight: they are taken until their weights add up to `k`. A node's own
        copies come first, at distance zero; they are not listed. The result has the
        shape (n_nodes, n_listed).
        """
        own = without_one_row(self.node_weights[nodes])
        left = np.maximum(k - own, 0.0)[:, None]
        if self.listed_weights is not None:
            listed_weights = self.listed_weights[nodes]
        elif all_one(self.node_weights):
            listed = np.arange(self.ids.shape[1])[None, :]
            return (listed < left).astype(np.float64)
        else:
            listed_weights = self.node_weights[self.ids[nodes]]
        reached = np.minimum(np.cumsum(listed_weights, axis=1), left)
        return np.diff(reached, axis=1, prepend=0.0)

    def of(self, nodes: np.ndarray) -> "Neighbors":
        """The lists of some nodes."""
        ids = self.ids[nodes]
        listed = self.listed_weights
        return Neighbors(
            ids,
            self.squared[nodes],
            self.node_weights[nodes],
            self.node_weights[ids] if listed is None else listed[nodes],
        )

    def squared_distance_to(self, k: int) -> np.ndarray:
        """Squared distance of every node to the `k`-th nearest other row.

        Where fewer rows are listed, the farthest listed one.
        """
        n_nodes, n_listed = self.ids.shape
        if n_listed == 0:
            return np.zeros(n_nodes)
        distance = np.empty(n_nodes)
        for start, stop in chunk_bounds(n_nodes, NODES_PER_BLOCK):
            nodes = slice(start, stop)
            taken = self.rows_taken(k, nodes) > LEAST_REST
            last = n_listed - 1 - np.argmax(taken[:, ::-1], axis=1)
            farthest = self.squared[np.arange(start, stop), last]
            distance[nodes] = np.where(taken.any(axis=1), farthest, 0.0)
        return distance


def nearest_others(
    index: SearchIndex,
    points: np.ndarray,
    node_weights: np.ndarray,
    k: int,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Neighbors:
    """Search the index for the neighbors of its own points.

    Parameters
    ----------
    index : SearchIndex over `points`
    points : ndarray of shape (n_nodes, n_features)
    node_weights : ndarray of shape (n_nodes,)
        Weight of the rows on every node.
    k : int
        Number of other nodes wanted; fewer where there are fewer.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.neighbors import nearest_others
    >>> from knngraph.index.exact import ExactIndex
    >>> points = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)
    >>> found = nearest_others(ExactIndex(points), points, np.ones(3), k=1)
    >>> found.ids.ravel().tolist(), found.squared.ravel().tolist()
    ([1, 0, 1], [1.0, 1.0, 16.0])
    """
    all_nodes = np.arange(points.shape[0])
    ids, squared = others_of(
        index, points, all_nodes, k, n_threads=n_threads, advance=advance
    )
    return Neighbors(ids, squared, node_weights)


def _measured(points: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """The bits of the squared distances of nodes to those listed, as int32."""
    squared = np.empty(ids.shape, dtype=np.float32)
    for start, stop in chunk_bounds(len(ids), NODES_PER_BLOCK):
        squared[start:stop] = squared_distances_to(
            points[start:stop], points, ids[start:stop]
        )
    return squared.view(np.int32)
