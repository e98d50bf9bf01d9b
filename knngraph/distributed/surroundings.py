"""What fit learns of every node from its candidates alone, and what it needs."""

from dataclasses import dataclass

import numpy as np

from knngraph.distributed.partition import (
    Nodes,
    Offsets,
    Partition,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.searching import Merged
from knngraph.distributed.sizes import Weighed
from knngraph.graph.candidates import pairs_short_of_own_class, search_within
from knngraph.graph.density import inverse_distances
from knngraph.graph.learn import GraphSettings, same_class_quota
from knngraph.graph.neighbors import Neighbors, all_but_self
from knngraph.graph.training_set import TrainingSet


@dataclass(frozen=True)
class Surroundings(Weighed):
    """Nearest other nodes of consecutive nodes of a partition.

    Parameters
    ----------
    ids : ndarray of shape (n, k), int32, or int64 where there are so many
        Numbers among the nodes of all partitions.
    squared : ndarray of shape (n, k), float32
    to_farthest : ndarray of shape (n,)
        Squared distance to the `max_neighbors`-th nearest other row.
    rows : ndarray of shape (n,)
        Number of rows on the nodes.
    inverse : ndarray of shape (n, n_scales)
        See `knngraph.graph.density.inverse_distances`.
    short : ndarray
        Pairs of the partition, by their number in it, that lack neighbors of their
        own class.
    """

    ids: np.ndarray
    squared: np.ndarray
    to_farthest: np.ndarray
    rows: np.ndarray
    inverse: np.ndarray
    short: np.ndarray


@dataclass(frozen=True)
class OwnClass(Weighed):
    """Nearest nodes of the own class, for pairs that are short of it.

    Parameters
    ----------
    pairs : ndarray of shape (n,)
        By their number in the partition, ascending.
    ids : ndarray of shape (n, quota), int64
        Nodes among all, nearest first, padded with -1.
    """

    pairs: np.ndarray
    ids: np.ndarray


def look_around(
    partition: Partition,
    merged: Merged,
    *,
    number: int,
    offsets: Offsets,
    start: int,
    settings: GraphSettings,
    class_sizes: np.ndarray,
) -> Surroundings:
    """Read off the candidates of the nodes from `start` on what they say."""
    training = partition.training
    n, k = len(merged.ids), max(merged.ids.shape[1] - 1, 0)
    own = np.arange(start, start + n)
    others = all_but_self(merged.ids, offsets.nodes[number] + own)
    ids = merged.ids[others].reshape(n, k)
    squared = merged.squared[others].reshape(n, k).astype(np.float32)
    here = take_nodes(partition, own, number, offsets, with_points=False)
    nodes = join_nodes([here, merged.nodes])
    patch = nodes.training_set(training.n_classes)
    neighbors = neighbors_in(patch, nodes.ids, here.ids, ids, squared)
    around = neighbors_of(neighbors, np.searchsorted(nodes.ids, here.ids))
    starts = training.node_starts()
    asking = np.arange(starts[start], starts[start + n])
    places = pairs_in_patch(nodes, offsets.pairs[number] + asking)
    wanted = np.minimum(same_class_quota(settings.max_neighbors), class_sizes - 1)
    short = pairs_short_of_own_class(
        patch, neighbors, wanted, settings.max_neighbors, places
    )
    return Surroundings(
        ids,
        squared,
        around.squared_distance_to(settings.max_neighbors),
        around.counts,
        inverse_distances(around, settings.density_scales),
        asking[np.isin(places, short)],
    )


def join_surroundings(parts: list[Surroundings]) -> Surroundings:
    """Surroundings of all nodes of a partition from those of its blocks."""
    fields = ("ids", "squared", "to_farthest", "rows", "inverse", "short")
    return Surroundings(
        *(np.concatenate([getattr(part, f) for part in parts]) for f in fields)
    )


def lists_of(around: Surroundings) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What a plain classifier keeps of the surroundings."""
    return around.ids, around.squared, around.inverse


def pairs_in_patch(nodes: Nodes, pair_numbers: np.ndarray) -> np.ndarray:
    """Places of pairs, in ascending order of their numbers."""
    return np.flatnonzero(np.isin(nodes.pair_numbers(), pair_numbers))


def neighbors_in(
    patch: TrainingSet,
    patch_ids: np.ndarray,
    asking: np.ndarray,
    ids: np.ndarray,
    squared: np.ndarray,
) -> Neighbors:
    """Neighbor lists in the numbers of a patch.

    Parameters
    ----------
    patch : TrainingSet
    patch_ids : ndarray of shape (n_nodes,)
        Numbers of its nodes among all, ascending.
    asking : ndarray of shape (n,)
        Numbers of nodes that have a list.
    ids, squared : ndarray of shape (n, k)
        Their lists.

    Returns
    -------
    Neighbors
        Of all nodes of the patch; those that have no list are not to be asked.
    """
    shape = (patch.n_nodes, ids.shape[1])
    listed = np.zeros(shape, dtype=np.int32)
    distances = np.zeros(shape, dtype=np.float32)
    place = np.searchsorted(patch_ids, asking)
    listed[place] = np.searchsorted(patch_ids, ids)
    distances[place] = squared
    return Neighbors(listed, distances, patch.node_counts())


def neighbors_of(neighbors: Neighbors, places: np.ndarray) -> Neighbors:
    """The lists of some nodes, with the rows on the nodes that they name."""
    ids = neighbors.ids[places]
    return Neighbors(
        ids,
        neighbors.squared[places],
        neighbors.counts[places],
        listed_counts=neighbors.counts[ids],
    )


def asking_for_own_class(
    partition: Partition, around: Surroundings, start: int, stop: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates and classes of some of the pairs that look for their own class."""
    training, short = partition.training, around.short[start:stop]
    return training.points[training.pair_node[short]], training.pair_code[short]


def search_own_class(
    partition: Partition,
    asking: tuple[np.ndarray, np.ndarray],
    *,
    number: int,
    offsets: Offsets,
    k: int,
    seed: int,
    n_threads: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest nodes of a partition that hold the class of each query.

    Returns
    -------
    ids : ndarray of shape (n, k), int64
        Padded with -1.
    squared : ndarray of shape (n, k)
        Padded with infinity.
    """
    training = partition.training
    queries, codes = asking
    ids = np.full((len(queries), k), -1, dtype=np.int64)
    squared = np.full((len(queries), k), np.inf)
    for code in np.unique(codes):
        members = training.pair_node[training.pair_code == code]
        if not len(members):
            continue
        of_class = np.flatnonzero(codes == code)
        width = min(k, len(members))
        found, distance = search_within(
            training.points[members],
            queries[of_class],
            width,
            seed=seed,
            n_threads=n_threads,
        )
        ids[of_class, :width] = offsets.nodes[number] + members[found]
        squared[of_class, :width] = distance
    return ids, squared


def merge_own_class(
    partition: Partition,
    around: Surroundings,
    found: list[tuple[np.ndarray, np.ndarray]],
    *,
    number: int,
    offsets: Offsets,
    quota: int,
    start: int,
    stop: int,
) -> OwnClass:
    """Keep the nearest of the own class, without the node that asks."""
    ids = np.concatenate([part for part, _ in found], axis=1)
    squared = np.concatenate([part for _, part in found], axis=1)
    short = around.short[start:stop]
    nodes = offsets.nodes[number] + partition.training.pair_node[short]
    squared[ids == nodes[:, None]] = np.inf
    ids[ids == nodes[:, None]] = -1
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :quota]
    kept = np.full((len(ids), quota), -1, dtype=np.int64)
    kept[:, : nearest.shape[1]] = np.take_along_axis(ids, nearest, axis=1)
    return OwnClass(short, kept)


def join_own_class(parts: list[OwnClass]) -> OwnClass:
    """Lists of all pairs of a partition that asked."""
    return OwnClass(
        np.concatenate([part.pairs for part in parts]),
        np.concatenate([part.ids for part in parts]),
    )
