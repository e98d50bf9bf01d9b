"""Nearest nodes over all partitions: search each of them, keep the best."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.partition import Layout, Partition, Router
from knngraph.distributed.tasks import Held, items, task
from knngraph.index.build import index_for_walk
from knngraph.index.exact import ExactIndex
from knngraph.index.protocol import SearchIndex


@dataclass(frozen=True)
class SearchOptions:
    """How a partition is searched.

    Parameters
    ----------
    ef : int
    exact : bool, default=False
        Whether to compare with every node.
    walk : {"hnsw", "medoids"}, default="hnsw"
        Over the links of the index.
    n_threads : int, default=1
    """

    ef: int
    exact: bool = False
    walk: str = "hnsw"
    n_threads: int = 1


@dataclass(frozen=True)
class Lists(Held):
    """Nearest nodes of queries, nearest first.

    Parameters
    ----------
    ids : ndarray of shape (n_queries, k)
        In one partition counted from its first node, over several of them numbers
        among all.
    squared : ndarray of shape (n_queries, k)
        Squared distances.
    counts : ndarray of shape (n_queries, k) or None
        Rows on the nodes; None where they are one each.
    queries : ndarray of shape (n_queries,) or None
        Which of the queries were searched in the partition; None for all.
    """

    ids: np.ndarray
    squared: np.ndarray
    counts: np.ndarray | None
    queries: np.ndarray | None = None

    def __getitem__(self, rows: Any) -> "Lists":
        """The lists of some queries."""
        counts = None if self.counts is None else self.counts[rows]
        return Lists(self.ids[rows], self.squared[rows], counts)


def nearest_over(
    partitions: list[Any],
    queries: Any,
    k: int,
    layout: Layout,
    options: SearchOptions,
    *,
    home: str | None = None,
) -> Any:
    """The nearest nodes of all partitions around a block of queries, as a task.

    Parameters
    ----------
    partitions : list of Delayed
        `Partition` with an index.
    queries : Delayed
        Mapped rows of shape (n_queries, n_features), float32.
    k : int
        Number of nodes; fewer where there are fewer.
    layout : Layout
        Names the partitions that are searched, and where they are.
    options : SearchOptions
    home : str or None
        Worker of the queries.

    Returns
    -------
    Delayed
        `Lists` of numbers among all nodes; equal distances in their order.
    """
    asked: list[Any] = [(queries, None)] * len(partitions)
    share, options = _share_of_partition(k, layout, options)
    if layout.n_probes is not None and layout.n_probes < len(partitions):
        route = partial(
            _routes,
            router=layout.router,
            n_probes=layout.n_probes,
            sizes=layout.n_nodes,
            k=k,
        )
        routed = task(route, queries, name="route", home=home)
        asked = items(routed, len(partitions), name="route", home=home)
    search = partial(search_partition, k=share, options=options)
    found = [
        task(search, part, some, name="search", home=there)
        for part, some, there in zip(partitions, asked, layout.homes)
    ]
    merge = partial(merge_lists, firsts=layout.firsts, k=k)
    return task(merge, found, queries, name="nearest", home=home)


def search_partition(
    partition: Partition,
    asked: tuple[np.ndarray, np.ndarray | None],
    *,
    k: int,
    options: SearchOptions,
) -> Lists:
    """Search one partition for its nearest nodes.

    Parameters
    ----------
    partition : Partition
    asked : tuple
        Coordinates, and which of the queries they are, None for all.
    k : int
    options : SearchOptions

    Returns
    -------
    Lists
    """
    training, (queries, which) = partition.training, asked
    k = min(k, training.n_nodes)
    if not k or not len(queries):
        ids = np.empty((len(queries), k), dtype=np.int32)
        return Lists(ids, ids.astype(np.float32), None, which)
    index: SearchIndex = ExactIndex(training.points)
    if not options.exact:
        index = index_for_walk(options.walk, partition.index, training.points)
    ids, squared = index.nearest(queries, k, ef=options.ef, n_threads=options.n_threads)
    counts = None
    if training.n_nodes < training.n_rows:
        counts = training.node_weights()[ids].astype(np.int32)
    return Lists(ids.astype(np.int32), squared, counts, which)


def merge_lists(
    found: list[Lists], queries: np.ndarray, *, firsts: np.ndarray, k: int
) -> Lists:
    """Keep the `k` nearest nodes of every query.

    Parameters
    ----------
    found : list of Lists, one a partition
    queries : ndarray of shape (n_queries, n_features)
    firsts : ndarray of shape (n_partitions + 1,)
    k : int

    Returns
    -------
    Lists
    """
    width = sum(part.ids.shape[1] for part in found)
    few = firsts[-1] <= np.iinfo(np.int32).max
    ids = np.zeros((len(queries), width), dtype=np.int32 if few else np.int64)
    dtype = np.result_type(*(part.squared.dtype for part in found))
    squared = np.full(ids.shape, np.inf, dtype=dtype)
    alone = all(part.counts is None for part in found)
    counts = None if alone else np.ones(ids.shape, dtype=np.int32)
    begin = 0
    for part, first in zip(found, firsts):
        columns = slice(begin, begin + part.ids.shape[1])
        rows = slice(None) if part.queries is None else part.queries
        ids[rows, columns] = part.ids + first.astype(ids.dtype)
        squared[rows, columns] = part.squared
        if counts is not None and part.counts is not None:
            counts[rows, columns] = part.counts
        begin = columns.stop
    # Partitions come in the order of their numbers, and so do equal distances.
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :k]
    ids, squared = (np.take_along_axis(part, nearest, 1) for part in (ids, squared))
    if counts is not None:
        counts = np.take_along_axis(counts, nearest, axis=1)
    return Lists(ids, squared, counts)


def _share_of_partition(
    k: int, layout: Layout, options: SearchOptions
) -> tuple[int, SearchOptions]:
    """Nodes that one partition is searched for, and how wide.

    Rows go to partitions by their hash, so that of the `k` nearest each holds about
    k / P, with a variance below that. Four standard deviations more miss one in some
    hundred thousand; the search narrows in proportion, but not below 32.
    """
    n_partitions = layout.router.n_partitions
    if options.exact or layout.router.centroids is not None or k == 1:
        return k, options
    mean = k / n_partitions
    share = min(k, int(np.ceil(mean + 4.0 * np.sqrt(mean))) + 1)
    ef = max(share, min(options.ef, 32), int(np.ceil(options.ef * share / k)))
    return share, replace(options, ef=ef)


def _routes(
    queries: np.ndarray, router: Router, n_probes: int, sizes: np.ndarray, k: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every partition, the queries that are searched there and their places.

    These are the partitions of the nearest centroids, and as many more as it takes
    to hold `k` nodes.
    """
    order = router.nearest(queries)
    nodes_before = np.cumsum(sizes[order], axis=1) - sizes[order]
    wanted = (np.arange(router.n_partitions) < n_probes) | (nodes_before < k)
    asked = np.zeros(order.shape, dtype=bool)
    np.put_along_axis(asked, order, wanted, axis=1)
    places = [np.flatnonzero(column) for column in asked.T]
    return [(queries[place], place) for place in places]
