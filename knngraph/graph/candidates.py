"""Which pairs may represent a pair: its neighbors, and those of its class."""

from dataclasses import dataclass

import numpy as np

from knngraph.compact import CompactPickle
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.others import all_but_self
from knngraph.index.protocol import ef_for

# Brute force within a class up to this many multiplications, a graph above.
_BRUTE_FORCE_LIMIT = 5e10
# Pairs of one class that are searched for pairs whose class is far.
LARGEST_SAMPLE_OF_CLASS = 8192


@dataclass(frozen=True)
class SameClass(CompactPickle):
    """Nearest pairs of the same class, for the pairs that need them.

    Parameters
    ----------
    place : ndarray of shape (n_pairs,)
        Row of a pair in `ids`, or -1 where its nearest neighbors hold enough of
        the same class.
    ids : ndarray of shape (n_listed, quota)
        Pairs of the same class, nearest first, padded with -1.
    """

    place: np.ndarray
    ids: np.ndarray


def nearest_pairs(
    training: TrainingSet, neighbors: Neighbors, pairs: np.ndarray, limit: int
) -> np.ndarray:
    """The nearest other pairs, copies first.

    Parameters
    ----------
    pairs : ndarray of shape (n,)
    limit : int
        Largest number of candidates a pair.

    Returns
    -------
    ndarray of shape (n, at most `limit`)
        Pairs, packed to the left, padded with -1. A pair with copies, or of a
        weight above one, is a candidate of itself and the first.
    """
    nodes = training.pair_node[pairs]
    listed = neighbors.ids[nodes, :limit]
    copied = training.copied()
    if training.n_pairs == training.n_nodes and not copied.any():
        return listed.astype(np.intp)
    around = np.concatenate([nodes[:, None], listed], axis=1)
    starts = training.node_starts()
    n_on_node = np.diff(starts)[around]
    owner = np.repeat(np.arange(len(pairs)), n_on_node.sum(axis=1))
    pair = np.repeat(starts[around].ravel(), n_on_node.ravel())
    pair += ranks(n_on_node.ravel())
    own = pair == pairs[owner]
    keep = ~own | copied[pair]
    owner, pair, own = owner[keep], pair[keep], own[keep]
    # The own pair first, all others in the order found.
    order = np.lexsort((~own, owner))
    owner, pair = owner[order], pair[order]
    return pack(owner, pair, len(pairs), limit)


def ranks(sizes: np.ndarray) -> np.ndarray:
    """Number the members of consecutive groups of these sizes, each from 0."""
    return np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)


def pack(
    owner: np.ndarray, pair: np.ndarray, n_owners: int, limit: int | None = None
) -> np.ndarray:
    """Lay out (owner, pair) lists, sorted by owner, as rows padded with -1."""
    counts = np.bincount(owner, minlength=n_owners)
    rank = ranks(counts)
    width = int(counts.max(initial=0))
    width = width if limit is None else min(width, limit)
    packed = np.full((n_owners, width), -1, dtype=np.intp)
    kept = rank < width
    packed[owner[kept], rank[kept]] = pair[kept]
    return packed


def union(candidates: np.ndarray, extra: np.ndarray) -> np.ndarray:
    """Rows of both, which -1 pads, without repeats and packed to the left."""
    both = np.concatenate([candidates, extra], axis=1)
    order = np.argsort(both, axis=1, kind="stable")
    ordered = np.take_along_axis(both, order, axis=1)
    again = np.zeros(both.shape, dtype=bool)
    again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) | (ordered[:, 1:] < 0)
    again[:, :1] = ordered[:, :1] < 0
    np.put_along_axis(both, order, np.where(again, -1, ordered), axis=1)
    owner, place = np.nonzero(both >= 0)
    return pack(owner, both[owner, place], len(both))


def nearest_of_same_class(
    training: TrainingSet,
    neighbors: Neighbors,
    limit: int,
    quota: int,
    *,
    pairs: np.ndarray | None = None,
    seed: int = 0,
    n_threads: int = 1,
) -> SameClass:
    """Search the same class where the nearest neighbors hold too few of it.

    The label term of the kernel makes rows of the same class similar from any
    distance: a row in the midst of another class finds its neighbors far away.
    They are there for their label more than for their place, so that of a large
    class a random sample is searched, and time stays linear in the number of rows.

    Parameters
    ----------
    limit : int
        Nearest neighbors that are candidates anyway.
    quota : int
        Candidates of the same class that a pair needs.
    pairs : ndarray of shape (n,) or None, default=None
        Pairs to search for; None for all.
    """
    random = np.random.default_rng(seed)
    place = np.full(training.n_pairs, -1, dtype=np.intp)
    class_size = np.bincount(training.pair_code, minlength=training.n_classes)
    short = pairs_short_of_own_class(
        training,
        neighbors,
        np.minimum(quota, class_size - 1),
        limit,
        np.arange(training.n_pairs) if pairs is None else pairs,
    )
    place[short] = np.arange(len(short))
    ids = np.full((len(short), quota), -1, dtype=np.intp)
    short_code = training.pair_code[short]
    by_class = np.argsort(training.pair_code, kind="stable")
    class_starts = np.searchsorted(
        training.pair_code[by_class], np.arange(training.n_classes + 1)
    )
    by_short_class = np.argsort(short_code, kind="stable")
    short_codes, short_starts = np.unique(short_code[by_short_class], return_index=True)
    for code, asking_of_class in zip(
        short_codes, np.split(by_short_class, short_starts[1:])
    ):
        members = by_class[class_starts[code] : class_starts[code + 1]]
        if len(members) > LARGEST_SAMPLE_OF_CLASS:
            sample = random.choice(members, LARGEST_SAMPLE_OF_CLASS, replace=False)
            members = np.sort(sample)
        asking = short[asking_of_class]
        found = search_within(
            training.points[training.pair_node[members]],
            training.points[training.pair_node[asking]],
            min(quota + 1, len(members)),
            seed,
            n_threads,
        )
        listed = members[found]
        others = all_but_self(listed, asking)
        nearest = listed[others].reshape(len(asking), -1)
        ids[asking_of_class, : nearest.shape[1]] = nearest
    return SameClass(place, ids)


def pairs_short_of_own_class(
    training: TrainingSet,
    neighbors: Neighbors,
    wanted: np.ndarray,
    limit: int,
    asking: np.ndarray,
) -> np.ndarray:
    """Those of the asking pairs whose nearest neighbors hold too few of the class.

    `wanted`, of shape (n_classes,), is what a pair of every class needs; `limit`
    neighbors are candidates anyway.
    """
    short = [asking[:0]]
    step = 65536
    for start in range(0, len(asking), step):
        pairs = asking[start : start + step]
        found = nearest_pairs(training, neighbors, pairs, limit)
        own_code = training.pair_code[pairs]
        same = (training.pair_code[found] == own_code[:, None]) & (found >= 0)
        short.append(pairs[same.sum(axis=1) < wanted[own_code]])
    return np.concatenate(short)


def search_within(
    points: np.ndarray,
    queries: np.ndarray,
    k: int,
    seed: int,
    n_threads: int,
) -> np.ndarray:
    """Nearest points of one class, by brute force where that is soon done."""
    index: ExactIndex | HNSWIndex
    quick = len(queries) * float(points.size) <= _BRUTE_FORCE_LIMIT
    if quick or points.dtype == np.float64:
        index = ExactIndex(points)
    else:
        index = HNSWIndex(points.shape[1], len(points), seed=seed)
        index.add(points)
    found, _ = index.nearest(queries, k, ef=ef_for(k), n_threads=n_threads)
    return found
