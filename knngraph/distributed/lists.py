"""What a block of the sample asks of all partitions before it is judged."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.distributed.learning import Globals, Learned
from knngraph.distributed.partition import Partition
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import OwnClass, Surroundings
from knngraph.distributed.testimony import (
    Testimony,
    join_testimonies,
    lend_testimony,
    nodes_around,
)
from knngraph.distributed.witnesses import Witnessed
from knngraph.graph.density import normalized_density


@dataclass(frozen=True)
class Lists(Weighed):
    """Neighbor lists of some nodes of a partition, and what was learned there.

    Parameters
    ----------
    nodes, ids, squared, density, stored : ndarray
        Numbers of the nodes among all, the nodes around them, and what is stored.
    short, own_class : ndarray
        Pairs on them that have candidates of their own class besides, and those.
    testimony : Testimony or None
        What is said of the labels around the sample; None where all are believed.
    """

    nodes: np.ndarray
    ids: np.ndarray
    squared: np.ndarray
    density: np.ndarray
    stored: np.ndarray
    short: np.ndarray
    own_class: np.ndarray
    testimony: Testimony | None


def wanted_lists(
    partition: Partition,
    around: Surroundings,
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Nodes that the pairs from `start` to `stop` reach, and all around them.

    Returns
    -------
    list of (ndarray, ndarray)
        Of every partition the nodes whose lists, and those whose testimonies are
        asked for.
    """
    where = (partition, around, start, stop)
    some: dict[str, Any] = {"number": number, "everything": everything}
    reached = nodes_around(*where, 1, **some)
    testifying = nodes_around(*where, everything.n_searched, **some)
    return list(zip(reached, testifying))


def lend_lists(
    partition: Partition,
    around: Surroundings,
    own_class: OwnClass | None,
    learned: Learned,
    stored: np.ndarray,
    witnessed: Witnessed | None,
    wanted: tuple[np.ndarray, np.ndarray],
    *,
    number: int,
    everything: Globals,
) -> Lists:
    """Copy the lists of some nodes, and the testimonies of others."""
    places, testifying = wanted
    training, offsets = partition.training, everything.offsets
    short = np.empty(0, dtype=np.int64)
    lists = np.empty((0, 1), dtype=np.int64)
    if own_class is not None:
        here = np.isin(training.pair_node[own_class.pairs], places)
        short, lists = own_class.pairs[here], own_class.ids[here]
    return Lists(
        offsets.nodes[number] + places.astype(np.int64),
        around.ids[places, : everything.n_searched],
        around.squared[places, : everything.n_searched],
        normalized_density(around.inverse[places], everything.low, everything.high),
        stored[places],
        short + offsets.pairs[number],
        lists,
        None
        if witnessed is None
        else lend_testimony(
            partition, learned, witnessed, testifying, number=number, offsets=offsets
        ),
    )


def join_lists(parts: list[Lists]) -> Lists:
    """Lists from all partitions."""
    width = max(part.own_class.shape[1] for part in parts)
    own_class = [
        np.pad(
            part.own_class,
            ((0, 0), (0, width - part.own_class.shape[1])),
            constant_values=-1,
        )
        for part in parts
    ]
    names = ("nodes", "ids", "squared", "density", "stored", "short")
    joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    said = [part.testimony for part in parts if part.testimony is not None]
    testimony = join_testimonies(said) if said else None
    return Lists(**joined, own_class=np.concatenate(own_class), testimony=testimony)


def wanted_by_lists(lists: Lists, everything: Globals) -> list[np.ndarray]:
    """All nodes that the lists name."""
    named = (lists.nodes, lists.ids.ravel(), lists.own_class.ravel())
    wanted = np.unique(np.concatenate(named))
    return everything.offsets.split(wanted[wanted >= 0])
