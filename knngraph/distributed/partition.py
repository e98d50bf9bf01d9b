"""Partitions of the training rows, and nodes that travel between them."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from knngraph.distributed.sizes import Weighed
from knngraph.graph.training_set import (
    TrainingSet,
    build_training_set,
    distinct_rows,
    row_hashes,
    training_set_of_pairs,
)
from knngraph.space import Space


@dataclass(frozen=True)
class Piece(Weighed):
    """Rows of one block on their way to one partition, copies once.

    Parameters
    ----------
    points : ndarray of shape (n_distinct, n_features), float32
    place_of_row : ndarray of shape (n_rows,), int32
        Which of the points a row is.
    codes : ndarray of shape (n_rows,), int32
    numbers : ndarray of shape (n_rows,), int64
        Numbers of the rows among all that the user gave.
    """

    points: np.ndarray
    place_of_row: np.ndarray
    codes: np.ndarray
    numbers: np.ndarray


@dataclass(frozen=True)
class Partition(Weighed):
    """Training rows that stay together.

    Parameters
    ----------
    training : TrainingSet
    numbers : ndarray of shape (n_rows,), int64
        Numbers of the rows among all that the user gave.
    """

    training: TrainingSet
    numbers: np.ndarray


@dataclass(frozen=True)
class Router:
    """Says which partition a row belongs to.

    Parameters
    ----------
    n_partitions : int
    seed : int
        Of the hash.
    centroids : ndarray of shape (n_partitions, n_features) or None
        Without them a row goes where its hash says: nodes, in the order of the
        partitions, then have the order that they have on one machine.
    """

    n_partitions: int
    seed: int
    centroids: np.ndarray | None = None

    def homes(self, rows: np.ndarray) -> np.ndarray:
        """Partition of every row; copies have the same."""
        if self.centroids is not None:
            return self.nearest(rows, 1)[:, 0]
        if self.n_partitions == 1:
            return np.zeros(len(rows), dtype=np.intp)
        high = row_hashes(rows, self.seed) >> np.uint64(32)
        return (high * np.uint64(self.n_partitions) >> np.uint64(32)).astype(np.intp)

    def nearest(self, rows: np.ndarray, n_probes: int) -> np.ndarray:
        """Partitions of the nearest centroids, nearest first."""
        assert self.centroids is not None
        squared = np.empty((len(rows), len(self.centroids)))
        for place, centroid in enumerate(self.centroids):
            # Row by row the same sum, whatever the size of the block.
            difference = rows - centroid
            squared[:, place] = np.einsum("ij,ij->i", difference, difference)
        return np.argsort(squared, axis=1, kind="stable")[:, :n_probes]


def split_rows(
    rows: np.ndarray, codes: np.ndarray, first_number: int, router: Router
) -> list[Piece]:
    """Cut mapped rows of a block into one piece a partition."""
    if not len(rows):
        nothing = np.empty(0, dtype=np.int32)
        empty = Piece(rows, nothing, nothing, nothing.astype(np.int64))
        return [empty] * router.n_partitions
    node_of_row, row_of_node = distinct_rows(rows, router.seed)
    home_of_node = router.homes(rows[row_of_node])
    home_of_row = home_of_node[node_of_row]
    pieces = []
    for home in range(router.n_partitions):
        nodes = np.flatnonzero(home_of_node == home)
        here = np.flatnonzero(home_of_row == home)
        pieces.append(
            Piece(
                rows[row_of_node[nodes]],
                np.searchsorted(nodes, node_of_row[here]).astype(np.int32),
                codes[here].astype(np.int32),
                first_number + here.astype(np.int64),
            )
        )
    return pieces


def place_block(
    rows: np.ndarray,
    labels: np.ndarray,
    first_number: int,
    space: Space,
    classes: np.ndarray,
    router: Router,
) -> list[Piece]:
    """Map a block of the user's rows and cut it into pieces."""
    codes = np.searchsorted(classes, labels)
    return split_rows(space.map_rows(rows), codes, first_number, router)


def assemble(pieces: list[Piece], n_classes: int, seed: int) -> Partition:
    """Put the pieces of all blocks together; copies meet here."""
    sizes = [len(piece.points) for piece in pieces]
    begins = np.cumsum(sizes) - sizes
    places = [piece.place_of_row + begin for piece, begin in zip(pieces, begins)]
    points = np.concatenate([piece.points for piece in pieces])
    codes = np.concatenate([piece.codes for piece in pieces])
    numbers = np.concatenate([piece.numbers for piece in pieces])
    if not len(points):
        nobody = np.empty(0, dtype=np.intp)
        nothing = training_set_of_pairs(points, nobody, nobody, nobody, n_classes)
        return Partition(nothing, numbers)
    return Partition(
        build_training_set(points, codes, n_classes, seed, np.concatenate(places)),
        numbers,
    )


