"""The tasks that find the candidates of every node."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.layout import Layout, ask_partitions
from knngraph.distributed.partition import points_of
from knngraph.distributed.searching import (
    Merged,
    merge_found,
    search_partition,
)
from knngraph.distributed.surroundings import (
    Surroundings,
    asking_for_own_class,
    join_own_class,
    join_surroundings,
    look_around,
    merge_own_class,
    search_own_class,
)
from knngraph.distributed.tasks import blocks_at_once, compute, persist, task
from knngraph.graph.learn import GraphSettings, same_class_quota
from knngraph.index.protocol import ef_for
from knngraph.parallel import chunk_bounds

# Bytes that one task asks with: so many, or a 64th of a large partition, so that
# the number of tasks stays within what a scheduler can handle.
_ASKING_BYTES = 2 * 2**20
_QUESTIONS = 64


# Rows that the recall of the routing is measured on.
_ROUTED_ROWS = 512


def rows_of_question(n_features: int, n_rows: int) -> int:
    """Rows that one task asks for, out of so many."""
    return max(64, _ASKING_BYTES // (4 * n_features + 400), -(-n_rows // _QUESTIONS))


def look_around_all(
    partitions: list[Any],
    built: list[Any],
    layout: Layout,
    settings: GraphSettings,
    *,
    n_listed: int,
    exact: bool,
    n_threads: int,
) -> list[Any]:
    """Surroundings of all nodes, one persisted task a partition."""
    offsets = layout.offsets
    k = n_listed + 1
    search = partial(
        search_partition,
        offsets=offsets,
        k=k,
        ef=ef_for(k),
        exact=exact,
        n_threads=n_threads,
    )
    around = []
    at_once = blocks_at_once(len(partitions))
    for number, (own, home) in enumerate(zip(partitions, layout.homes)):
        parts: list[Any] = []
        for start, stop in _blocks(
            layout.n_nodes[number],
            rows_of_question(layout.n_features, int(layout.n_nodes[number])),
        ):
            cut = partial(points_of, start=start, stop=stop)
            before = parts[-at_once] if len(parts) >= at_once else None
            queries = task(cut, own, name="queries", home=home, after=before)
            found = ask_partitions(
                lambda q: partial(search, number=q),
                list(zip(partitions, built)),
                queries,
                layout,
                k,
                name="search",
                home=home,
            )
            merge = partial(merge_found, offsets=offsets, k=k)
            merged = task(merge, found, queries, name="nearest", home=home)
            look = partial(
                look_around,
                number=number,
                offsets=offsets,
                start=start,
                settings=settings,
                class_sizes=layout.class_sizes,
            )
            parts.append(task(look, own, merged, name="look", home=home))
        around.append(task(join_surroundings, parts, name="around", home=home))
    return persist(around)


def measure_routing(
    partitions: list[Any],
    built: list[Any],
    layout: Layout,
    k: int,
    n_threads: int,
) -> float:
    """Share of the candidates of sampled rows that the partitions they ask hold.

    Parameters
    ----------
    partitions, built : list of Delayed
    layout : Layout
    k : int
        Candidates of a row.
    n_threads : int

    Returns
    -------
    float
    """
    n_partitions = len(partitions)
    if layout.n_probes is None or layout.n_probes >= n_partitions:
        return 1.0
    offsets = layout.offsets
    search = partial(
        search_partition,
        offsets=offsets,
        k=k,
        ef=ef_for(k),
        exact=False,
        n_threads=n_threads,
    )
    everyone = replace(layout, n_probes=None)
    shares = []
    for own, size in zip(partitions, layout.n_nodes):
        sampled = min(int(size), max(1, _ROUTED_ROWS // n_partitions))
        queries = task(partial(points_of, start=0, stop=sampled), own, name="sample")
        merged = [
            task(
                partial(merge_found, offsets=offsets, k=k),
                ask_partitions(
                    lambda q: partial(search, number=q),
                    list(zip(partitions, built)),
                    queries,
                    asking,
                    k,
                    name="routing",
                ),
                queries,
                name="routing",
            )
            for asking in (layout, everyone)
        ]
        shares.append(task(_kept, *merged, name="routing"))
    found, wanted = np.sum(compute(*shares), axis=0)
    return float(found / wanted)


def _kept(some: Merged, all_of_them: Merged) -> tuple[int, int]:
    """How many candidates are found, and how many there are."""
    found = sum(
        len(np.intersect1d(mine, everyone))
        for mine, everyone in zip(some.ids, all_of_them.ids)
    )
    return found, all_of_them.ids.size


def search_own_classes(
    partitions: list[Any],
    around: list[Any],
    layout: Layout,
    settings: GraphSettings,
    *,
    seed: int,
    n_threads: int,
) -> list[Any]:
    """Candidates of the own class for the pairs that lack them.

    Returns
    -------
    list of Delayed or None
        None where no pair of a partition asks.
    """
    offsets, quota = layout.offsets, same_class_quota(settings.max_neighbors)
    n_short = compute(*(task(_n_short, part, name="short") for part in around))
    search = partial(
        search_own_class,
        offsets=offsets,
        k=quota + 1,
        seed=seed,
        n_threads=n_threads,
    )
    own_class: list[Any] = []
    at_once = blocks_at_once(len(partitions))
    for number, home in enumerate(layout.homes):
        parts: list[Any] = []
        for start, stop in _blocks(
            n_short[number], rows_of_question(layout.n_features, n_short[number])
        )[: n_short[number]]:
            own, near = partitions[number], around[number]
            cut = partial(asking_for_own_class, start=start, stop=stop)
            before = parts[-at_once] if len(parts) >= at_once else None
            asking = task(cut, own, near, name="asking", home=home, after=before)
            found = [
                task(
                    partial(search, number=q),
                    partitions[q],
                    asking,
                    name="own-class",
                    home=layout.homes[q],
                )
                for q in range(len(partitions))
            ]
            merge = partial(
                merge_own_class,
                number=number,
                offsets=offsets,
                quota=quota,
                start=start,
                stop=stop,
            )
            parts.append(task(merge, own, near, found, name="own-class", home=home))
        joined = task(join_own_class, parts, name="own-class", home=home)
        own_class.append(joined if parts else None)
    kept = iter(persist([part for part in own_class if part is not None]))
    return [None if part is None else next(kept) for part in own_class]


def _blocks(n_rows: Any, rows: int) -> list[tuple[int, int]]:
    """Row ranges, at least one, though it be empty."""
    return chunk_bounds(int(n_rows), rows) or [(0, 0)]


def _n_short(around: Surroundings) -> int:
    return len(around.short)
