"""Candidates over all partitions: every partition is asked, the best are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.distributed.partition import (
    Nodes,
    Offsets,
    Partition,
    Router,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.sizes import Weighed
from knngraph.index.build import SearchRecall, build_index, index_for_walk
from knngraph.index.exact import ExactIndex
from knngraph.index.protocol import SearchIndex


@dataclass(frozen=True)
class PartitionIndex(Weighed):
    """The index over the nodes of one partition.

    Parameters
    ----------
    index : SearchIndex or None
        None where the partition is empty.
    probe : SearchRecall
    """

    index: Any
    probe: SearchRecall


@dataclass(frozen=True)
class Found(Weighed):
    """What one partition found for some queries.

    Parameters
    ----------
    asked : ndarray of shape (n,) or None
        Which of the queries the partition was asked; None for all.
    ids : ndarray of shape (n, k), int32
        Nodes, counted from the first of the partition, nearest first.
    squared : ndarray of shape (n, k)
    codes : ndarray of shape (n, k), int32
        Class of the first pair on the nodes.
    several : Nodes
        Those of the nodes that have more than one row on them.
    through : ndarray of shape (n, k) or None, default=None
        Squared distances through a lens, where they count.
    """

    asked: np.ndarray | None
    ids: np.ndarray
    squared: np.ndarray
    codes: np.ndarray
    several: Nodes
    through: np.ndarray | None = None


@dataclass(frozen=True)
class Merged(Weighed):
    """The nearest of what all partitions found.

    Parameters
    ----------
    ids : ndarray of shape (n_queries, k), int32, or int64 where there are so many
        Numbers among the nodes of all partitions, nearest first.
    squared : ndarray of shape (n_queries, k)
    nodes : Nodes
        All nodes in `ids`, sorted, without coordinates.
    """

    ids: np.ndarray
    squared: np.ndarray
    nodes: Nodes

    def of_queries(self, some: np.ndarray) -> "Merged":
        """The nearest of some queries only."""
        ids = self.ids[some]
        kept = np.searchsorted(self.nodes.ids, np.unique(ids))
        return Merged(ids, self.squared[some], self.nodes.take(kept))


def index_partition(
    partition: Partition,
    M: int,
    ef_construction: int,
    seed: int,
    walk: str,
    n_threads: int,
) -> PartitionIndex:
    """Build the index of a partition, and measure its walk."""
    points = partition.training.points
    if not len(points):
        nothing = np.empty(0, dtype=np.intp)
        return PartitionIndex(None, SearchRecall(nothing[None, :], nothing))
    index, probe = build_index(
        points,
        M=M,
        ef_construction=ef_construction,
        seed=seed,
        walk=walk,
        n_threads=n_threads,
    )
    return PartitionIndex(index, probe)


def search_partition(
    partition: Partition,
    built: PartitionIndex,
    asking: tuple[np.ndarray, np.ndarray | None],
    *,
    number: int,
    offsets: Offsets,
    k: int,
    ef: int,
    exact: bool,
    n_threads: int,
    walk: str = "hnsw",
) -> Found:
    """Ask one partition for its nearest nodes.

    Parameters
    ----------
    partition : Partition
    built : PartitionIndex
    asking : tuple
        Coordinates, and which of the queries they are, None for all.
    number : int
        Of the partition.
    offsets : Offsets
    k, ef : int
    exact : bool
        Whether to compare with every node.
    n_threads : int
    walk : {"hnsw", "medoids"}, default="hnsw"
        Over the links of the index.

    Returns
    -------
    Found
    """
    training, (queries, asked) = partition.training, asking
    k = min(k, training.n_nodes)
    if k and len(queries):
        index: SearchIndex = ExactIndex(training.points)
        if not exact:
            index = index_for_walk(walk, built.index, training.points)
        ids, squared = index.nearest(queries, k, ef=ef, n_threads=n_threads)
    else:
        ids = np.empty((len(queries), k), dtype=np.int32)
        squared = np.empty((len(queries), k), dtype=np.float32)
    first_pair = training.node_starts()[:-1]
    used = np.zeros(training.n_nodes, dtype=bool)
    if training.n_nodes < training.n_rows:
        used[ids.ravel()] = True
        used &= training.node_counts() > 1
    several = take_nodes(
        partition, np.flatnonzero(used), number, offsets, with_points=False
    )
    codes = training.pair_code[first_pair[ids]] if k else ids
    return Found(asked, ids.astype(np.int32), squared, codes.astype(np.int32), several)


def merge_found(
    found: list[Found],
    queries: np.ndarray,
    *,
    offsets: Offsets,
    k: int,
    m: int | None = None,
) -> Merged:
    """Keep the `k` nearest nodes of every query; equals in the order of numbers.

    Of these the `m` that are nearest through the lens, where there is one.
    """
    n_queries = len(queries)
    width = sum(part.ids.shape[1] for part in found)
    ids = np.full((n_queries, width), -1, dtype=offsets.node_type)
    squared = np.full((n_queries, width), np.inf, dtype=_widest(found))
    codes = np.zeros((n_queries, width), dtype=np.int32)
    through = np.full(squared.shape if m else (0, 0), np.inf, dtype=np.float32)
    begin = 0
    for number, part in enumerate(found):
        columns = slice(begin, begin + part.ids.shape[1])
        rows = slice(None) if part.asked is None else part.asked
        ids[rows, columns] = part.ids + offsets.nodes[number].astype(ids.dtype)
        squared[rows, columns] = part.squared
        codes[rows, columns] = part.codes
        if m:
            through[rows, columns] = part.through
        begin = columns.stop
    k = min(k, int(offsets.nodes[-1]), width)
    # Partitions come in the order of their numbers, and so do equal distances.
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :k]
    ids, squared, codes = (
        np.take_along_axis(part, nearest, axis=1) for part in (ids, squared, codes)
    )
    if m:
        squared = np.take_along_axis(through, nearest, axis=1)
        nearest = np.argsort(squared, axis=1, kind="stable")[:, :m]
        ids, squared, codes = (
            np.take_along_axis(part, nearest, axis=1) for part in (ids, squared, codes)
        )
    kept, first = np.unique(ids, return_index=True)
    ones = np.ones(len(kept), dtype=np.int32)
    single = Nodes(
        kept.astype(np.int64),
        # Whoever needs the number of a pair asks for its node.
        np.full(len(kept), -1, dtype=np.int64),
        ones,
        codes.ravel()[first],
        ones,
        np.empty((len(kept), 0), dtype=np.float32),
        np.empty((len(kept), 0)),
    )
    several = [part.several for part in found]
    # What is said of a node with several rows goes before the guess of one.
    nodes = join_nodes([*several, single])
    return Merged(ids, squared, nodes.take(np.searchsorted(nodes.ids, kept)))


def _widest(found: list[Found]) -> Any:
    return np.result_type(*(part.squared.dtype for part in found))


def routes(
    queries: np.ndarray, router: Router, n_probes: int, sizes: np.ndarray, k: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every partition, the queries that ask it and their places.

    The partitions of the nearest centroids are asked, and as many more as it takes
    to hold `k` nodes.
    """
    order = router.nearest(queries, router.n_partitions)
    nodes_before = np.cumsum(sizes[order], axis=1) - sizes[order]
    wanted = (np.arange(router.n_partitions) < n_probes) | (nodes_before < k)
    asked = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(asked, order, wanted, axis=1)
    places = [np.flatnonzero(column) for column in asked.T]
    return [(queries[place], place) for place in places]
