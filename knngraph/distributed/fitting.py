"""The tasks that learn from the candidates, up to fitted partitions."""

from dataclasses import replace
from functools import partial
from operator import getitem
from typing import Any

import numpy as np

from knngraph.distributed.answering import fit_partition, stored_on
from knngraph.distributed.judging import join_judged, judge
from knngraph.distributed.layout import Layout, fetch_from
from knngraph.distributed.learning import (
    Globals,
    fetch_nodes,
    join_blocks,
    join_witnessed,
    learn_block,
    wanted_nodes,
)
from knngraph.distributed.lists import (
    join_lists,
    lend_lists,
    wanted_by_lists,
    wanted_lists,
)
from knngraph.distributed.partition import Partition
from knngraph.distributed.sizes import give_back_freed
from knngraph.distributed.tasks import (
    blocks_at_once,
    compute,
    is_done,
    items,
    persist,
    task,
)
from knngraph.distributed.testimony import join_asked, nodes_around
from knngraph.distributed.thresholds import (
    Thresholds,
    learn_thresholds,
    sample_sizes,
)
from knngraph.distributed.trusting import Chosen, choose_trust
from knngraph.graph.learn import GraphSettings, same_class_quota
from knngraph.inference.calibration import fit_exponent
from knngraph.inference.deciding import DECISION_ROWS
from knngraph.metric.choose_directions import MAX_DIRECTIONS, N_FOLDS
from knngraph.parallel import chunk_bounds

# Bytes that one task fetches: so many, or an eighth of the coordinates of a large
# partition.
_FETCHED_BYTES = 8 * 2**20
_PART_FETCHED = 8
# Pairs of the sample that one task judges, at least and at most.
_FEWEST_JUDGED, _MOST_JUDGED = 8, 32
# Neighbor lists that one fetches: its own, and that of the node it reaches.
_LISTS_OF_JUDGED = 2


