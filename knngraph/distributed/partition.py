"""Partitions of the training rows, and nodes that travel between them."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.collections import given_labels, numeric_rows
from knngraph.distributed.tasks import Held
from knngraph.freed import give_back_freed
from knngraph.graph.order import bring_together
from knngraph.graph.training_set import (
    TrainingSet,
    build_training_set,
    distinct_rows,
    row_hashes,
    training_set_of_pairs,
)
from knngraph.index.build import BuildSettings, build_graph
from knngraph.inference.stored import StoredAnswers
from knngraph.space import Space


@dataclass(frozen=True)
class Piece(Held):
    """Rows of one block on their way to one partition, copies once.

    Parameters
    ----------
    points : ndarray of shape (n_distinct, n_features), float32
    place_of_row, codes : ndarray of shape (n_rows,), int32
        Which of the points a row is, and its class.
    numbers : ndarray of shape (n_rows,), int64
        Numbers of the rows in the collection.
    """

    points: np.ndarray
    place_of_row: np.ndarray
    codes: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class Partition(Held):
    """Training rows that stay together, and what fit adds to them.

    Parameters
    ----------
    training : TrainingSet
    numbers : ndarray of shape (n_rows,), int64
        Numbers of the rows in the collection.
    index : HNSWIndex, ExactIndex or None
        Over the nodes; None before it is built, and where the partition is empty.
    stored : StoredAnswers or None
    own : ndarray of shape (n_pairs,) or None
        Reliability of the label of every pair; None where all labels count in full.
    rival : ndarray of shape (n_pairs,), int32, or None
        Class that gets the rest of the vote.
    """

    training: TrainingSet
    numbers: np.ndarray
    index: Any = None
    stored: StoredAnswers | None = None
    own: np.ndarray | None = None
    rival: np.ndarray | None = None


@dataclass(frozen=True)
class Router:
    """Which partition a row belongs to.

    Parameters
    ----------
    n_partitions : int
    seed : int
        Of the hash.
    centroids : ndarray of shape (n_partitions, n_features) or None
        Without them a row goes where its hash says: nodes, in the order of the
        partitions, then have about the order that they have on one machine.
    """

    n_partitions: int
    seed: int
    centroids: np.ndarray | None = None

    def partition_of(self, rows: np.ndarray) -> np.ndarray:
        """Partition of every row; copies have the same."""
        if self.centroids is not None:
            return self.nearest(rows)[:, 0]
        high = row_hashes(rows, self.seed) >> np.uint64(32)
        return (high * np.uint64(self.n_partitions) >> np.uint64(32)).astype(np.intp)

    def nearest(self, rows: np.ndarray) -> np.ndarray:
        """All partitions, the nearest centroid first."""
        assert self.centroids is not None
        squared = np.empty((len(rows), len(self.centroids)))
        for place, centroid in enumerate(self.centroids):
            # Row by row the same sum, whatever the size of the block.
            difference = rows - centroid
            squared[:, place] = np.einsum("ij,ij->i", difference, difference)
        return np.argsort(squared, axis=1, kind="stable")


@dataclass(frozen=True)
class Layout:
    """Which partitions there are, and where.

    Parameters
    ----------
    homes : list of str or None
        Worker of every partition, as long as it is alive.
    router : Router
    n_probes : int or None
        Partitions that are searched for a row; None for all.
    n_features, n_mapped : int
        Columns of the user's rows, and of mapped ones.
    n_nodes, n_rows : ndarray of shape (n_partitions,)
    """

    homes: list[str | None]
    router: Router
    n_probes: int | None
    n_features: int
    n_mapped: int
    n_nodes: np.ndarray
    n_rows: np.ndarray

    @cached_property
    def firsts(self) -> np.ndarray:
        """First node of every partition among those of all, and their number."""
        return np.concatenate([[0], np.cumsum(self.n_nodes)]).astype(np.int64)

    def split(self, ids: np.ndarray) -> list[np.ndarray]:
        """Sorted node numbers, by partition, counted from its first."""
        cuts = np.searchsorted(ids, self.firsts)
        return [
            (ids[a:b] - first).astype(np.int32)
            for a, b, first in zip(cuts[:-1], cuts[1:], self.firsts)
        ]


@dataclass(frozen=True)
class Nodes(Held):
    """Some nodes, and what lies on them, away from their partition.

    Parameters
    ----------
    ids : ndarray of shape (n,), int64
        Numbers among the nodes of all partitions, ascending.
    n_pairs : ndarray of shape (n,), int32
    pair_code, pair_count : ndarray of shape (n_pairs.sum(),), int32
    points : ndarray of shape (n, n_features), float32
        Or without columns, where they are not read.
    own, rival : ndarray of shape (n_pairs.sum(),) or None
    codes : ndarray of shape (n,) or None
    shares : ndarray or CSR array of shape (n, n_classes) or None
        Stored labels, and the shares of the vote behind them.
    """

    ids: np.ndarray
    n_pairs: np.ndarray
    pair_code: np.ndarray
    pair_count: np.ndarray
    points: np.ndarray
    own: np.ndarray | None = None
    rival: np.ndarray | None = None
    codes: np.ndarray | None = None
    shares: Any = None

    def take(self, order: np.ndarray) -> "Nodes":
        """These nodes in this order."""
        pairs = ranges(
            (np.cumsum(self.n_pairs) - self.n_pairs)[order], self.n_pairs[order]
        )
        taken: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            by_pair = field.name in ("pair_code", "pair_count", "own", "rival")
            if value is not None:
                taken[field.name] = value[pairs if by_pair else order]
        return Nodes(**taken)

    def training_set(self, n_classes: int) -> TrainingSet:
        """The nodes as a training set of their own, in their order."""
        return training_set_of_pairs(
            self.points,
            np.repeat(np.arange(len(self.ids)), self.n_pairs),
            self.pair_code.astype(np.intp),
            self.pair_count.astype(np.float64),
            n_classes,
        )


def place_block(
    X: Any, y: Any, first: int, *, space: Space, classes: np.ndarray, router: Router
) -> list[Piece]:
    """Map a block of the user's rows and cut it into one piece a partition."""
    rows = space.map_rows(numeric_rows(X))
    codes = np.searchsorted(classes, given_labels(y)).astype(np.int32)
    if not len(rows):
        nothing = np.empty(0, dtype=np.int32)
        return [Piece(rows, nothing, nothing, nothing.astype(np.int64))] * (
            router.n_partitions
        )
    node_of_row, row_of_node = distinct_rows(rows, router.seed)
    partition_of_node = router.partition_of(rows[row_of_node])
    pieces = []
    for number in range(router.n_partitions):
        nodes = np.flatnonzero(partition_of_node == number)
        here = np.flatnonzero(partition_of_node[node_of_row] == number)
        places = np.full(len(row_of_node), -1, dtype=np.int32)
        places[nodes] = np.arange(len(nodes))
        points, numbers = rows[row_of_node[nodes]], first + here.astype(np.int64)
        pieces.append(Piece(points, places[node_of_row[here]], codes[here], numbers))
    return pieces


