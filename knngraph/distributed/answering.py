"""Answers of one block of queries, out of what the partitions say."""

from dataclasses import dataclass
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
    search_partition,
)
from knngraph.distributed.sizes import Weighed
from knngraph.distributed.trusting import Chosen, nothing_said
from knngraph.graph.consensus import DENSE_DISTRIBUTION_LIMIT
from knngraph.inference.adaptive import LabelTrust, QueryProblem, candidate_votes
from knngraph.inference.calibration import sharpen
from knngraph.inference.cascade import node_support, query_trust
from knngraph.inference.stored import StoredAnswers, favor


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
    support : ndarray of shape (n_nodes,), float32
    belief : ndarray of shape (n_pairs, 0 or 2)
        See `knngraph.distributed.trusting.Chosen.belief`.
    """

    partition: Partition
    built: PartitionIndex
    stored: StoredAnswers
    distribution: Any
    support: np.ndarray
    belief: np.ndarray


@dataclass(frozen=True)
class Reached(Weighed):
    """Nearest nodes of one partition and what is stored on them.

    Parameters
    ----------
    asked : ndarray of shape (n,) or None
        Which of the queries the partition was asked; None for all.
    squared, codes, support : ndarray of shape (n, k)
        Nearest first.
    shares : ndarray of shape (n, n_classes) or None
        Shares of the vote on the nearest.
    """

    asked: np.ndarray | None
    squared: np.ndarray
    codes: np.ndarray
    support: np.ndarray
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
    n_pairs: int,
    chosen: Chosen | None,
) -> FittedPartition:
    """Bring what was learned to the nodes of a partition.

    Parameters
    ----------
    partition : Partition
    built : PartitionIndex
    learned : Learned
    n_pairs : int
        Of all partitions: decides whether shares stay sparse, as on one machine.
    chosen : Chosen or None
        How far labels are believed; None believes all.
    """
    stored, support = stored_and_support(partition, learned)
    distribution = learned.distribution
    if n_pairs * int(partition.training.n_classes) <= DENSE_DISTRIBUTION_LIMIT:
        distribution = distribution.toarray()
    by_row = distribution[partition.training.pair_of_row]
    unsaid = nothing_said(len(learned.codes))
    belief = unsaid if chosen is None else chosen.belief(learned)
    return FittedPartition(partition, built, stored, by_row, support, belief)


def stored_and_support(
    partition: Partition, learned: Learned
) -> tuple[StoredAnswers, np.ndarray]:
    """What the nodes of a partition answer, and how sure they are."""
    training = partition.training
    if not training.n_nodes:
        nobody = np.empty(0, dtype=np.intp)
        return StoredAnswers(nobody, nobody, None), np.empty(0, dtype=np.float32)
    stored = StoredAnswers.from_consensus(training, consensus_of(learned))
    return stored, node_support(training, learned.own_share, stored.codes)


def ask_stored(
    fitted: FittedPartition,
    asking: tuple[np.ndarray, np.ndarray | None],
    *,
    k: int,
    ef: int,
    with_shares: bool,
    n_threads: int,
) -> Reached:
    """What a walk of every query reads in one partition."""
    queries, asked = asking
    k = min(k, fitted.partition.training.n_nodes)
    ids = np.empty((len(queries), k), dtype=np.intp)
    squared = np.empty((len(queries), k), dtype=np.float32)
    if k and len(queries):
        ids, squared = fitted.built.index.nearest(
            queries, k, ef=ef, n_threads=n_threads
        )
    shares = None
    if with_shares and k:
        shares = fitted.stored.distribution(fitted.distribution, ids[:, 0])
    elif with_shares:
        shares = np.zeros((len(queries), fitted.partition.training.n_classes))
    codes = fitted.stored.codes
    return Reached(asked, squared, codes[ids], fitted.support[ids], shares)


def search_fitted(
    fitted: FittedPartition,
    asking: tuple[np.ndarray, np.ndarray | None],
    **how: Any,
) -> Found:
    """Candidates in one fitted partition; see `search_partition`."""
    return search_partition(fitted.partition, fitted.built, asking, **how)


def fetch_fitted(
    fitted: FittedPartition, wanted: np.ndarray, number: int, offsets: Offsets
) -> Nodes:
    """Coordinates and classes of some nodes, and how far these are believed."""
    return take_nodes(fitted.partition, wanted, number, offsets, belief=fitted.belief)


def first_answers(
    reached: list[Reached], queries: np.ndarray, *, k: int, threshold: float | None
) -> First:
    """The stored answer of the nearest node, and whether it is to be trusted.

    Parameters
    ----------
    reached : list of Reached
    queries : ndarray of shape (n_queries, n_features)
    k : int
        Nodes around a query that a cascade looks at.
    threshold : float or None
        Trust that a cascade asks for; None trusts everything.
    """
    n_queries = len(queries)
    width = sum(part.squared.shape[1] for part in reached)
    squared = np.full((n_queries, width), np.inf)
    codes = np.zeros((n_queries, width), dtype=np.intp)
    support = np.zeros((n_queries, width), dtype=np.float32)
    owner = np.zeros(width, dtype=np.intp)
    begin = 0
    for number, part in enumerate(reached):
        columns = slice(begin, begin + part.squared.shape[1])
        rows = slice(None) if part.asked is None else part.asked
        squared[rows, columns] = part.squared
        codes[rows, columns] = part.codes
        support[rows, columns] = part.support
        owner[columns] = number
        begin = columns.stop
    nearest = np.argsort(squared, axis=1, kind="stable")[:, :k]
    shares = _shares_of_owner(reached, owner[nearest[:, 0]], n_queries)
    answers = np.take_along_axis(codes, nearest[:, :1], axis=1)[:, 0]
    if threshold is None:
        return First(answers, shares, np.zeros(n_queries, dtype=bool))
    flat = np.arange(width * n_queries).reshape(n_queries, width)
    around = np.take_along_axis(flat, nearest, axis=1)
    around[np.isinf(np.take_along_axis(squared, nearest, axis=1))] = -1
    trust = query_trust(support.ravel(), codes.ravel(), around)
    return First(answers, shares, trust < threshold)


def _shares_of_owner(
    reached: list[Reached], owner: np.ndarray, n_queries: int
) -> np.ndarray | None:
    if reached[0].shares is None:
        return None
    shares = np.zeros((n_queries, reached[0].shares.shape[1]))
    for number, part in enumerate(reached):
        assert part.shares is not None
        mine = np.flatnonzero(owner == number)
        rows = mine if part.asked is None else np.searchsorted(part.asked, mine)
        shares[mine] = part.shares[rows]
    return shares


def nobody_answered(queries: np.ndarray) -> First:
    """All queries need the adaptive answer."""
    n_queries = len(queries)
    return First(np.zeros(n_queries, dtype=np.intp), None, np.ones(n_queries, bool))


def wanted_candidates(merged: Merged, offsets: Offsets) -> list[np.ndarray]:
    """Nodes of every partition that are candidates of some query."""
    return offsets.split(merged.nodes.ids)


def votes_of(
    merged: Merged,
    fetched: list[Nodes],
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
    problem : QueryProblem
    believing : tuple or None
        Share of wrong labels and factor of the nugget; None believes every label.
    n_classes : int
    n_threads : int

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
    """
    nodes, trust = join_nodes(fetched), None
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
