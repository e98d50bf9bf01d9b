"""Fit of a block of nodes, on a patch that holds their candidates."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.partition import (
    Nodes,
    Offsets,
    Partition,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.shared_lens import SharedLens, left_out_problem
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import (
    OwnClass,
    Surroundings,
    neighbors_in,
    pairs_in_patch,
)
from knngraph.distributed.witnesses import Witnessed
from knngraph.graph.candidates import SameClass
from knngraph.graph.consensus import Consensus, vote
from knngraph.graph.density import normalized_density
from knngraph.graph.learn import GraphSettings, problem_with, same_class_quota
from knngraph.graph.representation import Representation, represent_pairs
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import QueryProblem, candidate_shares
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.candidates import leave_one_out_candidates
from knngraph.inference.leave_one_out import take_rivals


@dataclass(frozen=True)
class Globals:
    """The quantities that are one for all partitions.

    Parameters
    ----------
    offsets : Offsets
    class_sizes : ndarray of shape (n_classes,)
        Number of pairs of every class.
    settings : GraphSettings
    low, high : ndarray of shape (n_scales,)
        Extremes of `knngraph.graph.density.inverse_distances`.
    sigma : float
        Bandwidth of the graph, in mapped units.
    query : QueryProblem
        Without its lens, which is shared apart from what every task carries.
    n_searched : int
        Nodes that are searched for the candidates of the problem.
    n_threads : int
        Of one task.
    """

    offsets: Offsets
    class_sizes: np.ndarray
    settings: GraphSettings
    low: np.ndarray
    high: np.ndarray
    sigma: float
    query: QueryProblem
    n_searched: int
    n_threads: int

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_sizes)


@dataclass(frozen=True)
class Learned(Weighed):
    """What fit learned of consecutive nodes of a partition and of their pairs.

    Parameters
    ----------
    density : ndarray of shape (n_nodes,)
    weights : CSR array of shape (n_pairs, n_pairs of all partitions)
    gaps, lambda_max : ndarray of shape (n_pairs,)
    n_iter : ndarray of shape (n_pairs,)
    path : ndarray
        Sum of the objectives after every iteration.
    distribution : CSR array of shape (n_pairs, n_classes)
    codes, margin : ndarray of shape (n_pairs,)
    right, own_share, rival_code, rival_share : ndarray of shape (n_pairs,)
        See `knngraph.inference.leave_one_out.LeaveOneOut`.
    """

    density: np.ndarray
    weights: Any
    gaps: np.ndarray
    lambda_max: np.ndarray
    n_iter: np.ndarray
    path: np.ndarray
    distribution: Any
    codes: np.ndarray
    margin: np.ndarray
    right: np.ndarray
    own_share: np.ndarray
    rival_code: np.ndarray
    rival_share: np.ndarray


@dataclass(frozen=True)
class Patch:
    """Nodes with coordinates and lists, put together for one block of work."""

    nodes: Nodes
    training: TrainingSet
    neighbors: Any
    same_class: SameClass


def wanted_nodes(
    partition: Partition,
    around: Surroundings,
    own_class: OwnClass | None,
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> list[np.ndarray]:
    """Nodes of every partition that the nodes from `start` to `stop` build on."""
    first, last = partition.training.node_starts()[[start, stop]]
    ids = [
        np.arange(start, stop) + everything.offsets.nodes[number],
        around.ids[start:stop, : everything.n_searched].ravel(),
    ]
    if own_class is not None:
        ids.append(_of_pairs(own_class, first, last).ids.ravel())
    wanted = np.unique(np.concatenate(ids))
    return everything.offsets.split(wanted[wanted >= 0])


def learn_block(
    partition: Partition,
    around: Surroundings,
    own_class: OwnClass | None,
    fetched: list[Nodes],
    asked: np.ndarray,
    lens: SharedLens | None,
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> tuple[Learned, Witnessed]:
    """Represent the pairs of some nodes, let their neighbors vote, leave them out.

    Parameters
    ----------
    partition : Partition
    around : Surroundings
    own_class : OwnClass or None
    fetched : list of Nodes
        All candidates.
    asked : ndarray
        Nodes of the partition, ascending, of which is kept whose votes they heard.
    lens : SharedLens or None
    start, stop : int
        The nodes.
    number : int
        Of the partition.
    everything : Globals

    Returns
    -------
    Learned, Witnessed
    """
    settings, offsets = everything.settings, everything.offsets
    starts = partition.training.node_starts()
    own_nodes = offsets.nodes[number] + np.arange(start, stop)
    own_pairs = offsets.pairs[number] + np.arange(starts[start], starts[stop])
    own_class = _of_pairs(own_class, starts[start], starts[stop])
    patch = build_patch(
        fetched,
        own_nodes,
        around.ids[start:stop, : everything.n_searched],
        around.squared[start:stop, : everything.n_searched],
        own_class.pairs + offsets.pairs[number],
        own_class.ids,
        everything.n_classes,
    )
    training = patch.training
    density = np.zeros(training.n_nodes)
    own_density = normalized_density(
        around.inverse[start:stop], everything.low, everything.high
    )
    density[np.searchsorted(patch.nodes.ids, own_nodes)] = own_density
    problem = problem_with(training, density, everything.sigma, settings)
    pairs = pairs_in_patch(patch.nodes, own_pairs)
    representation = represent_pairs(
        training,
        patch.neighbors,
        patch.same_class,
        problem,
        settings.max_neighbors,
        pairs,
        n_threads=everything.n_threads,
    )
    consensus = vote(
        representation.weights,
        training.pair_code[pairs],
        training.n_classes,
        settings.self_weight,
        neighbor_codes=training.pair_code,
    )
    here = np.isin(partition.training.pair_node[starts[start] : starts[stop]], asked)
    left_out, witnessed = _leave_out(patch, pairs, here, own_pairs, everything, lens)
    learned = Learned(
        own_density,
        _over_all_pairs(representation, patch.nodes, offsets),
        representation.gaps,
        representation.lambda_max,
        representation.n_iter,
        representation.objective_path * len(pairs),
        sparse.csr_array(consensus.distribution),
        consensus.codes,
        consensus.margin,
        *left_out,
    )
    return learned, witnessed


def build_patch(
    fetched: list[Nodes],
    asking: np.ndarray,
    ids: np.ndarray,
    squared: np.ndarray,
    short: np.ndarray,
    own_class: np.ndarray,
    n_classes: int,
) -> Patch:
    """Training set, neighbors and own class in numbers of their own.

    Parameters
    ----------
    fetched : list of Nodes
        All nodes that are named below.
    asking : ndarray of shape (n,)
        Nodes that have a list of neighbors.
    ids, squared : ndarray of shape (n, k)
        The lists.
    short : ndarray of shape (n_short,)
        Pairs that have candidates of their own class besides.
    own_class : ndarray of shape (n_short, quota)
        Nodes of those, padded with -1.
    n_classes : int

    Returns
    -------
    Patch
    """
    nodes = join_nodes(fetched)
    training = nodes.training_set(n_classes)
    neighbors = neighbors_in(training, nodes.ids, asking, ids, squared)
    place = np.full(training.n_pairs, -1, dtype=np.intp)
    short_places = pairs_in_patch(nodes, short)
    place[short_places] = np.arange(len(short))
    codes = training.pair_code[short_places]
    # On a node that holds the class, its pair: pairs are sorted by node and class.
    keys = training.pair_node * n_classes + training.pair_code
    wanted = np.searchsorted(nodes.ids, own_class) * n_classes + codes[:, None]
    pairs = np.where(own_class >= 0, np.searchsorted(keys, wanted), -1)
    return Patch(nodes, training, neighbors, SameClass(place, pairs))


def join_blocks(
    blocks: list[tuple[Learned, Witnessed]], n_classes: int, n_pairs: int
) -> Learned:
    """As `join_learned`, of what `learn_block` gives."""
    return join_learned([learned for learned, _ in blocks], n_classes, n_pairs)


def join_witnessed(blocks: list[tuple[Learned, Witnessed]]) -> Witnessed:
    """Whose votes the pairs of a partition heard, from its blocks."""
    if not blocks:
        return Witnessed.nobody()
    return Witnessed.join([witnessed for _, witnessed in blocks])


def join_learned(parts: list[Learned], n_classes: int, n_pairs: int) -> Learned:
    """What was learned of all nodes of a partition, from its blocks.

    Parameters
    ----------
    parts : list of Learned
        None where the partition is empty.
    n_classes : int
    n_pairs : int
        Of all partitions.

    Returns
    -------
    Learned
    """
    parts = parts or [_nothing_learned(n_classes, n_pairs)]
    joined = {}
    for field in fields(Learned):
        values = [getattr(part, field.name) for part in parts]
        if field.name in ("weights", "distribution"):
            joined[field.name] = sparse.csr_array(sparse.vstack(values))
        elif field.name == "path":
            joined[field.name] = add_paths(values)
        else:
            joined[field.name] = np.concatenate(values)
    return Learned(**joined)


def _nothing_learned(n_classes: int, n_pairs: int) -> Learned:
    none, nobody = np.empty(0), np.empty(0, dtype=np.intp)
    return Learned(
        density=none,
        weights=sparse.csr_array((0, n_pairs)),
        gaps=none,
        lambda_max=none,
        n_iter=nobody,
        path=np.zeros(1),
        distribution=sparse.csr_array((0, n_classes)),
        codes=nobody,
        margin=none,
        right=nobody.astype(bool),
        own_share=none,
        rival_code=nobody.astype(np.int32),
        rival_share=none,
    )


def add_paths(paths: list[np.ndarray]) -> np.ndarray:
    """Sum of paths, the shorter ones going on with their last value."""
    longest = max(len(path) for path in paths)
    total = np.zeros(longest)
    for path in paths:
        total += np.concatenate([path, np.full(longest - len(path), path[-1])])
    return total


def consensus_of(learned: Learned) -> Consensus:
    """The consensus of the pairs of a partition."""
    return Consensus(learned.distribution, learned.codes, learned.margin)


def fetch_nodes(
    partition: Partition, wanted: np.ndarray, number: int, offsets: Offsets
) -> Nodes:
    """Coordinates and classes of some nodes, for another partition."""
    return take_nodes(partition, wanted, number, offsets)


def own_class_width(everything: Globals) -> int:
    """Candidates of its own class that a short pair has."""
    return same_class_quota(everything.settings.max_neighbors)


def _of_pairs(own_class: OwnClass | None, first: int, last: int) -> OwnClass:
    if own_class is None:
        nobody = np.empty(0, dtype=np.int64)
        return OwnClass(nobody, np.empty((0, 1), dtype=np.int64))
    here = slice(*np.searchsorted(own_class.pairs, [first, last]))
    return OwnClass(own_class.pairs[here], own_class.ids[here])


def _over_all_pairs(
    representation: Representation, nodes: Nodes, offsets: Offsets
) -> Any:
    weights = representation.weights
    columns = nodes.pair_numbers()[weights.indices]
    graph = sparse.csr_array(
        (weights.data, columns, weights.indptr),
        shape=(weights.shape[0], int(offsets.pairs[-1])),
    )
    graph.sort_indices()
    return graph


def _leave_out(
    patch: Patch,
    pairs: np.ndarray,
    asked: np.ndarray,
    numbers: np.ndarray,
    everything: Globals,
    lens: SharedLens | None,
) -> tuple[tuple[np.ndarray, ...], Witnessed]:
    """Answers without the pairs, and whose votes they heard where that is asked."""
    training = patch.training
    problem = left_out_problem(everything.query, lens, patch.nodes)
    heard = []
    right = np.empty(len(pairs), dtype=bool)
    own_share = np.empty(len(pairs))
    rival_code = np.empty(len(pairs), dtype=np.int32)
    rival_share = np.empty(len(pairs))
    step = queries_per_block(training.n_classes)
    for begin in range(0, len(pairs), step):
        some = slice(begin, begin + step)
        ids, squared = leave_one_out_candidates(
            training, patch.neighbors, pairs[some], problem
        )
        votes, shares = candidate_shares(
            training,
            ids,
            squared,
            problem,
            left_out=pairs[some],
            n_threads=everything.n_threads,
        )
        given = training.pair_code[pairs[some]]
        keep = asked[some]
        heard.append(
            Witnessed.of_votes(
                training,
                pairs[some][keep],
                ids[keep],
                shares[keep],
                pair_numbers=numbers[some][keep],
                node_numbers=patch.nodes.ids,
            )
        )
        right[some] = votes.argmax(axis=1) == given
        own_share[some] = votes[np.arange(len(given)), given]
        rival_code[some], rival_share[some] = take_rivals(votes, given)
    return (right, own_share, rival_code, rival_share), Witnessed.join(heard)
