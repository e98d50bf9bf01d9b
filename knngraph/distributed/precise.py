"""Refuse rows that single precision cannot tell apart, as one machine does.

The bound that needs no look at the user's rows is found where 2000 nodes lie, which
fetch their nearest node and the nearest of another class. Only where it is broken
are a few rows on these nodes brought to one worker as the user gave them.
"""

from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from knngraph.distributed.blocks import numeric_rows
from knngraph.distributed.layout import Layout, fetch_from
from knngraph.distributed.node_sample import blocks_of_sample, wanted_around
from knngraph.distributed.partition import (
    Nodes,
    Offsets,
    Partition,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import Surroundings
from knngraph.distributed.tasks import compute, persist, task
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.precision import (
    PRECISION_SAMPLE,
    TOLERATED_SHARE,
    check_precision,
    may_be_blurred,
    nearest_of_another_class,
)
from knngraph.graph.training_set import rows_on_nodes
from knngraph.space import Space

# Rows of every class on a node that say whether they differ before they are rounded.
_ROWS_OF_CLASS = 4


@dataclass(frozen=True)
class Looked(Weighed):
    """Nodes of the sample, in numbers of all partitions, and who is near them.

    Parameters
    ----------
    own, nearest, rival : ndarray of shape (n,), int64
        A node, its nearest and the nearest of another class than that; the node
        itself where there is none.
    counts : ndarray of shape (n,)
        Rows on the node.
    blurred : ndarray of shape (n,), bool
        Whether rows of several classes lie on it, or the two may look equally near.
    """

    own: np.ndarray
    nearest: np.ndarray
    rival: np.ndarray
    counts: np.ndarray
    blurred: np.ndarray

    def nodes(self) -> np.ndarray:
        """All nodes that are named, ascending."""
        return np.unique(np.concatenate([self.own, self.nearest, self.rival]))


def check_precision_on(
    space: Space,
    blocks: list[Any],
    first_numbers: np.ndarray,
    partitions: list[Any],
    around: list[Any],
    layout: Layout,
) -> None:
    """As `knngraph.graph.precision.check_precision`, for rows on a cluster.

    Parameters
    ----------
    space : Space
    blocks : list of Delayed
        Of X, as the user gave it.
    first_numbers : ndarray of shape (n_blocks,)
        Number of the first row of every block.
    partitions, around : list of Delayed
    layout : Layout
    """
    offsets, n_classes = layout.offsets, len(layout.class_sizes)
    looked: list[Any] = []
    for home, block in blocks_of_sample(layout, PRECISION_SAMPLE):
        around_it = around[block["number"]]
        listed = task(
            partial(wanted_around, **block), around_it, name="wanted", home=home
        )
        codes = _fetch(partitions, listed, layout, home, with_points=False)
        name = partial(_name_rivals, **block, n_classes=n_classes)
        named = task(name, around_it, codes, name="rivals", home=home)
        split = task(partial(_named, offsets=offsets), named, name="wanted", home=home)
        nodes = _fetch(partitions, split, layout, home, with_points=True)
        compare = partial(_compare, n_classes=n_classes)
        looked.append(task(compare, named, nodes, name="blurred", home=home))
    (everyone,) = persist([task(_join, looked, name="blurred")])
    (suspect,) = compute(task(_are_too_many, everyone, name="blurred"))
    if not suspect:
        return
    split = task(partial(_named, offsets=offsets), everyone, name="wanted")
    on_nodes = fetch_from(
        lambda q: partial(_rows_on, number=q, offsets=offsets),
        [(part,) for part in partitions],
        split,
        layout,
        name="rows",
    )
    numbers = task(_numbers_of, on_nodes, name="rows")
    rows = [
        task(partial(_rows_as_given, first=int(first)), X, numbers, name="rows")
        for X, first in zip(blocks, first_numbers)
    ]
    check = partial(_check, space=space, n_classes=n_classes)
    compute(task(check, everyone, on_nodes, rows, name="precision"))


def _fetch(
    partitions: list[Any], wanted: Any, layout: Layout, home: Any, with_points: bool
) -> list[Any]:
    def take(number: int) -> Any:
        how: dict[str, Any] = {"number": number, "offsets": layout.offsets}
        return partial(take_nodes, **how, with_points=with_points)

    held = [(part,) for part in partitions]
    return fetch_from(take, held, wanted, layout, name="fetch", home=home)


def _name_rivals(
    around: Surroundings,
    fetched: list[Nodes],
    *,
    start: int,
    stop: int,
    number: int,
    offsets: Offsets,
    n_classes: int,
) -> Looked:
    nodes = join_nodes(fetched)
    training = nodes.training_set(n_classes)
    own = np.searchsorted(nodes.ids, offsets.nodes[number] + np.arange(start, stop))
    listed = np.searchsorted(nodes.ids, around.ids[start:stop])
    rival = nearest_of_another_class(training, listed)
    nearest = listed[:, 0] if listed.shape[1] else own
    return Looked(
        nodes.ids[own],
        nodes.ids[nearest],
        nodes.ids[np.where(rival < 0, own, rival)],
        training.node_counts()[own],
        np.diff(training.node_starts())[own] > 1,
    )


def _named(looked: Looked, offsets: Offsets) -> list[np.ndarray]:
    return offsets.split(looked.nodes())


def _compare(looked: Looked, fetched: list[Nodes], n_classes: int) -> Looked:
    """Mark the nodes whose nearest and rival may look equally near."""
    nodes = join_nodes(fetched)
    own, nearest, rival = (
        np.searchsorted(nodes.ids, some)
        for some in (looked.own, looked.nearest, looked.rival)
    )
    blurred, has_rival = looked.blurred.copy(), np.flatnonzero(rival != own)
    blurred[has_rival] |= may_be_blurred(
        nodes.training_set(n_classes),
        own[has_rival],
        nearest[has_rival, None],
        rival[has_rival],
    )
    return replace(looked, blurred=blurred)


def _join(parts: list[Looked]) -> Looked:
    columns = (
        np.concatenate([getattr(part, field.name) for part in parts])
        for field in fields(Looked)
    )
    return Looked(*columns)


def _are_too_many(looked: Looked) -> bool:
    limit = TOLERATED_SHARE * looked.counts.sum()
    return bool(looked.counts[looked.blurred].sum() > limit)


@dataclass(frozen=True)
class _OnNodes(Weighed):
    """Some nodes, and a few rows on them: numbers, places of their nodes, classes."""

    nodes: Nodes
    numbers: np.ndarray
    places: np.ndarray
    codes: np.ndarray


def _rows_on(
    partition: Partition, places: np.ndarray, number: int, offsets: Offsets
) -> _OnNodes:
    """The first few rows of every class on some nodes of a partition."""
    training = partition.training
    rows = np.flatnonzero(np.isin(training.node_of_row, places))
    pairs = training.pair_of_row[rows]
    order = np.lexsort((partition.numbers[rows], pairs))
    rows, pairs = rows[order], pairs[order]
    rank = np.arange(len(rows)) - np.searchsorted(pairs, pairs)
    rows = rows[rank < _ROWS_OF_CLASS]
    return _OnNodes(
        take_nodes(partition, places, number, offsets),
        partition.numbers[rows],
        offsets.nodes[number] + training.node_of_row[rows],
        training.codes[rows],
    )


def _numbers_of(on_nodes: list[_OnNodes]) -> np.ndarray:
    return np.sort(np.concatenate([part.numbers for part in on_nodes]))


def _rows_as_given(X: Any, numbers: np.ndarray, first: int) -> np.ndarray:
    """Those of some rows that a block holds, in their order."""
    rows = numeric_rows(X)
    here = slice(*np.searchsorted(numbers, [first, first + len(rows)]))
    return rows[numbers[here] - first]


def _check(
    looked: Looked,
    on_nodes: list[_OnNodes],
    rows: list[np.ndarray],
    space: Space,
    n_classes: int,
) -> None:
    numbers, nodes_of_rows, codes = (
        np.concatenate([getattr(part, name) for part in on_nodes])
        for name in ("numbers", "places", "codes")
    )
    in_order = np.argsort(numbers)
    nodes = join_nodes([part.nodes for part in on_nodes])
    # The nodes that are looked at come first.
    others = np.setdiff1d(nodes.ids, looked.own, assume_unique=True)
    ids = np.concatenate([looked.own, others])
    sorter = np.argsort(ids)

    def place(some: np.ndarray) -> np.ndarray:
        return sorter[np.searchsorted(ids, some, sorter=sorter)]

    training = rows_on_nodes(
        nodes.points[np.searchsorted(nodes.ids, ids)],
        place(nodes_of_rows[in_order]),
        codes[in_order],
        n_classes,
    )
    none = looked.rival == looked.own
    rival = np.where(none, looked.nearest, looked.rival)
    listed = np.column_stack([place(looked.nearest), place(rival)]).astype(np.int32)
    nothing = np.zeros(listed.shape, dtype=np.float32)
    near = Neighbors(listed, nothing, training.node_counts())
    check_precision(space, np.concatenate(rows), training, near, counts=looked.counts)
