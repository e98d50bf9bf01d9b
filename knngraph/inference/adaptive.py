"""The representation problem solved at the query, and its leave-one-out form."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.lens import BlindLenses, Lens
from knngraph.parallel import map_chunks

_QUERIES_PER_CHUNK = 256
# Labels that are believed: nobody gets a part of a vote.
BELIEVED = np.empty(0), np.empty(0, dtype=np.int32)


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
    lens : Lens or None, default=None
        Through which candidates are compared: the nearest of twice as many.
    blind : BlindLenses or None, default=None
        What stands in for the lens at left-out rows that it has seen.
    """

    n_neighbors: int
    sigma: float
    nugget: float
    penalty: float
    lens: Lens | None = None
    blind: BlindLenses | None = None

    @property
    def n_searched(self) -> int:
        """Number of rows that are searched for the candidates."""
        n = self.n_neighbors
        return n if self.lens is None else n_listed_for(n)

    def parts(self, pairs: np.ndarray) -> Iterator[tuple["QueryProblem", np.ndarray]]:
        """The problem of left-out pairs, lens by lens, and the places of the pairs."""
        if self.lens is None or self.blind is None:
            yield self, np.arange(len(pairs))
            return
        for lens, places in self.blind.for_pairs(self.lens, pairs):
            yield replace(self, lens=lens, blind=None), places


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


def n_listed_for(n_neighbors: int) -> int:
    """Number of rows among which a lens finds so many candidates."""
    return 2 * n_neighbors


def in_one_layout(
    ids: np.ndarray, squared: np.ndarray, dtype: type[np.floating] = np.float64
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates as compiled code reads them: what differs would be compiled anew."""
    return np.ascontiguousarray(ids), np.ascontiguousarray(squared, dtype=dtype)


def left_out_of(queries: np.ndarray, left_out: np.ndarray | None) -> np.ndarray:
    """Pair that every query leaves out, as compiled code reads it: -1 for none."""
    if left_out is None:
        return np.full(len(queries), -1, dtype=np.intp)
    return left_out


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

    if left_out is not None and problem.blind is not None:
        together = np.empty((len(ids), training.n_classes))
        for part, at in problem.parts(left_out):
            some = shares[at] if len(shares) else shares
            together[at] = _solve(
                training,
                ids[at],
                squared[at],
                part,
                trust,
                left_out[at],
                some,
                n_threads,
            )
            if len(shares):
                shares[at] = some
        return together
    left_out = left_out_of(ids, left_out)
    nugget, (own, rival) = problem.nugget, BELIEVED
    if trust is not None:
        nugget *= trust.nugget_factor
        if trust.noise > 0.0:
            own, rival = trust.own, trust.rival
    ids, squared = in_one_layout(ids, squared)
    starts = training.node_starts()
    seen, floor = _through(problem.lens, training.n_nodes)
    settings = np.array(
        [[ids.shape[1], problem.sigma, nugget, problem.penalty]], dtype=np.float64
    )
    votes = np.zeros((len(ids), 1, training.n_classes))

    def solve(start: int, stop: int) -> None:
        chunk = slice(start, stop)
        _adaptive.vote_queries(
            training.points,
            seen,
            floor,
            starts,
            training.pair_code,
            training.pair_count,
            own,
            rival,
            ids[chunk],
            squared[chunk],
            left_out[chunk],
            settings,
            votes[chunk],
            shares[chunk],
        )

    map_chunks(solve, len(ids), _QUERIES_PER_CHUNK, n_threads, limit_blas=False)
    return votes[:, 0]


def _through(lens: Lens | None, n_nodes: int) -> tuple[np.ndarray, float]:
    """What compiled code reads of a lens; without one nothing is added."""
    if lens is None:
        return np.empty((n_nodes, 0), dtype=np.float32), 1.0
    return lens.rows, float(lens.floor)
