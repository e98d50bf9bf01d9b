"""What a cascade trusts and how votes become probabilities, from a sample.

The sample is bounded, and so is what it asks for: the sampled rows, 128 at a time,
fetch their surroundings and the candidates of those, and are answered without
themselves. Only votes travel on.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.distributed.learning import Globals, Learned, build_patch
from knngraph.distributed.partition import Nodes, Partition
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.surroundings import OwnClass, Surroundings, pairs_in_patch
from knngraph.graph.density import normalized_density
from knngraph.graph.learn import problem_with
from knngraph.graph.stored_left_out import StoredVotes, stored_votes_left_out
from knngraph.graph.training_set import TrainingSet, training_set_of_pairs
from knngraph.inference.adaptive import others_around
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.calibration import Calibration, fit_exponent
from knngraph.inference.cascade import (
    DECISION_ROWS,
    SURROUNDINGS,
    left_out_trust,
    lowest_trust,
    query_trust,
)
from knngraph.inference.leave_one_out import (
    CALIBRATION_ROWS,
    calibrate_stored,
    left_out_votes,
)

PAIRS_PER_TASK = 128


@dataclass(frozen=True)
class Lists(Weighed):
    """Neighbor lists of some nodes of a partition, and what was learned there."""

    nodes: np.ndarray
    ids: np.ndarray
    squared: np.ndarray
    density: np.ndarray
    stored: np.ndarray
    support: np.ndarray
    short: np.ndarray
    own_class: np.ndarray


@dataclass(frozen=True)
class Judged(Weighed):
    """What left-out pairs of the sample say.

    Parameters
    ----------
    codes, counts : ndarray of shape (n,)
        Given classes, and rows of the pairs.
    votes : ndarray of shape (n, n_classes)
        Adaptive votes.
    stored : ndarray of shape (n,)
        Class stored on the node that they reach.
    shares : CSR array of shape (n, n_classes)
        Shares of the vote there.
    trust : ndarray of shape (n,)
        Trust in that class, found without the pair.
    shown_trust : ndarray of shape (n,)
        Trust as a query would see it.
    """

    codes: np.ndarray
    counts: np.ndarray
    votes: np.ndarray
    stored: np.ndarray
    shares: Any
    trust: np.ndarray
    shown_trust: np.ndarray


@dataclass(frozen=True)
class Thresholds:
    """The numbers that answers need beside the partitions."""

    calibration: Calibration
    trust: float


def sample_sizes(
    n_pairs: np.ndarray,
    n_classes: int,
    in_order: bool,
    largest: int = CALIBRATION_ROWS,
) -> np.ndarray:
    """How many of its first pairs every partition gives to the sample.

    Parameters
    ----------
    n_pairs : ndarray of shape (n_partitions,)
    n_classes : int
    in_order : bool
        Whether the partitions follow one another in the random order that the
        nodes have on one machine: the sample is then the same as there. Else
        every partition gives its share.
    largest : int
        Of the whole sample.

    Returns
    -------
    ndarray of shape (n_partitions,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.distributed.thresholds import sample_sizes
    >>> sample_sizes(np.array([4000, 4000]), 10, in_order=True).tolist()
    [4000, 1000]
    >>> sample_sizes(np.array([4000, 4000]), 10, in_order=False).tolist()
    [2500, 2500]
    """
    limit = min(largest, queries_per_block(n_classes), int(n_pairs.sum()))
    if in_order:
        before = np.cumsum(n_pairs) - n_pairs
        return np.clip(limit - before, 0, n_pairs)
    return -(-n_pairs * limit // n_pairs.sum())


def wanted_lists(
    partition: Partition,
    around: Surroundings,
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> list[np.ndarray]:
    """Nodes around the pairs from `start` to `stop`, themselves included."""
    offsets = everything.offsets
    own = np.unique(partition.training.pair_node[start:stop])
    near = around.ids[own, :SURROUNDINGS].ravel()
    return offsets.split(np.unique(np.concatenate([own + offsets.nodes[number], near])))


def lend_lists(
    partition: Partition,
    around: Surroundings,
    own_class: OwnClass | None,
    learned: Learned,
    stored_support: tuple[np.ndarray, np.ndarray],
    places: np.ndarray,
    *,
    number: int,
    everything: Globals,
) -> Lists:
    """Copy the lists of some nodes."""
    training, offsets = partition.training, everything.offsets
    stored, support = stored_support
    short = np.empty(0, dtype=np.int64)
    lists = np.empty((0, 1), dtype=np.int64)
    if own_class is not None:
        here = np.isin(training.pair_node[own_class.pairs], places)
        short, lists = own_class.pairs[here], own_class.ids[here]
    return Lists(
        offsets.nodes[number] + places.astype(np.int64),
        around.ids[places],
        around.squared[places],
        normalized_density(around.inverse[places], everything.low, everything.high),
        stored[places],
        support[places],
        short + offsets.pairs[number],
        lists,
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
    names = ("nodes", "ids", "squared", "density", "stored", "support", "short")
    joined = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Lists(*[*joined, np.concatenate(own_class)])


def wanted_by_lists(lists: Lists, everything: Globals) -> list[np.ndarray]:
    """All nodes that the lists name."""
    named = (lists.nodes, lists.ids.ravel(), lists.own_class.ravel())
    wanted = np.unique(np.concatenate(named))
    return everything.offsets.split(wanted[wanted >= 0])


def judge(
    lists: Lists,
    fetched: list[Nodes],
    *,
    start: int,
    stop: int,
    number: int,
    everything: Globals,
) -> Judged:
    """Leave the pairs from `start` to `stop` of a partition out."""
    settings = everything.settings
    patch = build_patch(
        fetched,
        lists.nodes,
        lists.ids,
        lists.squared,
        lists.short,
        lists.own_class,
        everything.n_classes,
    )
    training, neighbors = patch.training, patch.neighbors
    place = np.searchsorted(patch.nodes.ids, lists.nodes)
    density, support = np.zeros(training.n_nodes), np.zeros(training.n_nodes)
    stored_codes = np.zeros(training.n_nodes, dtype=np.intp)
    density[place] = lists.density
    support[place], stored_codes[place] = lists.support, lists.stored
    support = support.astype(np.float32)
    pairs = pairs_in_patch(
        patch.nodes, everything.offsets.pairs[number] + np.arange(start, stop)
    )
    (stored,) = stored_votes_left_out(
        training,
        neighbors,
        patch.same_class,
        problem_with(training, density, everything.sigma, settings),
        settings.max_neighbors,
        [settings.self_weight],
        pairs,
        n_threads=everything.n_threads,
    )
    votes = left_out_votes(
        training, neighbors, everything.query, pairs, n_threads=everything.n_threads
    )
    around, _ = others_around(training, neighbors, pairs, SURROUNDINGS)
    trust = shown = np.ones(len(pairs))
    if around.shape[1]:
        trust = left_out_trust(
            training,
            neighbors,
            everything.query,
            support,
            stored_codes,
            stored.codes,
            pairs,
            around,
            n_threads=everything.n_threads,
        )
        shown = query_trust(support, stored_codes, around)
    return Judged(
        training.pair_code[pairs],
        training.pair_count[pairs],
        votes,
        stored.codes,
        stored.shares,
        trust,
        shown,
    )


def learn_thresholds(parts: list[Judged], tolerance: float) -> Thresholds:
    """Threshold of the cascade and exponents of the votes, from the sample."""
    sample = _join_judged(parts)
    given = _sample_as_training_set(sample)
    exponent = fit_exponent(sample.votes, sample.codes, sample.counts)
    # As on one machine, whose threshold is learned on the first of the sample.
    some = slice(0, DECISION_ROWS)
    adaptive_right = sample.votes.argmax(axis=1) == sample.codes
    stored_right = sample.stored == sample.codes
    gain = stored_right.astype(np.intp) - adaptive_right.astype(np.intp)
    threshold = lowest_trust(
        sample.trust[some], gain[some], sample.counts[some], tolerance
    )
    if (sample.stored < 0).all():
        threshold = 0.0  # one node: nothing to be unsure of
    calibration = calibrate_stored(
        given,
        StoredVotes(sample.stored, sample.shares),
        sample.shown_trust >= threshold,
        exponent,
    )
    return Thresholds(calibration, threshold)


def _join_judged(parts: list[Judged]) -> Judged:
    names = ("codes", "counts", "votes", "stored", "trust", "shown_trust")
    joined = {n: np.concatenate([getattr(part, n) for part in parts]) for n in names}
    shares = sparse.csr_array(sparse.vstack([part.shares for part in parts]))
    return Judged(**joined, shares=shares)


def _sample_as_training_set(sample: Judged) -> TrainingSet:
    return training_set_of_pairs(
        np.empty((len(sample.codes), 0), dtype=np.float32),
        np.arange(len(sample.codes)),
        sample.codes,
        sample.counts,
        sample.votes.shape[1],
    )
