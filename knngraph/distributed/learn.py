"""Learning on patches: one block of nodes with all candidates, from all partitions."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.partition import (
    Layout,
    Nodes,
    Partition,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.pilot import Shared
from knngraph.distributed.search import Lists, SearchOptions, nearest_over
from knngraph.distributed.tasks import (
    Held,
    blocks_at_once,
    compute,
    items,
    persist,
    task,
)
from knngraph.freed import give_back_freed
from knngraph.graph.candidates import LARGEST_SAMPLE_OF_CLASS
from knngraph.graph.consensus import DENSE_DISTRIBUTION_LIMIT, Consensus
from knngraph.graph.density import extremes, inverse_distances, normalized_density
from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.learn import learn_pairs, problem_with, same_class_quota
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet, row_hashes
from knngraph.index.others import all_but_self
from knngraph.index.protocol import ef_for
from knngraph.inference.adaptive import leave_one_out_candidates
from knngraph.inference.cascade import n_margin_nodes
from knngraph.inference.leave_one_out import leave_one_out
from knngraph.inference.node_votes import node_votes
from knngraph.inference.novelty import CALIBRATION_PAIRS
from knngraph.inference.reliability import label_probability
from knngraph.inference.stored import StoredAnswers
from knngraph.parallel import chunk_bounds
from knngraph.space import Space

# Bytes of the queries of one search task, or a 64th of a large partition, so that
# the number of tasks stays within what a scheduler can handle.
_SEARCHED_BYTES, _SEARCHES = 2 * 2**20, 64
# Bytes that a patch fetches at most, or an eighth of a large partition.
_FETCHED_BYTES, _PATCHES = 8 * 2**20, 8
# Coordinates of the class samples, which every worker holds.
_CLASS_SAMPLE_BYTES = 4 * 2**20
# Nodes whose lists say how wide the bandwidths are.
_BANDWIDTH_NODES = 20_000
# Of the hash that draws left-out pairs: not that of nodes, nor that of partitions.
_SEED_OF_SAMPLE = 23


@dataclass(frozen=True)
class Patch:
    """A block of nodes and their candidates, numbered anew.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
        Of the nodes of the block; rows of other nodes are empty.
    nodes, pairs : slice, ndarray
        The block: its nodes, and the pairs on them.
    """

    training: TrainingSet
    neighbors: Neighbors
    nodes: slice
    pairs: np.ndarray


@dataclass(frozen=True)
class Learned(Held):
    """What fit learned of consecutive nodes of a partition.

    Parameters
    ----------
    codes, margin : ndarray of shape (n_pairs,)
    distribution : CSR array of shape (n_pairs, n_classes)
        See `knngraph.graph.consensus.Consensus`.
    node_votes : CSR array of shape (n_nodes, n_classes)
        See `knngraph.inference.node_votes.node_votes`.
    own : ndarray of shape (n_pairs,) or None
    rival : ndarray of shape (n_pairs,), int32, or None
        See `Partition`.
    gaps : ndarray
        Largest optimality gaps; the first of all pairs, then those above `tol`.
    n_iter : int
    far : ndarray of shape (n_sampled, 3)
        Of pairs that stand for all, left out: class of the nearest node, squared
        distance to it, weight of the pair.
    """

    codes: np.ndarray
    margin: np.ndarray
    distribution: Any
    node_votes: Any
    own: np.ndarray | None
    rival: np.ndarray | None
    gaps: np.ndarray
    n_iter: int
    far: np.ndarray


def list_neighbors(
    partitions: list[Any], layout: Layout, shared: Shared, n_threads: int
) -> list[Any]:
    """Neighbor lists of all nodes, one persisted `Lists` a partition."""
    k = shared.n_listed + 1
    exact = int(layout.n_rows.sum()) <= shared.exact_up_to
    options = SearchOptions(ef_for(k), exact, n_threads=n_threads)
    at_once = blocks_at_once(len(partitions))
    rows = max(64, _SEARCHED_BYTES // (4 * layout.n_mapped + 400))
    listed = []
    for number, (own, home) in enumerate(zip(partitions, layout.homes)):
        parts: list[Any] = []
        size, first = int(layout.n_nodes[number]), int(layout.firsts[number])
        for start, stop in chunk_bounds(size, max(rows, -(-size // _SEARCHES))):
            before = parts[-at_once] if len(parts) >= at_once else None
            cut = partial(points_of, start=start, stop=stop)
            queries = task(cut, own, name="queries", home=home, after=before)
            found = nearest_over(partitions, queries, k, layout, options, home=home)
            others = partial(
                _without_self, first=first + start, dtype=shared.space.dtype
            )
            parts.append(task(others, found, name="others", home=home))
        listed.append(task(_join_lists, parts, name="lists", home=home))
    return persist(listed)


def with_bandwidths(
    partitions: list[Any], lists: list[Any], layout: Layout, shared: Shared
) -> Shared:
    """Extremes of the density and bandwidths, from the lists of all partitions.

    A bandwidth is a median, taken over the lists of at most 20,000 nodes.
    """
    share = min(1.0, _BANDWIDTH_NODES / int(layout.n_nodes.sum()))
    describe = partial(_describe, scales=shared.settings.density_scales, share=share)
    found = compute(
        *(
            task(describe, *mine, name="describe", home=home)
            for *mine, home in zip(partitions, lists, layout.homes)
        )
    )
    low, high = (np.array(part) for part in zip(*(part for part, _ in found)))
    sample = _join_neighbors([part for _, part in found if len(part.ids)])
    sigma, query = shared.sigma, shared.problem.sigma
    if shared.settings.bandwidth == "neighbors":
        sigma = neighbors_bandwidth(sample, shared.settings.max_neighbors)
    if shared.query_bandwidth == "neighbors":
        query = neighbors_bandwidth(sample, shared.problem.n_neighbors)
    return replace(
        shared,
        low=low.min(axis=0),
        high=high.max(axis=0),
        sigma=sigma,
        problem=replace(shared.problem, sigma=query),
    )


def learn_partitions(
    partitions: list[Any],
    lists: list[Any],
    layout: Layout,
    shared: Shared,
    class_sizes: np.ndarray,
    n_threads: int,
) -> tuple[list[Any], list[Any]]:
    """Learn all partitions block by block.

    Parameters
    ----------
    partitions, lists : list of Delayed
    layout : Layout
    shared : Shared
    class_sizes : ndarray of shape (n_classes,)
        Pairs of every class.
    n_threads : int

    Returns
    -------
    fitted, summaries : list of Delayed
        Persisted `Partition` with all that answers need, and `summary_of`.
    """
    shared = replace(shared, space=Space("euclidean", None, 1.0))  # tasks carry it
    sample = _class_samples(partitions, layout, shared, class_sizes)
    share = min(1.0, CALIBRATION_PAIRS / int(class_sizes.sum()))
    block = partial(
        _learn_block,
        layout=layout,
        shared=shared,
        n_threads=n_threads,
        share_left_out=share,
    )
    at_once = blocks_at_once(len(partitions))
    of_node = (shared.n_listed + 1) * (4 * layout.n_mapped + 28)
    fitted, summaries = [], []
    n_values = int(layout.n_nodes.sum()) * len(class_sizes)
    finish = partial(_fitted, dense=n_values <= DENSE_DISTRIBUTION_LIMIT)
    for number, home in enumerate(layout.homes):
        mine, size = (partitions[number], lists[number]), int(layout.n_nodes[number])
        n_bytes = max(_FETCHED_BYTES, 4 * layout.n_mapped * size // _PATCHES)
        parts: list[Any] = []
        for start, stop in chunk_bounds(size, max(16, n_bytes // of_node)):
            where: dict[str, Any] = {"start": start, "stop": stop, "number": number}
            before = parts[-at_once] if len(parts) >= at_once else None
            fetched = fetch_patch(
                partitions,
                task(
                    partial(_wanted, layout=layout, **where),
                    lists[number],
                    name="wanted",
                    home=home,
                    after=before,
                ),
                layout,
                home=home,
                points=True,
            )
            learn = partial(block, **where)
            parts.append(
                task(learn, *mine, fetched, sample, name="learn", home=home, later=True)
            )
        learned = task(_join_learned, parts, name="learned", home=home)
        fitted.append(task(finish, mine[0], learned, name="fitted", home=home))
        summaries.append(task(summary_of, mine[0], learned, name="summary", home=home))
    persisted = persist([*fitted, *summaries])
    return persisted[: len(fitted)], persisted[len(fitted) :]


def fetch_patch(
    partitions: list[Any],
    wanted: Any,
    layout: Layout,
    *,
    home: Any = None,
    **what: Any,
) -> list[Any]:
    """Nodes that are wanted of every partition, as tasks; see `take_nodes`."""
    by_partition = items(wanted, len(partitions), name="wanted", home=home)
    return [
        task(
            partial(take_nodes, number=number, layout=layout, **what),
            part,
            places,
            name="fetch",
            home=there,
        )
        for number, (part, places, there) in enumerate(
            zip(partitions, by_partition, layout.homes)
        )
    ]


def make_patch(nodes: Nodes, lists: Lists, first: int, n_classes: int) -> Patch:
    """Put a block and its candidates together.

    Parameters
    ----------
    nodes : Nodes
        The block and all nodes in `lists`.
    lists : Lists
        Of consecutive nodes.
    first : int
        Number of the first of these.
    n_classes : int

    Returns
    -------
    Patch
    """
    training = nodes.training_set(n_classes)
    begin, n = int(np.searchsorted(nodes.ids, first)), len(lists.ids)
    shape = training.n_nodes, lists.ids.shape[1]
    ids = np.zeros(shape, dtype=np.int32)
    squared = np.zeros(shape, dtype=lists.squared.dtype)
    block = slice(begin, begin + n)
    ids[block], squared[block] = np.searchsorted(nodes.ids, lists.ids), lists.squared
    starts = training.node_starts()
    return Patch(
        training,
        Neighbors(ids, squared, training.node_weights()),
        block,
        np.arange(starts[begin], starts[begin + n]),
    )


def _learn_block(
    partition: Partition,
    lists: Lists,
    fetched: list[Nodes],
    sample: Nodes,
    *,
    start: int,
    stop: int,
    number: int,
    layout: Layout,
    shared: Shared,
    n_threads: int,
    share_left_out: float,
) -> Learned:
    """Run the stages of one machine on the patch of a block."""
    first = int(layout.firsts[number]) + start
    n_classes = partition.training.n_classes
    lists = lists[start:stop]
    patch = make_patch(join_nodes([*fetched, sample]), lists, first, n_classes)
    training, pairs = patch.training, patch.pairs
    density = np.zeros(training.n_nodes)
    density[patch.nodes] = normalized_density(
        inverse_distances(
            _neighbors(partition, lists, slice(start, stop)),
            shared.settings.density_scales,
        ),
        shared.low,
        shared.high,
    )
    problem = problem_with(training, density, shared.sigma, shared.settings)
    graph = learn_pairs(
        training,
        patch.neighbors,
        shared.settings,
        problem,
        pairs,
        seed=shared.seed,
        n_threads=n_threads,
    )
    own = rival = None
    if shared.noise > 0.0:
        left_out = leave_one_out(
            training, patch.neighbors, shared.problem, pairs=pairs, n_threads=n_threads
        )
        shares = left_out.own_share, left_out.rival_share
        own = label_probability(*shares, shared.noise, shared.exponent, n_classes)
        rival = left_out.rival_code
    k = n_margin_nodes(shared.problem.n_neighbors)
    around = node_votes(training, patch.neighbors, k, patch.nodes, n_threads=n_threads)
    gaps = graph.representation.gaps
    unsolved = gaps[gaps > problem.tol]
    return Learned(
        graph.consensus.codes,
        graph.consensus.margin,
        sparse.csr_array(graph.consensus.distribution),
        sparse.csr_array(around),
        own,
        rival,
        np.concatenate([[gaps.max(initial=0.0)], unsolved]),
        int(graph.representation.n_iter.max(initial=0)),
        _left_out_distances(patch, share_left_out),
    )


def _left_out_distances(patch: Patch, share: float) -> np.ndarray:
    """How far a share of the pairs, left out, is from the nearest other node.

    Returns
    -------
    ndarray of shape (n_sampled, 3)
        See `Learned`.
    """
    training, pairs = patch.training, patch.pairs
    if share < 1.0:
        # By their rows, whatever the partition.
        hashes = row_hashes(training.points[training.pair_node[pairs]], _SEED_OF_SAMPLE)
        pairs = pairs[hashes <= np.uint64(share * (2.0**64 - 2.0**12))]
    ids, squared = leave_one_out_candidates(training, patch.neighbors, pairs, 1)
    if not ids.shape[1]:  # there is one node
        return np.empty((0, 3))
    found = [training.node_classes()[ids[:, 0]], squared[:, 0]]
    found.append(training.pair_weight[pairs])
    return np.column_stack(found)[ids[:, 0] >= 0]


def _join_learned(parts: list[Learned]) -> Learned | None:
    if not parts:
        return None
    give_back_freed()
    return Learned(
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.margin for part in parts]),
        sparse.csr_array(sparse.vstack([part.distribution for part in parts])),
        sparse.csr_array(sparse.vstack([part.node_votes for part in parts])),
        _concatenated([part.own for part in parts]),
        _concatenated([part.rival for part in parts]),
        np.concatenate(
            [[max(part.gaps[0] for part in parts)], *(part.gaps[1:] for part in parts)]
        ),
        max(part.n_iter for part in parts),
        np.concatenate([part.far for part in parts]),
    )


def _concatenated(values: list[Any]) -> np.ndarray | None:
    return None if values[0] is None else np.concatenate(values)


def _fitted(partition: Partition, learned: Learned | None, *, dense: bool) -> Partition:
    """Bring what was learned to the nodes of a partition."""
    if learned is None:
        return partition
    consensus = Consensus(learned.distribution, learned.codes, learned.margin)
    stored = StoredAnswers.from_consensus(partition.training, consensus)
    around = learned.node_votes.toarray() if dense else learned.node_votes
    return replace(
        partition,
        stored=replace(stored, shares=around),
        own=learned.own,
        rival=learned.rival,
    )


@dataclass(frozen=True)
class Summary(Held):
    """What a partition says of its fit.

    Parameters
    ----------
    n_relabeled : int
        Rows with a stored label that differs from the given one.
    gaps, n_iter, far
        See `Learned`.
    """

    n_relabeled: int
    gaps: np.ndarray
    n_iter: int
    far: np.ndarray


def summary_of(partition: Partition, learned: Learned | None) -> Summary:
    """Few numbers for the client."""
    if learned is None:
        return Summary(0, np.zeros(1), 0, np.empty((0, 3)))
    training = partition.training
    changed = learned.codes != training.pair_code
    n_relabeled = int(training.pair_weight[changed].sum())
    return Summary(n_relabeled, learned.gaps, learned.n_iter, learned.far)


def measure_routing(
    partitions: list[Any], layout: Layout, k: int, n_threads: int, n_rows: int = 512
) -> float:
    """Share of the candidates of sampled rows that the searched partitions hold."""
    n_partitions = len(partitions)
    if layout.n_probes is None or layout.n_probes >= n_partitions:
        return 1.0
    options = SearchOptions(ef_for(k), n_threads=n_threads)
    shares = []
    for own, size in zip(partitions, layout.n_nodes):
        stop = min(int(size), max(1, n_rows // n_partitions))
        queries = task(partial(points_of, start=0, stop=stop), own, name="sample")
        some, every = (
            nearest_over(partitions, queries, k, one, options)
            for one in (layout, replace(layout, n_probes=None))
        )
        shares.append(task(_found_of, some, every, name="routing"))
    found, wanted = np.sum(compute(*shares), axis=0)
    return float(found / wanted)


def points_of(partition: Partition, start: int, stop: int) -> np.ndarray:
    """Coordinates of consecutive nodes."""
    return partition.training.points[start:stop]


def _found_of(some: Lists, every: Lists) -> tuple[int, int]:
    found = sum(len(np.intersect1d(*ids)) for ids in zip(some.ids, every.ids))
    return found, every.ids.size


def _class_samples(
    partitions: list[Any], layout: Layout, shared: Shared, class_sizes: np.ndarray
) -> Any:
    """Nodes of every class, for the pairs whose neighbors hold too few of theirs."""
    in_bytes = _CLASS_SAMPLE_BYTES // (4 * layout.n_mapped * len(class_sizes))
    fewest = 2 * same_class_quota(shared.settings.max_neighbors) + 2
    limit = min(LARGEST_SAMPLE_OF_CLASS, max(fewest, in_bytes))
    take = partial(
        _sample_classes,
        layout=layout,
        share=np.minimum(1.0, limit / np.maximum(class_sizes, 1)),
        seed=shared.seed,
    )
    parts = [
        task(partial(take, number=number), part, name="class-sample", home=home)
        for number, (part, home) in enumerate(zip(partitions, layout.homes))
    ]
    return persist([task(join_nodes, parts, name="class-sample")])[0]


def _sample_classes(
    partition: Partition, *, number: int, layout: Layout, share: np.ndarray, seed: int
) -> Nodes:
    training, random = partition.training, np.random.default_rng([seed, number])
    by_class = np.argsort(training.pair_code, kind="stable")
    sizes = np.bincount(training.pair_code, minlength=training.n_classes)
    wanted = np.ceil(share * sizes).astype(int)
    kept = [
        random.choice(members, n, replace=False)
        for members, n in zip(np.split(by_class, np.cumsum(sizes)[:-1]), wanted)
        if n
    ]
    pairs = np.concatenate(kept) if kept else np.empty(0, dtype=np.intp)
    nodes = np.unique(training.pair_node[pairs])
    return take_nodes(partition, nodes, number, layout, points=True)


def _wanted(
    lists: Lists, *, start: int, stop: int, number: int, layout: Layout
) -> list[np.ndarray]:
    """Nodes of every partition that a block and its lists name."""
    own = layout.firsts[number] + np.arange(start, stop)
    return layout.split(np.union1d(own, lists.ids[start:stop]))


def _without_self(found: Lists, first: int, dtype: np.dtype) -> Lists:
    """Lists of consecutive nodes without themselves."""
    n, k = found.ids.shape
    others = all_but_self(found.ids, first + np.arange(n))
    counts = found.counts
    return Lists(
        found.ids[others].reshape(n, k - 1),
        found.squared[others].reshape(n, k - 1).astype(dtype),
        None if counts is None else counts[others].reshape(n, k - 1),
    )


def _join_lists(parts: list[Lists]) -> Lists:
    if not parts:
        nothing = np.empty((0, 0), dtype=np.int32)
        return Lists(nothing, nothing.astype(np.float32), None)
    counts = None
    if any(part.counts is not None for part in parts):
        ones = (np.ones(part.ids.shape, dtype=np.int32) for part in parts)
        counts = np.concatenate(
            [o if part.counts is None else part.counts for part, o in zip(parts, ones)]
        )
    ids, squared = ([getattr(p, name) for p in parts] for name in ("ids", "squared"))
    return Lists(np.concatenate(ids), np.concatenate(squared), counts)


def _neighbors(partition: Partition, lists: Lists, nodes: Any) -> Neighbors:
    """Lists of some nodes of a partition, as the stages take them."""
    weights = partition.training.node_weights()[nodes]
    listed = lists.counts
    if listed is None:  # no node of any partition has several rows
        listed = np.ones(lists.ids.shape, dtype=np.int32)
    return Neighbors(lists.ids, lists.squared, weights, listed)


def _describe(
    partition: Partition, lists: Lists, *, scales: Any, share: float
) -> tuple[tuple[np.ndarray, np.ndarray], Neighbors]:
    """Extremes of the density, and the lists of a sample of the nodes."""
    n = len(lists.ids)
    some = np.unique(np.linspace(0, n - 1, int(np.ceil(share * n))).astype(int))
    everything = _neighbors(partition, lists, slice(None))
    ends = extremes(inverse_distances(everything, scales))
    return ends, _neighbors(partition, lists[some], some)


def _join_neighbors(parts: list[Neighbors]) -> Neighbors:
    names = ("ids", "squared", "node_weights", "listed_weights")
    return Neighbors(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))
