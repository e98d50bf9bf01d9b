"""Which queries a stored label answers at once."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import QueryProblem, candidate_votes
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.candidates import through_lens
from knngraph.inference.stored import StoredAnswers


@dataclass(frozen=True)
class Decisions:
    """When a stored label is sure.

    Parameters
    ----------
    n_unanimous : int
        Number of nearest nodes whose rows settle it where they are all of its class.
    threshold : float
        Margin from which it is sure elsewhere; see `stored_margin`. Above 1 nothing
        is.
    """

    n_unanimous: int
    threshold: float


def n_nodes_around(n_neighbors: int) -> int:
    """Number of nodes around a query on which a margin is found."""
    return max(1, n_neighbors // 2)


def walk_and_decide(
    index: SearchIndex,
    training: TrainingSet,
    stored: StoredAnswers,
    decisions: Decisions,
    queries: np.ndarray,
    problem: QueryProblem,
    *,
    ef: int,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Node that every query reaches, and whether its stored label answers.

    Parameters
    ----------
    index : SearchIndex
    training : TrainingSet
    stored : StoredAnswers
    decisions : Decisions
    queries : ndarray of shape (n_queries, n_features), float32
    problem : QueryProblem
    ef : int
        Width of the beam.
    n_threads : int, default=1

    Returns
    -------
    nodes : ndarray of shape (n_queries,), intp
    decided : ndarray of shape (n_queries,), bool
    """
    k = n_nodes_around(problem.n_neighbors)
    ids, squared = index.nearest(queries, k, ef=ef, n_threads=n_threads)
    nodes = ids[:, 0]
    if decisions.threshold > 1.0:
        return nodes, np.zeros(len(queries), dtype=bool)
    codes = stored.codes[nodes]
    decided = unanimous(training, ids[:, : decisions.n_unanimous], codes)
    unsure = np.flatnonzero(~decided)
    if len(unsure):
        around = through_lens(problem, queries, ids, squared, k, unsure)
        margin = stored_margin(
            training, *around, problem, codes[unsure], n_threads=n_threads
        )
        decided[unsure] = margin >= decisions.threshold
    return nodes, decided


def unanimous(
    training: TrainingSet,
    ids: np.ndarray,
    codes: np.ndarray,
    left_out: np.ndarray | None = None,
) -> np.ndarray:
    """Whether all rows around queries are of a class.

    Parameters
    ----------
    training : TrainingSet
    ids : ndarray of shape (n_queries, k)
        Nodes around the queries; -1 ends a row.
    codes : ndarray of shape (n_queries,)
        Class of every query.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row does not count.

    Returns
    -------
    ndarray of shape (n_queries,), bool
    """
    from knngraph.inference import _candidates

    if left_out is None:
        left_out = np.full(len(ids), -1, dtype=np.intp)
    agree = np.empty(len(ids), dtype=bool)
    _candidates.find_unanimous(
        training.node_starts(),
        training.pair_code,
        training.pair_count,
        np.ascontiguousarray(ids),  # a slice would be compiled for anew
        left_out,
        codes,
        agree,
    )
    return agree


def stored_margin(
    training: TrainingSet,
    ids: np.ndarray,
    squared: np.ndarray,
    problem: QueryProblem,
    codes: np.ndarray,
    *,
    left_out: np.ndarray | None = None,
    n_threads: int = 1,
) -> np.ndarray:
    """How far the nodes around queries prefer the stored class to every other.

    Parameters
    ----------
    training : TrainingSet
    ids, squared : ndarray of shape (n_queries, k)
        Nodes around the queries, as the problem compares them; -1 ends a row.
    problem : QueryProblem
    codes : ndarray of shape (n_queries,)
        Stored class of the node that every query reaches.
    left_out : ndarray of shape (n_queries,) or None
        Pair of which one row must not vote.
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (n_queries,)
        Share of the stored class in the vote of the problem on these nodes alone,
        minus the largest share of another; between -1 and 1. Every given label is
        believed.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.graph.training_set import build_training_set
    >>> from knngraph.inference.adaptive import QueryProblem
    >>> from knngraph.inference.cascade import stored_margin
    >>> rows = np.array([[0.0], [1.0], [3.0]], dtype=np.float32)
    >>> training = build_training_set(rows, np.array([0, 0, 1]), n_classes=2)
    >>> around = np.argsort(training.points[:, 0])[None]
    >>> squared = np.array([[0.01, 0.81, 8.41]])  # of a query at 0.1
    >>> problem = QueryProblem(n_neighbors=6, sigma=1.0, nugget=0.3, penalty=0.02)
    >>> stored_margin(training, around, squared, problem, np.array([0])).round(2)
    array([1.])
    """
    margin = np.empty(len(ids))
    step = queries_per_block(training.n_classes)
    for start in range(0, len(ids), step):
        some = slice(start, start + step)
        votes = candidate_votes(
            training,
            ids[some],
            squared[some],
            problem,
            left_out=None if left_out is None else left_out[some],
            n_threads=n_threads,
        )
        place = np.arange(len(votes)), codes[some]
        own = votes[place]
        votes[place] = 0.0
        rival = votes.max(axis=1)
        # Shares of one class alone may add up to less than 1 in the last digit.
        alone = (rival == 0.0) & (own > 0.0)
        margin[some] = np.where(alone, 1.0, own - rival)
    return margin
