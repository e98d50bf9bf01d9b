"""Which queries a stored label may answer at once, learned from left-out rows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    others_around,
)
from knngraph.inference.blocks import queries_per_block

if TYPE_CHECKING:
    # For fit only: what answers queries is to load without it.
    from knngraph.graph.stored_left_out import StoredVotes
    from knngraph.inference.leave_one_out import LeaveOneOut

# Nearest nodes of a query that must agree; the beam of the walk finds them.
SURROUNDINGS = 8
# Rows that the threshold is learned on.
DECISION_ROWS = 3000
# Standard errors that the measured loss must stay below the tolerance: the lowest
# of many thresholds looks better than it is.
MARGIN = 0.75


@dataclass(frozen=True)
class Decisions:
    """How sure the stored labels are.

    Parameters
    ----------
    support : ndarray of shape (n_nodes,), float32
        Share of the left-out vote that the stored class of a node gets.
    threshold : float
        Trust from which a query is answered at once.
    """

    support: np.ndarray
    threshold: float

    def decided(self, codes: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """Whether queries that reach these nodes are answered at once.

        Parameters
        ----------
        codes : ndarray of shape (n_nodes,)
            Stored classes.
        ids : ndarray of shape (n_queries, k)
            Nodes around the query, nearest first.

        Returns
        -------
        ndarray of shape (n_queries,), bool
        """
        return query_trust(self.support, codes, ids) >= self.threshold


def query_trust(support: np.ndarray, codes: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """How much the surroundings of a query speak for the class of the nearest node.

    Every node of that class counts half for being there and half by its support,
    the r-th nearest by 1 / sqrt(r).

    Parameters
    ----------
    support, codes : ndarray of shape (n_nodes,)
    ids : ndarray of shape (n_queries, k)
        Nodes around the query, nearest first; -1 where there are no more.

    Returns
    -------
    ndarray of shape (n_queries,)
        Between 0 and 1.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.cascade import query_trust
    >>> support = np.array([1.0, 0.5, 1.0])
    >>> codes = np.array([0, 0, 1])
    >>> ids = np.array([[0, 1], [0, 2]])
    >>> query_trust(support, codes, ids).round(2).tolist()
    [0.9, 0.59]
    """
    return _trust_around(support[ids], codes[ids], ids)


def _trust_around(
    support: np.ndarray, codes: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    from knngraph.inference import _surroundings

    trust = np.empty(len(ids))
    _surroundings.trust_around(support, codes, ids, trust)
    return trust


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
    """Find the trust from which stored answers cost next to nothing.

    Sampled training rows play the query: left out, they are surrounded by their
    nearest other nodes, whose stored answer and whose support are found again
    without them. The threshold is the lowest trust at which, for every threshold
    above, the loss of accuracy against adaptive inference, plus a part of its
    standard error, stays within the tolerance.

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
    support = node_support(training, left_out.own_share, stored_codes)
    everyone = np.arange(training.n_pairs)
    ids, _ = others_around(training, neighbors, everyone, SURROUNDINGS)
    if ids.shape[1] == 0:
        return Decisions(support, 0.0), np.ones(training.n_pairs, dtype=bool)
    sample = everyone[: min(DECISION_ROWS, len(votes.codes))]
    around = ids[sample]
    trust = left_out_trust(
        training,
        neighbors,
        problem,
        support,
        stored_codes,
        votes.codes[sample],
        sample,
        around,
        n_threads=n_threads,
    )
    at_once = votes.codes[sample] == training.pair_code[sample]
    gain = at_once.astype(np.intp) - left_out.right[sample].astype(np.intp)
    threshold = lowest_trust(trust, gain, training.pair_count[sample], tolerance)
    return (
        Decisions(support, threshold),
        query_trust(support, stored_codes, ids) >= threshold,
    )


