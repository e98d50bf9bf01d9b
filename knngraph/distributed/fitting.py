"""The tasks that learn from the candidates, up to fitted partitions."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.answering import fit_partition, stored_and_support
from knngraph.distributed.layout import Layout, fetch_from
from knngraph.distributed.learning import (
    Globals,
    fetch_nodes,
    join_learned,
    learn_block,
    wanted_nodes,
)
from knngraph.distributed.partition import Partition
from knngraph.distributed.tasks import compute, persist, task
from knngraph.distributed.thresholds import (
    PAIRS_PER_TASK,
    Thresholds,
    join_lists,
    judge,
    learn_thresholds,
    lend_lists,
    sample_sizes,
    wanted_by_lists,
    wanted_lists,
)
from knngraph.graph.learn import GraphSettings, same_class_quota
from knngraph.parallel import chunk_bounds

# Bytes that one task fetches: so many, or an eighth of the coordinates of a large
# partition.
_FETCHED_BYTES = 32 * 2**20
_PART_FETCHED = 8


def rows_of_patch(n_features: int, settings: GraphSettings, n_nodes: int) -> int:
    """Nodes of one task, so that their candidates stay within bounds."""
    m = max(settings.max_neighbors, *settings.density_scales)
    listed = 1 + m + same_class_quota(settings.max_neighbors)
    # Coordinates, neighbor lists, and what lies on a node.
    n_bytes = max(_FETCHED_BYTES, 4 * n_features * n_nodes // _PART_FETCHED)
    return max(16, n_bytes // (listed * (4 * n_features + 8 * m + 80)))


def learn_all(
    partitions: list[Any],
    around: list[Any],
    own_class: list[Any],
    layout: Layout,
    everything: Globals,
    *,
    strictly: bool,
) -> list[Any]:
    """What is learned of every partition, persisted.

    Solutions that are to be certified are found to half the tolerance.
    """
    if strictly:
        tol = 0.5 * everything.settings.tol
        settings = replace(everything.settings, tol=tol)
        everything = replace(everything, settings=settings)
    learned = []
    fetch = partial(fetch_nodes, offsets=everything.offsets)
    rows = rows_of_patch(
        layout.n_features, everything.settings, int(layout.n_nodes.max())
    )
    for number, home in enumerate(layout.homes):
        mine = (partitions[number], around[number], own_class[number])
        parts = []
        for start, stop in chunk_bounds(int(layout.n_nodes[number]), rows):
            block: dict[str, Any] = {
                "start": start,
                "stop": stop,
                "number": number,
                "everything": everything,
            }
            wanted = task(
                partial(wanted_nodes, **block), *mine, name="wanted", home=home
            )
            fetched = fetch_from(
                lambda q: partial(fetch, number=q),
                [(part,) for part in partitions],
                wanted,
                layout,
                name="fetch",
                home=home,
            )
            parts.append(
                task(
                    partial(learn_block, **block),
                    *mine,
                    fetched,
                    name="learn",
                    home=home,
                )
            )
        join = partial(
            join_learned,
            n_classes=everything.n_classes,
            n_pairs=int(layout.n_pairs.sum()),
        )
        learned.append(task(join, parts, name="learned", home=home))
    return persist(learned)


def learn_thresholds_on(
    partitions: list[Any],
    around: list[Any],
    own_class: list[Any],
    learned: list[Any],
    layout: Layout,
    everything: Globals,
    tolerance: float,
) -> Thresholds:
    """Threshold and exponents from the bounded sample."""
    in_order = layout.router.centroids is None
    sizes = sample_sizes(layout.n_pairs, everything.n_classes, in_order)
    stored = [
        task(stored_of_partition, part, of_part, name="stored", home=home)
        for part, of_part, home in zip(partitions, learned, layout.homes)
    ]
    holders = list(zip(partitions, around, own_class, learned, stored))
    lend = partial(lend_lists, everything=everything)
    fetch = partial(fetch_nodes, offsets=everything.offsets)
    judged = []
    for number, (home, size) in enumerate(zip(layout.homes, sizes)):
        for start, stop in chunk_bounds(int(size), PAIRS_PER_TASK):
            block: dict[str, Any] = {
                "start": start,
                "stop": stop,
                "number": number,
                "everything": everything,
            }
            wanted = task(
                partial(wanted_lists, **block),
                partitions[number],
                around[number],
                name="wanted",
                home=home,
            )
            lent = fetch_from(
                lambda q: partial(lend, number=q),
                holders,
                wanted,
                layout,
                name="lend",
                home=home,
            )
            lists = task(join_lists, lent, name="lists", home=home)
            by_lists = partial(wanted_by_lists, everything=everything)
            fetched = fetch_from(
                lambda q: partial(fetch, number=q),
                [(part,) for part in partitions],
                task(by_lists, lists, name="wanted", home=home),
                layout,
                name="fetch",
                home=home,
            )
            judged.append(
                task(partial(judge, **block), lists, fetched, name="judge", home=home)
            )
    return learn_thresholds(list(compute(*judged)), tolerance)


def fit_partitions(
    partitions: list[Any], built: list[Any], learned: list[Any], layout: Layout
) -> list[Any]:
    """Partitions that answer, persisted."""
    finish = partial(fit_partition, n_pairs=int(layout.n_pairs.sum()))
    return persist(
        [
            task(finish, *parts, name="fitted", home=home)
            for *parts, home in zip(partitions, built, learned, layout.homes)
        ]
    )


def stored_of_partition(
    partition: Partition, learned: Any
) -> tuple[np.ndarray, np.ndarray]:
    stored, support = stored_and_support(partition, learned)
    return stored.codes, support
