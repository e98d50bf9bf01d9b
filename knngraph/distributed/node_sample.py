"""A bounded sample of nodes, in blocks that look at what is around them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from knngraph.distributed.layout import Layout
from knngraph.distributed.partition import Offsets
from knngraph.distributed.surroundings import Surroundings
from knngraph.distributed.thresholds import sample_sizes
from knngraph.parallel import chunk_bounds

# Nodes that one task looks at.
_LOOKING_AT_ONCE = 512


def blocks_of_sample(layout: Layout, n_nodes: int) -> Iterator[tuple[Any, dict]]:
    """Blocks of the first nodes of the partitions, so many in all.

    Parameters
    ----------
    layout : Layout
    n_nodes : int

    Yields
    ------
    home : str or None
        Of the partition.
    block : dict
        `number` of the partition, `start` and `stop` in it, and `offsets`.
    """
    in_order = layout.router.centroids is None
    sizes = sample_sizes(layout.n_nodes, 1, in_order, n_nodes)
    for number, (home, size) in enumerate(zip(layout.homes, sizes)):
        for start, stop in chunk_bounds(int(size), _LOOKING_AT_ONCE):
            yield (
                home,
                {
                    "start": start,
                    "stop": stop,
                    "number": number,
                    "offsets": layout.offsets,
                },
            )


def wanted_around(
    around: Surroundings,
    *,
    start: int,
    stop: int,
    number: int,
    offsets: Offsets,
    n_listed: int | None = None,
) -> list[np.ndarray]:
    """What a block wants of every partition: its nodes and those listed near them.

    Parameters
    ----------
    around : Surroundings
        Of partition `number`.
    start, stop, number, offsets
        See `blocks_of_sample`.
    n_listed : int or None, default=None
        Number of nearest nodes; None takes all.

    Returns
    -------
    list of ndarray
        By partition.
    """
    own = offsets.nodes[number] + np.arange(start, stop)
    near = around.ids[start:stop, :n_listed].ravel()
    return offsets.split(np.unique(np.concatenate([own, near])))