def left_out_trust(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    support: np.ndarray,
    stored_codes: np.ndarray,
    reached_codes: np.ndarray,
    pairs: np.ndarray,
    around: np.ndarray,
    *,
    n_threads: int = 1,
) -> np.ndarray:
    """Trust in the stored answer that left-out pairs would get.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    support, stored_codes : ndarray of shape (n_nodes,)
    reached_codes : ndarray of shape (n,)
        Class stored on the nearest node once the pair is left out.
    pairs : ndarray of shape (n,)
    around : ndarray of shape (n, k)
        Nodes around the pairs, nearest first.
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (n,)
    """
    honest = _support_without(
        training, neighbors, problem, support, stored_codes, pairs, around, n_threads
    )
    codes = stored_codes[around]
    codes[:, 0] = reached_codes
    return _trust_around(honest, codes, around)


def _support_without(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    support: np.ndarray,
    stored_codes: np.ndarray,
    pairs: np.ndarray,
    around: np.ndarray,
    n_threads: int,
) -> np.ndarray:
    """Support of the nodes around left-out pairs, without the vote of those.

    Returns
    -------
    ndarray of shape `around.shape`
    """
    honest = support[around]
    absent = training.pair_node[pairs]
    starts = training.node_starts()
    # Nodes with several pairs, and copies of the absent row, keep their support.
    alone = (np.diff(starts)[around] == 1) & (neighbors.counts[absent] == 1)[:, None]
    owner, place = np.nonzero((around >= 0) & alone)
    step = queries_per_block(training.n_classes)
    for start in range(0, len(owner), step):
        rows, columns = owner[start : start + step], place[start : start + step]
        nodes = around[rows, columns]
        node_pairs = starts[nodes]
        ids, squared = leave_one_out_candidates(
            training, neighbors, node_pairs, problem
        )
        ids, squared = _without(ids, squared, absent[rows])
        votes = candidate_votes(
            training, ids, squared, problem, left_out=node_pairs, n_threads=n_threads
        )
        honest[rows, columns] = votes[np.arange(len(rows)), stored_codes[nodes]]
    return honest


def _without(
    ids: np.ndarray, squared: np.ndarray, absent: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Candidate lists without one node, the others moved up."""
    gone = ids == absent[:, None]
    order = np.argsort(gone, axis=1, kind="stable")
    ids = np.take_along_axis(np.where(gone, -1, ids), order, axis=1)
    return ids, np.take_along_axis(squared, order, axis=1)


def node_support(
    training: TrainingSet, own_share: np.ndarray, stored_codes: np.ndarray
) -> np.ndarray:
    """Mean left-out share of the stored class over the rows of every node.

    Parameters
    ----------
    training : TrainingSet
    own_share : ndarray of shape (n_pairs,)
        Share of the left-out vote that the given class gets.
    stored_codes : ndarray of shape (n_nodes,)

    Returns
    -------
    ndarray of shape (n_nodes,), float32
    """
    agrees = training.pair_code == stored_codes[training.pair_node]
    shares = np.where(agrees, own_share, 0.0) * training.pair_count
    total = np.bincount(training.pair_node, weights=shares, minlength=training.n_nodes)
    return (total / training.node_counts()).astype(np.float32)


def lowest_trust(
    trust: np.ndarray, gain: np.ndarray, counts: np.ndarray, tolerance: float
) -> float:
    """Lowest trust at which the expected loss stays within the tolerance.

    Parameters
    ----------
    trust : ndarray of shape (n,)
    gain : ndarray of shape (n,)
        1 where only the stored answer is right, -1 where only the adaptive is.
    counts : ndarray of shape (n,)
        Rows that each stands for.
    tolerance : float

    Returns
    -------
    float
        Infinite where even the highest trust loses too much.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.cascade import lowest_trust
    >>> trust = np.array([0.9, 0.8, 0.7, 0.6])
    >>> lowest_trust(trust, np.array([0, 0, -1, 0]), np.ones(4, int), 0.1)
    0.8
    """
    order = np.argsort(-trust, kind="stable")
    trust, gain, rows = trust[order], gain[order], counts[order]
    loss = np.cumsum(-gain * rows)
    changes = np.cumsum(np.abs(gain) * rows)
    last_of_tie = np.append(trust[1:] != trust[:-1], True)
    bound = (loss + MARGIN * np.sqrt(changes)) / rows.sum()
    within = bound[last_of_tie] <= tolerance
    n_within = len(within) if within.all() else int(np.argmin(within))
    return float(trust[last_of_tie][n_within - 1]) if n_within else np.inf
