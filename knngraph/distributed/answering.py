"""Answers of one block of queries, out of what the partitions say."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.distributed.learning import Learned, consensus_of
from knngraph.distributed.partition import (
    Nodes,
    Offsets,
    Partition,
    join_nodes,
    take_nodes,
)
from knngraph.distributed.searching import (
    Found,
    Merged,
    PartitionIndex,
    merge_found,
    search_partition,
)
from knngraph.distributed.shared_lens import SharedLens, distances_through
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.trusting import Chosen, nothing_said
from knngraph.graph.consensus import DENSE_DISTRIBUTION_LIMIT
from knngraph.inference.adaptive import LabelTrust, QueryProblem, candidate_votes
from knngraph.inference.calibration import sharpen
from knngraph.inference.candidates import through_lens
from knngraph.inference.cascade import Decisions, stored_margin, unanimous
from knngraph.inference.stored import StoredAnswers, favor
from knngraph.lens import Lens


@dataclass(frozen=True)
class FittedPartition(Weighed):
    """All that a partition needs to answer.

    Parameters
    ----------
    partition : Partition
    built : PartitionIndex
    stored : StoredAnswers
    distribution : ndarray or CSR array of shape (n_rows, n_classes)
        Shares of the vote on its training rows.
    belief : ndarray of shape (n_pairs, 0 or 2)
        See `knngraph.distributed.trusting.Chosen.belief`.
    lens : Lens or None
        In front of the nodes.
    """

    partition: Partition
    built: PartitionIndex
    stored: StoredAnswers
    distribution: Any
    belief: np.ndarray
    lens: Lens | None


@dataclass(frozen=True)
class Reached(Weighed):
    """Nearest nodes of one partition and what is stored on them.

    Parameters
    ----------
    found : Found
        Nearest first.
    codes : ndarray of shape (n,), int32
        Class stored on the nearest.
    shares : ndarray of shape (n, n_classes) or None
        Shares of the vote on the nearest.
    """

    found: Found
    codes: np.ndarray
    shares: np.ndarray | None


@dataclass(frozen=True)
class First(Weighed):
    """The stored answers, and the queries that need another.

    Parameters
    ----------
    codes : ndarray of shape (n_queries,)
    shares : ndarray of shape (n_queries, n_classes) or None
    slow : ndarray of shape (n_queries,), bool
    """

    codes: np.ndarray
    shares: np.ndarray | None
    slow: np.ndarray


def fit_partition(
    partition: Partition,
    built: PartitionIndex,
    learned: Learned,
    lens: SharedLens | None,
    n_pairs: int,
    chosen: Chosen | None,
) -> FittedPartition:
    """Bring what was learned to the nodes of a partition.

    Parameters
    ----------
    partition : Partition
    built : PartitionIndex
    learned : Learned
    lens : SharedLens or None
    n_pairs : int
        Of all partitions: decides whether shares stay sparse, as on one machine.
    chosen : Chosen or None
        How far labels are believed; None believes all.
    """
    distribution = learned.distribution
    if n_pairs * int(partition.training.n_classes) <= DENSE_DISTRIBUTION_LIMIT:
        distribution = distribution.toarray()
    by_row = distribution[partition.training.pair_of_row]
    unsaid = nothing_said(len(learned.codes))
    belief = unsaid if chosen is None else chosen.belief(learned)
    stored = stored_on(partition, learned)
    over = None if lens is None else lens.chosen.lens_over(partition.training.points)
    return FittedPartition(partition, built, stored, by_row, belief, over)


def stored_on(partition: Partition, learned: Learned) -> StoredAnswers:
    """What the nodes of a partition answer."""
    training = partition.training
    if not training.n_nodes:
        nobody = np.empty(0, dtype=np.intp)
        return StoredAnswers(nobody, nobody, None)
    return StoredAnswers.from_consensus(training, consensus_of(learned))


def ask_stored(
    fitted: FittedPartition,
    asking: tuple[np.ndarray, np.ndarray | None],
    *,
    with_shares: bool,
    **how: Any,
) -> Reached:
    """What a walk of every query finds in one partition, and reads there.

    Parameters
    ----------
    fitted : FittedPartition
    asking : tuple
        Coordinates, and which of the queries they are, None for all.
    with_shares : bool
    **how
        See `search_partition`.

    Returns
    -------
    Reached
    """
    found = search_partition(fitted.partition, fitted.built, asking, **how)
    n_queries, shares = len(asking[0]), None
    if not found.ids.shape[1]:  # an empty partition
        codes = np.zeros(n_queries, dtype=np.int32)
        if with_shares:
            shares = np.zeros((n_queries, fitted.partition.training.n_classes))
        return Reached(found, codes, shares)
    nearest = found.ids[:, 0]
    if with_shares:
        shares = fitted.stored.distribution(fitted.distribution, nearest)
    return Reached(found, fitted.stored.codes[nearest].astype(np.int32), shares)


def search_fitted(
    fitted: FittedPartition,
    asking: tuple[np.ndarray, np.ndarray | None],
    **how: Any,
) -> Found:
    """Candidates in one fitted partition, and how far the lens shows them.

    See `search_partition`.
    """
    found = search_partition(fitted.partition, fitted.built, asking, **how)
    if fitted.lens is None:
        return found
    return replace(found, through=distances_through(fitted.lens, asking[0], found))


def fetch_fitted(
    fitted: FittedPartition, wanted: np.ndarray, number: int, offsets: Offsets
) -> Nodes:
    """Coordinates and classes of some nodes, and how far these are believed."""
    return take_nodes(fitted.partition, wanted, number, offsets, belief=fitted.belief)


def first_answers(
    reached: list[Reached],
    queries: np.ndarray,
    *,
    offsets: Offsets,
    k: int,
    n_unanimous: int | None,
    n_classes: int,
) -> tuple[First, Merged]:
    """The stored answer of the nearest node, and whether it is settled.

    Parameters
    ----------
    reached : list of Reached
    queries : ndarray of shape (n_queries, n_features)
    offsets : Offsets
    k : int
        Nodes around a query that are looked at.
    n_unanimous : int or None
        Of these, how many settle the answer where all their rows are of its class;
        None settles everything.
    n_classes : int

    Returns
    -------
    first : First
    around : Merged
        Nodes around the queries that are not settled.
    """
    found = [part.found for part in reached]
    merged = merge_found(found, queries, offsets=offsets, k=k)
    owner = np.searchsorted(offsets.nodes, merged.ids[:, 0], side="right") - 1
    codes = np.empty(len(queries), dtype=np.intp)
    shares = None
    if reached[0].shares is not None:
        shares = np.empty((len(queries), n_classes))
    for number, part in enumerate(reached):
        mine = np.flatnonzero(owner == number)
        asked = part.found.asked
        rows = mine if asked is None else np.searchsorted(asked, mine)
        codes[mine] = part.codes[rows]
        if shares is not None and part.shares is not None:
            shares[mine] = part.shares[rows]
    slow = np.zeros(len(queries), dtype=bool)
    if n_unanimous is not None:
        nearest = np.searchsorted(merged.nodes.ids, merged.ids[:, :n_unanimous])
        slow = ~unanimous(merged.nodes.training_set(n_classes), nearest, codes)
    return First(codes, shares, slow), merged.of_queries(slow)


def decide(
    first: First,
    around: Merged,
    fetched: Nodes,
    queries: np.ndarray,
    lens: SharedLens | None,
    *,
    problem: QueryProblem,
    decisions: Decisions,
    n_classes: int,
) -> First:
    """Settle by their margin what unanimous nodes did not.

    Parameters
    ----------
    first : First
    around : Merged
        Nodes around the queries that are slow so far.
    fetched : Nodes
        The same, with coordinates.
    queries : ndarray of shape (n_queries, n_features)
    lens : SharedLens or None
    problem : QueryProblem
    decisions : Decisions
    n_classes : int

    Returns
    -------
    First
    """
    ids, squared = np.searchsorted(fetched.ids, around.ids), around.squared
    if lens is not None:
        problem = replace(problem, lens=lens.chosen.lens_over(fetched.points))
        ids, squared = through_lens(
            problem, queries[first.slow], ids, squared, ids.shape[1]
        )
    margin = stored_margin(
        fetched.training_set(n_classes),
        ids,
        squared,
        first.codes[first.slow],
        decisions.sharpness,
    )
    slow = first.slow.copy()
    slow[slow] = margin < decisions.threshold
    return replace(first, slow=slow)


def nobody_answered(queries: np.ndarray) -> First:
    """All queries need the adaptive answer."""
    n_queries = len(queries)
    return First(np.zeros(n_queries, dtype=np.intp), None, np.ones(n_queries, bool))


def wanted_candidates(
    merged: Merged, known: Nodes | None = None, *, offsets: Offsets
) -> list[np.ndarray]:
    """Nodes of every partition that are candidates of some query and not yet known."""
    wanted = merged.nodes.ids
    if known is not None:
        wanted = np.setdiff1d(wanted, known.ids, assume_unique=True)
    return offsets.split(wanted)


def votes_of(
    merged: Merged,
    fetched: list[Nodes],
    lens: SharedLens | None,
    known: Nodes | None = None,
    *,
    problem: QueryProblem,
    believing: tuple[float, float] | None,
    n_classes: int,
    n_threads: int,
) -> np.ndarray:
    """Votes of the candidates of every query.

    Parameters
    ----------
    merged : Merged
    fetched : list of Nodes
    lens : SharedLens or None
    known : Nodes or None
        That were fetched before.
    problem : QueryProblem
    believing : tuple or None
        Share of wrong labels and factor of the nugget; None believes every label.
    n_classes : int
    n_threads : int

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
    """
    nodes = join_nodes(fetched if known is None else [*fetched, known])
    if lens is not None:
        problem = replace(problem, lens=lens.chosen.lens_over(nodes.points))
    trust = None
    if believing is not None:
        # Without columns where there are no wrong labels: then nobody reads them.
        own, rival = nodes.belief[:, :1].ravel(), nodes.belief[:, 1:].ravel()
        trust = LabelTrust(own, rival.astype(np.int32), *believing)
    return candidate_votes(
        nodes.training_set(n_classes),
        np.searchsorted(nodes.ids, merged.ids),
        merged.squared,
        problem,
        trust=trust,
        n_threads=n_threads,
    )


def final_codes(first: First, votes: np.ndarray | None = None) -> np.ndarray:
    """Class of every query."""
    codes = first.codes.copy()
    if votes is not None:
        codes[first.slow] = votes.argmax(axis=1)
    return codes


def final_probabilities(
    first: First,
    votes: np.ndarray | None = None,
    *,
    n_classes: int,
    adaptive_exponent: float,
    stored_exponent: float,
) -> np.ndarray:
    """Probability of every class, the largest that of the answer."""
    probabilities = np.empty((len(first.codes), n_classes))
    if votes is not None:
        shares = sharpen(votes, adaptive_exponent)
        probabilities[first.slow] = favor(shares, votes.argmax(axis=1))
    quick = ~first.slow
    if first.shares is not None and quick.any():
        shares = sharpen(first.shares[quick], stored_exponent)
        probabilities[quick] = favor(shares, first.codes[quick])
    return probabilities