def rows_of_patch(
    n_features: int, settings: GraphSettings, n_searched: int, n_nodes: int
) -> int:
    """Nodes of one task, so that their candidates stay within bounds."""
    listed = 1 + n_searched + same_class_quota(settings.max_neighbors)
    # Coordinates, also along lenses, neighbor lists, and what lies on a node.
    n_bytes = max(_FETCHED_BYTES, 4 * n_features * n_nodes // _PART_FETCHED)
    of_node = 4 * n_features + 8 * n_searched + 80
    of_node += _bytes_along_lenses(n_features, settings, n_searched)
    return max(16, n_bytes // (listed * of_node))


def pairs_to_judge(n_features: int, settings: GraphSettings, n_searched: int) -> int:
    """Pairs of the sample of one task, so that what it fetches stays within bounds."""
    listed = 1 + n_searched
    of_candidate = 4 * n_features + 28
    of_candidate += _bytes_along_lenses(n_features, settings, n_searched)
    said_of_it = 12 * settings.max_neighbors + 28
    of_pair = listed * (_LISTS_OF_JUDGED * of_candidate + said_of_it)
    return min(_MOST_JUDGED, max(_FEWEST_JUDGED, _FETCHED_BYTES // of_pair))


def _bytes_along_lenses(
    n_features: int, settings: GraphSettings, n_searched: int
) -> int:
    """Of one node in front of a lens and the three that are blind to a fold."""
    if n_searched == settings.max_neighbors:
        return 0
    return 4 * (1 + N_FOLDS) * min(MAX_DIRECTIONS, n_features)


def ask_around_sample(
    partitions: list[Any], around: list[Any], layout: Layout, everything: Globals
) -> list[Any]:
    """Nodes of every partition that vote on the sample, as tasks."""
    by_asking = []
    sizes = sizes_of_sample(layout, everything)
    for number, (home, size) in enumerate(zip(layout.homes, sizes)):
        if not size:
            continue
        ask = partial(
            nodes_around,
            start=0,
            stop=int(size),
            k=everything.n_searched,
            number=number,
            everything=everything,
        )
        asked = task(ask, partitions[number], around[number], name="asked", home=home)
        by_asking.append(items(asked, len(partitions), name="asked", home=home))
    return [
        task(join_asked, list(parts), name="asked", home=home)
        for parts, home in zip(zip(*by_asking), layout.homes)
    ]


def learn_all(
    partitions: list[Any],
    around: list[Any],
    own_class: list[Any],
    layout: Layout,
    everything: Globals,
    asked: list[Any],
    lens: Any,
    *,
    strictly: bool,
) -> tuple[list[Any], list[Any]]:
    """What is learned of every partition, and who voted where that is asked.

    Solutions that are to be certified are found to half the tolerance.

    Returns
    -------
    learned, witnessed : list of Delayed
        Persisted.
    """
    if strictly:
        tol = 0.5 * everything.settings.tol
        settings = replace(everything.settings, tol=tol)
        everything = replace(everything, settings=settings)
    learned, witnessed = [], []
    fetch = partial(fetch_nodes, offsets=everything.offsets)
    rows = rows_of_patch(
        layout.n_features,
        everything.settings,
        everything.n_searched,
        int(layout.n_nodes.max()),
    )
    at_once = blocks_at_once(len(partitions))
    for number, home in enumerate(layout.homes):
        mine = (partitions[number], around[number], own_class[number])
        parts: list[Any] = []
        for start, stop in chunk_bounds(int(layout.n_nodes[number]), rows):
            before = parts[-at_once] if len(parts) >= at_once else None
            block: dict[str, Any] = {
                "start": start,
                "stop": stop,
                "number": number,
                "everything": everything,
            }
            wanted = task(
                partial(wanted_nodes, **block),
                *mine,
                name="wanted",
                home=home,
                after=before,
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
                    asked[number],
                    lens,
                    name="learn",
                    home=home,
                    later=True,
                )
            )
        join = partial(
            join_blocks,
            n_classes=everything.n_classes,
            n_pairs=int(layout.n_pairs.sum()),
        )
        learned.append(task(join, parts, name="learned", home=home))
        witnessed.append(task(join_witnessed, parts, name="witnessed", home=home))
    persisted = persist([*learned, *witnessed])
    return persisted[: len(learned)], persisted[len(learned) :]


def learn_thresholds_on(
    partitions: list[Any],
    around: list[Any],
    own_class: list[Any],
    learned: list[Any],
    witnessed: list[Any] | None,
    lens: Any,
    layout: Layout,
    everything: Globals,
    tolerance: float,
) -> Thresholds:
    """What is believed, threshold and exponents from the bounded sample.

    Without `witnessed` every label is believed.
    """
    sizes = sizes_of_sample(layout, everything)
    heard = witnessed or [None] * len(partitions)
    stored = [
        task(
            stored_of_learned, part, of_part, name="stored", home=home, after=of_witness
        )
        for part, of_part, of_witness, home in zip(
            partitions, learned, heard, layout.homes
        )
    ]
    holders = list(zip(partitions, around, own_class, learned, stored, heard))
    lend = partial(lend_lists, everything=everything)
    fetch = partial(fetch_nodes, offsets=everything.offsets)
    judged: list[Any] = []
    done: list[Any] = []
    n_pairs = pairs_to_judge(
        layout.n_features, everything.settings, everything.n_searched
    )
    # Whichever partition they are of, they are dealt out to all workers.
    at_once = len(partitions) * blocks_at_once(len(partitions))
    homes, before = layout.homes, np.cumsum(sizes) - sizes
    for number, size in enumerate(sizes):
        for start, stop in chunk_bounds(int(size), n_pairs):
            block: dict[str, Any] = {
                "start": start,
                "stop": stop,
                "number": number,
                "everything": everything,
            }
            # Anywhere: the first partitions hold the whole sample, but not all cores.
            home = homes[len(judged) % len(homes)]
            wanted = task(
                partial(wanted_lists, **block),
                partitions[number],
                around[number],
                name="wanted",
                home=homes[number],
                after=done[-at_once] if len(done) >= at_once else None,
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
            ask = partial(
                judge, **block, decides=before[number] + start < DECISION_ROWS
            )
            judged.append(
                task(ask, lists, fetched, lens, name="judge", home=home, later=True)
            )
            done.append(task(is_done, judged[-1], name="done", home=home))
    judged = persist(judged)
    sample = join_judged(
        list(compute(*(task(getitem, block, 0, name="judged") for block in judged)))
    )
    exponent = fit_exponent(sample.votes, sample.codes, sample.counts)
    chosen = None
    if witnessed is not None:
        chosen = choose_trust(judged, sample.counts, exponent, everything.n_classes)
    return learn_thresholds(
        sample, exponent, chosen, everything.query.n_neighbors, tolerance
    )


def sizes_of_sample(layout: Layout, everything: Globals) -> np.ndarray:
    """How many of its first pairs every partition gives to the sample."""
    in_order = layout.router.centroids is None
    return sample_sizes(layout.n_pairs, everything.n_classes, in_order)


def fit_partitions(
    partitions: list[Any],
    built: list[Any],
    learned: list[Any],
    lens: Any,
    layout: Layout,
    chosen: Chosen | None,
) -> list[Any]:
    """Partitions that answer, persisted."""
    if chosen is not None:  # without what a task need not carry
        chosen = replace(chosen, votes=np.empty((0, 0)))
    finish = partial(fit_partition, n_pairs=int(layout.n_pairs.sum()), chosen=chosen)
    return persist(
        [
            task(finish, *parts, lens, name="fitted", home=home)
            for *parts, home in zip(partitions, built, learned, layout.homes)
        ]
    )


def stored_of_learned(partition: Partition, learned: Any) -> np.ndarray:
    """As `stored_of_partition`, once all blocks are joined and gone."""
    give_back_freed()
    return stored_of_partition(partition, learned)


def stored_of_partition(partition: Partition, learned: Any) -> np.ndarray:
    """Class that is stored on every node."""
    return stored_on(partition, learned).codes
