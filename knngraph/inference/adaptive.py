"""The representation problem solved at a query, and its leave-one-out form.

First the candidates: the nearest nodes, by a search or, for a training row that is
left out, from the neighbor lists. Then the problem among them, whose weights vote.
"""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex, ef_for
from knngraph.parallel import map_chunks
from knngraph.weights import weigh_votes

_QUERIES_PER_CHUNK = 256
# Queries of one block times classes: bounds the memory of their votes.
_VOTES_PER_BLOCK = 4_000_000
# Every given label gets the whole vote of its row.
FULL_VOTES = np.empty(0), np.empty(0, dtype=np.int32)


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
        Added to the diagonal of the kernel, divided by the weight of a node.
    penalty : float
        Fraction of lambda*.
    trust_copies : bool, default=False
        Whether a node that lies on the query has no nugget: its rows then outvote
        all others.
    """

    n_neighbors: int
    sigma: float
    nugget: float
    penalty: float
    trust_copies: bool = False

    def setting(self) -> list[float]:
        """The numbers that compiled code reads."""
        of_copies = 0.0 if self.trust_copies else self.nugget
        return [self.n_neighbors, self.sigma, self.nugget, self.penalty, of_copies]


@dataclass(frozen=True)
class LabelReliability:
    """How a row divides its vote between its given label and the likeliest other.

    Parameters
    ----------
    own : ndarray of shape (n_pairs,)
        Probability that the given label of a pair is right; all ones where `doubt`
        is zero.
    rival : ndarray of shape (n_pairs,), int32
        Class that gets the rest of the vote.
    doubt : float
        Share of wrong labels that the model assumes: a regularizer, the `label_doubt_`
        of an estimator, and no estimate of how many are wrong.
    nugget_factor : float
        Multiple of the nugget that was chosen with it.
    """

    own: np.ndarray
    rival: np.ndarray
    doubt: float
    nugget_factor: float


def queries_per_block(n_classes: int) -> int:
    """Largest number of queries whose votes are held at once.

    Examples
    --------
    >>> from knngraph.inference.adaptive import queries_per_block
    >>> queries_per_block(n_classes=1000)
    4000
    """
    return max(1, _VOTES_PER_BLOCK // n_classes)


def search_candidates(
    index: SearchIndex,
    queries: np.ndarray,
    problem: QueryProblem,
    *,
    ef: int = 1,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of every query: the nearest nodes.

    Parameters
    ----------
    queries : ndarray of shape (n_queries, n_features), float32
    ef : int, default=1
        `ef` of the search; at least twice the number of candidates is used.

    Returns
    -------
    ids, squared : ndarray of shape (n_queries, m)
        Nearest first.
    """
    m = problem.n_neighbors
    return index.nearest(queries, m, ef=max(ef_for(m), ef), n_threads=n_threads)


def leave_one_out_candidates(
    training: TrainingSet, neighbors: Neighbors, pairs: np.ndarray, n_neighbors: int
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of training pairs when one row of each is left out.

    The node of a pair stays among them, at distance zero, where other rows lie
    on it.

    Parameters
    ----------
    pairs : ndarray of shape (n,)

    Returns
    -------
    ids, squared : ndarray of shape (n, m)
        Nearest first.
    """
    nodes = training.pair_node[pairs]
    others = neighbors.ids[nodes, :n_neighbors].astype(np.intp)
    distances = neighbors.squared[nodes, :n_neighbors]
    shared = training.left_weights(pairs) > 0.0
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


def in_one_layout(
    ids: np.ndarray, squared: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates as compiled code reads them: another layout is compiled anew."""
    return np.ascontiguousarray(ids), np.ascontiguousarray(squared, dtype=np.float64)


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
    reliability: LabelReliability | None = None,
    left_out: np.ndarray | None = None,
    shares: np.ndarray | None = None,
    n_threads: int = 1,
) -> np.ndarray:
    """Solve the problem of every query over its candidates and count the votes.

    Parameters
    ----------
    training, problem
        All candidates are used.
    ids, squared : ndarray of shape (n_queries, m)
        Candidate nodes, nearest first, and squared distances; -1 ends a row.
    reliability : LabelReliability or None, default=None
        None gives every label the whole vote of its row.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row does not vote.
    shares : ndarray of shape (n_queries, m) or None
        Zeros, into which w_i / sum_i w_i of every candidate is written.

    Returns
    -------
    ndarray of shape (n_queries, n_classes)
        Shares of the classes, summing to one; all zero without candidates.

    Notes
    -----
    The weights minimise 1 - 2 k'w + w'(K + nugget I)w + lambda |w|_1 over
    w >= 0, with the Gaussian kernel of the features, and class c gets
    sum_i w_i [y_i = c] / sum_i w_i over the given labels. With a label reliability
    the vote of row i is divided: its label gets `own`, the likeliest other class the
    rest. With weights of classes, the votes of a class are multiplied by its weight,
    and all divided by their sum.
    """
    left_out = left_out_of(ids, left_out)
    voters, setting = FULL_VOTES, problem.setting()
    setting[0] = ids.shape[1]
    if reliability is not None:
        setting[2] *= reliability.nugget_factor
        setting[4] *= reliability.nugget_factor
        if reliability.doubt > 0.0:
            voters = reliability.own, reliability.rival
    settings = np.array([setting], dtype=np.float64)
    votes = np.empty((len(ids), training.n_classes))

    def solve(start: int, stop: int) -> None:
        chunk = slice(start, stop)
        votes[chunk] = votes_by_setting(
            training,
            ids[chunk],
            squared[chunk],
            left_out[chunk],
            settings,
            voters,
            None if shares is None else shares[chunk],
        )[:, 0]

    map_chunks(solve, len(ids), _QUERIES_PER_CHUNK, n_threads, limit_blas=False)
    return votes


def votes_by_setting(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    left_out: np.ndarray,
    settings: np.ndarray,
    voters: tuple[np.ndarray, np.ndarray] = FULL_VOTES,
    shares: np.ndarray | None = None,
) -> np.ndarray:
    """Votes of some queries, of shape (n_queries, n_settings, n_classes).

    The arguments are those of the compiled `vote_queries`; `voters` are `own` and
    `rival`.
    """
    from knngraph.inference import _adaptive

    ids, squared = in_one_layout(ids, squared)
    m = ids.shape[1]
    votes = np.zeros((len(ids), len(settings), training.n_classes))
    _adaptive.vote_queries(
        training.points,
        training.node_starts(),
        training.pair_code,
        training.pair_weight,
        *voters,
        ids,
        squared,
        left_out,
        settings,
        votes,
        np.empty((0, m)) if shares is None else shares,
        (
            np.empty((2, m, m)),
            np.empty((m, m), dtype=np.float32),
            np.empty((8, m)),
            np.empty((3, m), dtype=np.intp),
        ),
    )
    return weigh_votes(votes, training.class_weight)