def assemble(pieces: list[Piece], n_classes: int, seed: int) -> Partition:
    """Put the pieces of all blocks together; copies meet here."""
    sizes = [len(piece.points) for piece in pieces]
    begins = np.cumsum(sizes) - sizes
    places = [piece.place_of_row + begin for piece, begin in zip(pieces, begins)]
    points = np.concatenate([piece.points for piece in pieces])
    codes = np.concatenate([piece.codes for piece in pieces])
    numbers = np.concatenate([piece.numbers for piece in pieces])
    if not len(points):
        empty = np.empty(0, dtype=np.intp)
        nothing = training_set_of_pairs(points, empty, empty, empty, n_classes)
        return Partition(nothing, numbers)
    in_points = np.concatenate(places)
    return Partition(
        build_training_set(points, codes, n_classes, seed, in_points), numbers
    )


def sizes_of(partition: Partition) -> tuple[int, int, np.ndarray]:
    """Nodes and rows of a partition, and the pairs of every class."""
    training = partition.training
    of_class = np.bincount(training.pair_code, minlength=training.n_classes)
    return training.n_nodes, training.n_rows, of_class


def with_index(partition: Partition, settings: BuildSettings) -> Partition:
    """Build the index of a partition."""
    give_back_freed()  # of the pilot, and of blocks that have become pieces
    if not partition.training.n_nodes:
        return partition
    training, cells = bring_together(partition.training, settings)
    built = build_graph(training.points, settings=settings, measured=False, found=cells)
    return replace(partition, training=training, index=built.index)


def take_nodes(
    partition: Partition,
    places: np.ndarray,
    number: int,
    layout: Layout,
    *,
    points: bool = False,
    reliability: bool = False,
    stored: bool = False,
) -> Nodes:
    """Copy some nodes of a partition, for another one.

    Parameters
    ----------
    partition : Partition
    places : ndarray of shape (n,)
        Nodes, counted from the first of the partition, ascending.
    number : int
        Of the partition.
    layout : Layout
    points, reliability, stored : bool
        What goes along.

    Returns
    -------
    Nodes
    """
    training = partition.training
    starts = training.node_starts()
    n_pairs = starts[places + 1] - starts[places]
    pairs = ranges(starts[places], n_pairs)
    width = training.points.shape[1] if points else 0
    own, rival = (partition.own, partition.rival) if reliability else (None, None)
    answers = partition.stored if stored else None
    return Nodes(
        layout.firsts[number] + places.astype(np.int64),
        n_pairs.astype(np.int32),
        training.pair_code[pairs].astype(np.int32),
        training.pair_weight[pairs].astype(np.int32),
        training.points[places, :width],
        None if own is None else own[pairs],
        None if rival is None else rival[pairs],
        None if answers is None else answers.codes[places],
        None if answers is None else answers.shares[places],
    )


def join_nodes(parts: list[Nodes]) -> Nodes:
    """All nodes of several parts, once, sorted by number."""
    parts = [part for part in parts if len(part.ids)] or parts[:1]
    if len(parts) == 1:
        return parts[0]
    joined: dict[str, Any] = {}
    for field in fields(Nodes):
        values = [getattr(part, field.name) for part in parts]
        if values[0] is None:
            joined[field.name] = None
        elif sparse.issparse(values[0]):
            joined[field.name] = sparse.csr_array(sparse.vstack(values))
        else:
            joined[field.name] = np.concatenate(values)
    together = Nodes(**joined)
    if (together.ids[1:] > together.ids[:-1]).all():
        return together  # as partitions in their order send them: no second copy
    return together.take(np.unique(together.ids, return_index=True)[1])


def ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Concatenation of `range(start, start + length)`.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distributed.partition import ranges
    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    begins = np.cumsum(lengths) - lengths
    within = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
    return np.repeat(starts, lengths) + within
