"""Partitions on the cluster, and how to ask them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.partition import Offsets, Partition, Router
from knngraph.distributed.searching import index_partition, routes
from knngraph.distributed.tasks import compute, items, persist, task


@dataclass(frozen=True)
class Layout:
    """What partitions there are, where, and of which sizes.

    Parameters
    ----------
    homes : list of str or None
        Worker of every partition, as long as it is alive.
    router : Router
    n_probes : int or None
        Partitions that a row asks; None for all.
    n_features : int
    n_nodes, n_pairs, n_rows : ndarray of shape (n_partitions,)
    class_sizes : ndarray of shape (n_classes,)
        Pairs of every class.
    """

    homes: list[Any]
    router: Router
    n_probes: int | None
    n_features: int
    n_nodes: np.ndarray
    n_pairs: np.ndarray
    n_rows: np.ndarray
    class_sizes: np.ndarray

    @property
    def offsets(self) -> Offsets:
        """Where the numbers of every partition begin."""
        nodes, pairs = (
            np.concatenate([[0], np.cumsum(n)]).astype(np.int64)
            for n in (self.n_nodes, self.n_pairs)
        )
        return Offsets(nodes, pairs)


def lay_out(
    partitions: list[Any],
    homes: list[Any],
    router: Router,
    n_probes: int | None,
    n_features: int,
) -> Layout:
    """Count what the partitions hold."""
    sizes = compute(
        *(
            task(_sizes, part, name="sizes", home=home)
            for part, home in zip(partitions, homes)
        )
    )
    n_nodes, n_pairs, n_rows = np.array([size for size, _ in sizes]).T
    class_sizes = np.sum([of_class for _, of_class in sizes], axis=0)
    return Layout(
        homes, router, n_probes, n_features, n_nodes, n_pairs, n_rows, class_sizes
    )


def build_indices(partitions: list[Any], homes: list[Any], **how: Any) -> list[Any]:
    """One index a partition, built where it lies."""
    return persist(
        [
            task(partial(index_partition, **how), part, name="index", home=home)
            for part, home in zip(partitions, homes)
        ]
    )


def ask_partitions(
    ask: Callable[[int], Callable[..., Any]],
    holders: Sequence[Sequence[Any]],
    queries: Any,
    layout: Layout,
    k: int,
    *,
    name: str,
    home: Any = None,
) -> list[Any]:
    """Send queries to the partitions that are to be asked.

    Parameters
    ----------
    ask : callable
        From the number of a partition to the function that is called there, with
        the holders and (coordinates, places of the queries).
    holders : sequence of sequences of Delayed
        What the function needs of every partition.
    queries : Delayed
        Mapped rows.
    layout : Layout
    k : int
        Nodes that a query wants.
    name : str
    home : str or None
        Where the queries are.

    Returns
    -------
    list of Delayed
        What every partition said, in their order.
    """
    n_partitions = len(holders)
    asking = [(queries, None)] * n_partitions
    if layout.n_probes is not None and layout.n_probes < n_partitions:
        route = partial(
            routes,
            router=layout.router,
            n_probes=layout.n_probes,
            sizes=layout.n_nodes,
            k=k,
        )
        routed = task(route, queries, name="route", home=home)
        asking = items(routed, n_partitions, name="routed", home=home)
    return [
        task(ask(number), *held, asking[number], name=name, home=layout.homes[number])
        for number, held in enumerate(holders)
    ]


def fetch_from(
    fetch: Callable[[int], Callable[..., Any]],
    holders: Sequence[Sequence[Any]],
    wanted: Any,
    layout: Layout,
    *,
    name: str,
    home: Any = None,
) -> list[Any]:
    """Have every partition send the nodes that are wanted of it."""
    lists = items(wanted, len(holders), name="wanted", home=home)
    return [
        task(fetch(number), *held, lists[number], name=name, home=layout.homes[number])
        for number, held in enumerate(holders)
    ]


def _sizes(partition: Partition) -> tuple[list[int], np.ndarray]:
    training = partition.training
    of_class = np.bincount(training.pair_code, minlength=training.n_classes)
    return [training.n_nodes, training.n_pairs, training.n_rows], of_class