@dataclass(frozen=True)
class Nodes(Weighed):
    """Some nodes, and what lies on them, away from their partition.

    Parameters
    ----------
    ids : ndarray of shape (n,), int64
        Numbers among the nodes of all partitions.
    first_pair : ndarray of shape (n,), int64
        Number of the first pair among the pairs of all partitions.
    n_pairs : ndarray of shape (n,), int32
    codes, counts : ndarray of shape (n_pairs.sum(),), int32
        Class and copies of the pairs.
    points : ndarray of shape (n, n_features), float32
        Or without columns, where nobody needs them.
    belief : ndarray of shape (n_pairs.sum(), 2), float64
        How far the class of a pair is believed, and which class gets the rest; or
        without columns, where nobody needs them.
    """

    ids: np.ndarray
    first_pair: np.ndarray
    n_pairs: np.ndarray
    codes: np.ndarray
    counts: np.ndarray
    points: np.ndarray
    belief: np.ndarray

    def take(self, order: np.ndarray) -> "Nodes":
        """These nodes in this order."""
        begins = np.cumsum(self.n_pairs) - self.n_pairs
        pairs = ranges(begins[order], self.n_pairs[order])
        return Nodes(
            self.ids[order],
            self.first_pair[order],
            self.n_pairs[order],
            self.codes[pairs],
            self.counts[pairs],
            self.points[order],
            self.belief[pairs],
        )

    def training_set(self, n_classes: int) -> TrainingSet:
        """The nodes as a training set of their own, in their order."""
        return training_set_of_pairs(
            self.points,
            np.repeat(np.arange(len(self.ids)), self.n_pairs),
            self.codes.astype(np.intp),
            self.counts.astype(np.intp),
            n_classes,
        )

    def pair_numbers(self) -> np.ndarray:
        """Numbers of the pairs among those of all partitions."""
        return ranges(self.first_pair, self.n_pairs)


@dataclass(frozen=True)
class Offsets:
    """Where the numbers of every partition begin.

    Parameters
    ----------
    nodes, pairs : ndarray of shape (n_partitions + 1,), int64
    """

    nodes: np.ndarray
    pairs: np.ndarray

    @property
    def node_type(self) -> Any:
        """Smallest type of the numbers of all nodes."""
        return np.int32 if self.nodes[-1] <= np.iinfo(np.int32).max else np.int64

    def split(self, ids: np.ndarray) -> list[np.ndarray]:
        """Sorted node numbers, by partition, counted from its first."""
        return _split(ids, self.nodes)

    def split_pairs(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Sorted pair numbers, by partition, counted from its first."""
        return _split(numbers, self.pairs)


def _split(numbers: np.ndarray, firsts: np.ndarray) -> list[np.ndarray]:
    cuts = np.searchsorted(numbers, firsts)
    return [
        (numbers[a:b] - first).astype(np.int32)
        for a, b, first in zip(cuts[:-1], cuts[1:], firsts)
    ]


def take_nodes(
    partition: Partition,
    places: np.ndarray,
    number: int,
    offsets: Offsets,
    with_points: bool = True,
    belief: np.ndarray | None = None,
) -> Nodes:
    """Copy some nodes of a partition, for another one.

    Parameters
    ----------
    partition : Partition
    places : ndarray of shape (n,)
        Nodes, counted from the first of the partition.
    number : int
        Of the partition.
    offsets : Offsets
    with_points : bool, default=True
        Whether the coordinates go along.
    belief : ndarray of shape (n_pairs, 2) or None
        Of all pairs of the partition, where it goes along.

    Returns
    -------
    Nodes
    """
    training = partition.training
    starts = training.node_starts()
    first, n_pairs = starts[places], starts[places + 1] - starts[places]
    pairs = ranges(first, n_pairs)
    points = training.points[places]
    return Nodes(
        offsets.nodes[number] + places.astype(np.int64),
        offsets.pairs[number] + first.astype(np.int64),
        n_pairs.astype(np.int32),
        training.pair_code[pairs].astype(np.int32),
        training.pair_count[pairs].astype(np.int32),
        points if with_points else points[:, :0],
        np.empty((len(pairs), 0)) if belief is None else belief[pairs],
    )


def join_nodes(parts: list[Nodes]) -> Nodes:
    """All nodes of several parts, once, sorted by number."""
    if len(parts) == 1 and _ascend(parts[0].ids):
        return parts[0]
    together = Nodes(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Nodes)
        )
    )
    if _ascend(together.ids):
        return together  # as partitions in their order send them: no second copy
    _, first = np.unique(together.ids, return_index=True)
    return together.take(first)


def _ascend(ids: np.ndarray) -> bool:
    return bool((ids[1:] > ids[:-1]).all())


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


def points_of(partition: Partition, start: int, stop: int) -> np.ndarray:
    """Coordinates of consecutive nodes."""
    return partition.training.points[start:stop]
