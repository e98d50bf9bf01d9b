"""Which queries a stored label may answer at once, learned from left-out rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.protocol import SearchIndex
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    left_out_through_lens,
    others_around,
    through_lens,
)
from knngraph.inference.blocks import queries_per_block
from knngraph.inference.stored import StoredAnswers

if TYPE_CHECKING:
    # For fit only: what answers queries is to load without it.
    from knngraph.graph.stored_left_out import StoredVotes
    from knngraph.inference.leave_one_out import LeaveOneOut

# Rows that the threshold is learned on.
DECISION_ROWS = 3000
# Standard errors that the measured loss must stay below the tolerance: the lowest
# of many thresholds looks better than it is.
MARGIN = 0.75


@dataclass(frozen=True)
class Decisions:
    """How sure a stored label must be.

    Parameters
    ----------
    threshold : float
        Margin from which a query is answered at once; see `stored_margin`.
    """

    threshold: float


def n_nodes_around(n_neighbors: int) -> int:
    """Number of nodes around a query that say whether its stored label is sure."""
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
    nodes = ids[:, 0].copy()
    margin = stored_margin(
        training,
        *through_lens(problem, queries, ids, squared, k),
        problem,
        stored.codes[nodes],
        n_threads=n_threads,
    )
    return nodes, margin >= decisions.threshold


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
        believed. Where all of them are of the stored class it is 1, and nothing is
        solved.

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
    array([0.96])
    """
    from knngraph.inference import _adaptive

    if left_out is None:
        left_out = np.full(len(ids), -1, dtype=np.intp)
    margin = np.ones(len(ids))
    agree = np.empty(len(ids), dtype=bool)
    _adaptive.find_unanimous(
        training.node_starts(),
        training.pair_code,
        training.pair_count,
        ids,
        left_out,
        codes,
        agree,
    )
    unsure = np.flatnonzero(~agree)
    step = queries_per_block(training.n_classes)
    for start in range(0, len(unsure), step):
        some = unsure[start : start + step]
        votes = candidate_votes(
            training,
            ids[some],
            squared[some],
            problem,
            left_out=left_out[some],
            n_threads=n_threads,
        )
        place = np.arange(len(some)), codes[some]
        own = votes[place]
        votes[place] = 0.0
        margin[some] = own - votes.max(axis=1)
    return margin


def learn_decisions(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: "LeaveOneOut",
    stored_codes: np.ndarray,
    votes: "StoredVotes",
    tolerance: float,
    *,
    n_threads: int = 1,
) -> tuple[Decisions, np.ndarray]:
    """Find the margin from which stored answers cost next to nothing.

    Sampled training rows play the query: left out, they reach their nearest other
    node, whose stored answer is found again without them. The threshold is the
    lowest margin at which, for every threshold above, the loss of accuracy against
    adaptive inference, plus a part of its standard error, stays within the tolerance.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    left_out : LeaveOneOut
    stored_codes : ndarray of shape (n_nodes,)
    votes : StoredVotes
        What the first pairs, left out, are answered by stored labels.
    tolerance : float
        Loss of accuracy against adaptive inference that is accepted.
    n_threads : int, default=1

    Returns
    -------
    decisions : Decisions
    decided : ndarray of shape (n_pairs,), bool
        Whether the training pairs, left out, are answered at once.
    """
    everyone = np.arange(training.n_pairs)
    margin, reached = left_out_margin(
        training, neighbors, problem, stored_codes, everyone, n_threads=n_threads
    )
    if reached is None:
        return Decisions(-1.0), np.ones(training.n_pairs, dtype=bool)
    sample = everyone[: min(DECISION_ROWS, len(votes.codes))]
    honest, _ = left_out_margin(
        training,
        neighbors,
        problem,
        stored_codes,
        sample,
        reached=votes.codes[sample],
        n_threads=n_threads,
    )
    at_once = votes.codes[sample] == training.pair_code[sample]
    gain = at_once.astype(np.intp) - left_out.right[sample].astype(np.intp)
    threshold = lowest_margin(honest, gain, training.pair_count[sample], tolerance)
    return Decisions(threshold), margin >= threshold


def left_out_margin(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    stored_codes: np.ndarray,
    pairs: np.ndarray,
    *,
    reached: np.ndarray | None = None,
    n_threads: int = 1,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Margin of the stored class at pairs of each of which one row is left out.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    stored_codes : ndarray of shape (n_nodes,)
    pairs : ndarray of shape (n,)
    reached : ndarray of shape (n,) or None
        Class that is stored on the node reached once the row is left out; the
        class that is stored there now by default.
    n_threads : int, default=1

    Returns
    -------
    margin : ndarray of shape (n,)
    reached : ndarray of shape (n,) or None
        None where no other node is there.
    """
    k = n_nodes_around(problem.n_neighbors)
    ids, squared = others_around(training, neighbors, pairs, k)
    if ids.shape[1] == 0:
        return np.ones(len(pairs)), None
    if reached is None:
        reached = stored_codes[ids[:, 0]]
    margin = stored_margin(
        training,
        *left_out_through_lens(training, problem, pairs, ids, squared, k),
        problem,
        reached,
        left_out=pairs,
        n_threads=n_threads,
    )
    return margin, reached


def lowest_margin(
    margin: np.ndarray, gain: np.ndarray, counts: np.ndarray, tolerance: float
) -> float:
    """Lowest margin at which the expected loss stays within the tolerance.

    Parameters
    ----------
    margin : ndarray of shape (n,)
    gain : ndarray of shape (n,)
        1 where only the stored answer is right, -1 where only the adaptive is.
    counts : ndarray of shape (n,)
        Rows that each stands for.
    tolerance : float

    Returns
    -------
    float
        Infinite where even the highest margin loses too much.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.cascade import lowest_margin
    >>> margin = np.array([0.9, 0.8, 0.7, 0.6])
    >>> lowest_margin(margin, np.array([0, 0, -1, 0]), np.ones(4, int), 0.1)
    0.8
    """
    order = np.argsort(-margin, kind="stable")
    margin, gain, rows = margin[order], gain[order], counts[order]
    loss = np.cumsum(-gain * rows)
    changes = np.cumsum(np.abs(gain) * rows)
    last_of_tie = np.append(margin[1:] != margin[:-1], True)
    bound = (loss + MARGIN * np.sqrt(changes)) / rows.sum()
    within = bound[last_of_tie] <= tolerance
    n_within = len(within) if within.all() else int(np.argmin(within))
    return float(margin[last_of_tie][n_within - 1]) if n_within else np.inf
