"""The tasks that learn one lens for all partitions, and how far rows see with it.

The lens is learned where one task brings a bounded sample together: at most 1500
rows, those that one machine takes. Which they are is found from one number and the
class of every pair, 12 bytes each, of at most 50,000 nodes. What comes out goes to
every worker once: 1 KiB a column at the most.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.global_values import neighbors_bandwidth_on
from knngraph.distributed.layout import Layout, fetch_from
from knngraph.distributed.node_sample import blocks_of_sample, wanted_around
from knngraph.distributed.partition import (
    Nodes,
    Offsets,
    Partition,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.shared_lens import SharedLens
from knngraph.distributed.surroundings import Surroundings
from knngraph.distributed.tasks import compute, persist, task
from knngraph.graph.neighbors import Neighbors
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.candidates import BANDWIDTH_ROWS, nearest_through
from knngraph.lens import Lens
from knngraph.metric.choose_directions import choose_directions
from knngraph.metric.choose_lens import places_along, spread_places
from knngraph.metric.gradient_map import FLOOR, MAX_ROWS
from knngraph.metric.place import MAX_FEATURES


def learn_lens_on(
    partitions: list[Any],
    layout: Layout,
    problem: QueryProblem,
    *,
    seed: int,
    n_threads: int,
) -> Any:
    """The lens that `knngraph.metric.choose_lens.choose_lens` keeps of all rows.

    Returns
    -------
    Delayed or None
        Persisted `SharedLens`; None where no lens is kept.
    """
    if layout.n_features > MAX_FEATURES:
        return None
    offsets = layout.offsets
    along = [
        task(_lie_along, part, name="along", home=home)
        for part, home in zip(partitions, layout.homes)
    ]
    spread = task(_spread_numbers, along, name="spread")
    rows = fetch_from(
        lambda q: _pairs_of,
        [(part,) for part in partitions],
        task(partial(_of_partitions, offsets=offsets), spread, name="spread"),
        layout,
        name="seen-rows",
    )
    learn = partial(
        _learn_lens,
        n_classes=len(layout.class_sizes),
        problem=problem,
        seed=seed,
        n_threads=n_threads,
    )
    (lens,) = persist([task(learn, spread, rows, name="lens")])
    (kept,) = compute(task(_is_kept, lens, name="lens-kept"))
    return lens if kept else None


def lens_bandwidth_on(
    partitions: list[Any],
    around: list[Any],
    lens: Any,
    layout: Layout,
    problem: QueryProblem,
    n_searched: int,
) -> float:
    """As `knngraph.inference.candidates.problem_bandwidth` finds it, behind a lens.

    A block of the sample fetches its candidates along the directions of the lens:
    at most 4 * 32 + 28 bytes each, once.
    """
    offsets, seen = layout.offsets, []
    for home, block in blocks_of_sample(layout, BANDWIDTH_ROWS):
        around_it = around[block["number"]]
        wanted = task(
            partial(wanted_around, **block, n_listed=n_searched),
            around_it,
            name="wanted",
            home=home,
        )
        fetched = fetch_from(
            lambda q: partial(_take_seen, number=q, offsets=offsets),
            [(part, lens) for part in partitions],
            wanted,
            layout,
            name="fetch",
            home=home,
        )
        look = partial(
            _look_through,
            **block,
            n_searched=n_searched,
            n_neighbors=problem.n_neighbors,
        )
        seen.append(task(look, around_it, fetched, lens, name="look", home=home))
    seen = persist(seen)
    n_rows = sum(compute(*(task(_n_rows, part, name="count") for part in seen)))
    return neighbors_bandwidth_on(seen, int(n_rows))


def _lie_along(partition: Partition) -> tuple[np.ndarray, np.ndarray]:
    training = partition.training
    return places_along(training), training.pair_code.astype(np.int32)


def _spread_numbers(parts: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Numbers of the pairs of the sample among all, in the order of the sample."""
    along, codes = (np.concatenate(column) for column in zip(*parts))
    return spread_places(along, codes, MAX_ROWS)


def _of_partitions(numbers: np.ndarray, offsets: Offsets) -> list[np.ndarray]:
    return offsets.split_pairs(np.sort(numbers))


def _pairs_of(partition: Partition, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and classes of some pairs of a partition."""
    training = partition.training
    return training.points[training.pair_node[pairs]], training.pair_code[pairs]


def _learn_lens(
    numbers: np.ndarray,
    parts: list[tuple[np.ndarray, np.ndarray]],
    n_classes: int,
    problem: QueryProblem,
    seed: int,
    n_threads: int,
) -> SharedLens | None:
    rows, codes = (np.concatenate(column) for column in zip(*parts))
    by_number = np.argsort(numbers)
    in_order = np.argsort(by_number)
    chosen = choose_directions(
        rows[in_order],
        codes[in_order],
        n_classes,
        problem,
        seed=seed,
        n_threads=n_threads,
    )
    if chosen is None:
        return None
    return SharedLens(chosen, numbers[by_number], chosen.fold_of_row[by_number])


def _is_kept(lens: SharedLens | None) -> bool:
    return lens is not None


def _take_seen(
    partition: Partition,
    lens: SharedLens,
    places: np.ndarray,
    number: int,
    offsets: Offsets,
) -> Nodes:
    """Some nodes with their coordinates along the lens in the place of their own."""
    nodes = take_nodes(partition, places, number, offsets)
    return replace(nodes, points=lens.chosen.lens_over(nodes.points).rows)


def _look_through(
    around: Surroundings,
    fetched: list[Nodes],
    lens: SharedLens,
    *,
    start: int,
    stop: int,
    number: int,
    offsets: Offsets,
    n_searched: int,
    n_neighbors: int,
) -> Surroundings:
    """Surroundings of the nodes from `start` to `stop` as the lens shows them."""
    nodes = join_nodes(fetched)
    own = np.searchsorted(nodes.ids, offsets.nodes[number] + np.arange(start, stop))
    listed = around.ids[start:stop, :n_searched]
    ids, squared = nearest_through(
        Lens(lens.chosen.directions, FLOOR, nodes.points),
        nodes.points[own],
        np.searchsorted(nodes.ids, listed),
        around.squared[start:stop, :n_searched],
        n_neighbors,
    )
    begins = np.cumsum(nodes.n_pairs) - nodes.n_pairs
    counts = np.add.reduceat(nodes.counts, begins)
    seen = Neighbors(ids, squared, counts[own], listed_counts=counts[ids])
    return Surroundings(
        nodes.ids[ids],
        squared,
        seen.squared_distance_to(n_neighbors),
        counts[own],
        around.inverse[start:stop],
        np.empty(0, dtype=np.intp),
    )


def _n_rows(around: Surroundings) -> int:
    return int(around.rows.sum())
