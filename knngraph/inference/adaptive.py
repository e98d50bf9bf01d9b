"""The representation problem solved at the query, and its leave-one-out form."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex, beam_for
from knngraph.parallel import map_chunks

_QUERIES_PER_CHUNK = 256
# Largest change of a weight in the last sweep: votes are shares of about one.
WEIGHT_TOLERANCE = 1e-3
_NO_SHARES = np.empty(0)
_NO_CODES = np.empty(0, dtype=np.int32)


@dataclass(frozen=True)
class QueryProblem:
    """The problem that is solved at a query.

    Parameters
    ----------
    n_neighbors : int
        Number of candidates, the nearest nodes.
    sigma : float
        Bandwidth in mapped units; 0 is the distance of the farthest candidate.
    nugget : float
        Added to the diagonal of the kernel, divided by the copies of a node.
    penalty : float
        Fraction of lambda*.
    """

    n_neighbors: int
    sigma: float
    nugget: float
    penalty: float


@dataclass(frozen=True)
class LabelTrust:
    """How far the given labels are believed when they vote.

    Parameters
    ----------
    own : ndarray of shape (n_pairs,)
        Share of the vote of a pair that its given class gets; all ones where
        `noise` is zero.
    rival : ndarray of shape (n_pairs,), int32
        Class that gets the rest.
    noise : float
        Share of wrong labels that this stands for.
    nugget_factor : float
        Multiple of the nugget that goes with it.
    """

    own: np.ndarray
    rival: np.ndarray
    noise: float
    nugget_factor: float


def candidate_votes(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    problem: QueryProblem,
    *,
    trust: LabelTrust | None = None,
    left_out: np.ndarray | None = None,
    n_threads: int = 1,
) -> np.ndarray:
    """Solve the problem of every query over its candidates and count the votes.

    Parameters
    ----------
    training : TrainingSet
    ids, squared : ndarray of shape (n_queries, m)
        Candidate nodes, nearest first, and squared distances; -1 ends a row.
    problem : QueryProblem
    trust : LabelTrust or None, default=None
        None believes every label, and takes the nugget as it is.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row must not vote.
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Shares of the classes, summing to one; all zero without candidates.

    Notes
    -----
    The weights minimise 1 - 2 k'w + w'(K + nugget I)w + lambda |w|_1 over
    w >= 0, with the Gaussian kernel of the features, and class c gets
    sum_i w_i [y_i = c] / sum_i w_i over the given labels. With a trust the vote of
    row i is divided: its label gets `own`, the strongest other class the rest.
    """
    no_shares = np.empty((0, ids.shape[1]))
    return _solve(
        training, ids, squared, problem, trust, left_out, no_shares, n_threads
    )


def candidate_shares(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    problem: QueryProblem,
    *,
    trust: LabelTrust | None = None,
    left_out: np.ndarray | None = None,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Votes as `candidate_votes` counts them, and whose they are.

    Parameters
    ----------
    training, ids, squared, problem, trust, left_out, n_threads
        As in `candidate_votes`.

    Returns
    -------
    votes : ndarray of shape (n_queries, n_classes)
    shares : ndarray of shape (n_queries, m)
        w_i / sum_i w_i of every candidate.
    """
    shares = np.zeros(ids.shape)
    votes = _solve(training, ids, squared, problem, trust, left_out, shares, n_threads)
    return votes, shares


def _solve(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    problem: QueryProblem,
    trust: LabelTrust | None,
    left_out: np.ndarray | None,
    shares: np.ndarray,
    n_threads: int,
) -> np.ndarray:
    """Votes of every query; the weights behind them into `shares` if it has rows."""
    from knngraph.inference import _adaptive

    if left_out is None:
        left_out = np.full(len(ids), -1, dtype=np.intp)
    nugget, own, rival = float(problem.nugget), _NO_SHARES, _NO_CODES
    if trust is not None:
        nugget *= trust.nugget_factor
        if trust.noise > 0.0:
            own, rival = trust.own, trust.rival
    starts = training.node_starts()
    votes = np.zeros((len(ids), training.n_classes))

    def solve(start: int, stop: int) -> None:
        chunk = slice(start, stop)
        _adaptive.vote_queries(
            training.points,
            starts,
            training.pair_code,
            training.pair_count,
            own,
            rival,
            ids[chunk],
            squared[chunk],
            left_out[chunk],
            float(problem.sigma),
            nugget,
            float(problem.penalty),
            WEIGHT_TOLERANCE,
            votes[chunk],
            shares[chunk],
        )

    map_chunks(solve, len(ids), _QUERIES_PER_CHUNK, n_threads, limit_blas=False)
    return votes


def search_candidates(
    index: SearchIndex,
    queries: np.ndarray,
    n_neighbors: int,
    *,
    ef: int | None = None,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest nodes of every query, with a beam of twice their number at least."""
    beam = max(beam_for(n_neighbors), ef or 1)
    return index.nearest(queries, n_neighbors, ef=beam, n_threads=n_threads)


def leave_one_out_candidates(
    training: TrainingSet, neighbors: Neighbors, pairs: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of training pairs when one row of each is left out.

    The node of a pair stays a candidate, at distance zero, where other rows lie
    on it.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    pairs : ndarray of shape (n,)
    n_neighbors : int

    Returns
    -------
    ids, squared : ndarray of shape (n, m)
    """
    nodes = training.pair_node[pairs]
    others = neighbors.ids[nodes, :n_neighbors].astype(np.intp)
    distances = neighbors.squared[nodes, :n_neighbors]
    shared = neighbors.counts[nodes] > 1
    if not shared.any():
        return others, distances
    # As many as a query has, the own node among them.
    m = min(n_neighbors, others.shape[1] + 1)
    ids = np.full((len(pairs), m), -1, dtype=np.intp)
    squared = np.zeros((len(pairs), m), dtype=distances.dtype)
    ids[:, : others.shape[1]] = others
    squared[:, : others.shape[1]] = distances
    ids[shared, 0] = nodes[shared]
    ids[shared, 1:] = others[shared, : m - 1]
    squared[shared, 0] = 0.0
    squared[shared, 1:] = distances[shared, : m - 1]
    return ids, squared
