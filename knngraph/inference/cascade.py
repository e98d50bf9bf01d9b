"""Which queries a stored label may answer at once, learned from left-out rows."""

from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import leave_one_out_candidates
from knngraph.inference.leave_one_out import LeaveOneOut

# Nearest nodes of a query that must agree; the beam of the walk finds them.
SURROUNDINGS = 8


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
    """Mean support that the class of the nearest node has around a query.

    Parameters
    ----------
    support, codes : ndarray of shape (n_nodes,)
    ids : ndarray of shape (n_queries, k)
        Nodes around the query, nearest first; -1 where there are no more.

    Returns
    -------
    ndarray of shape (n_queries,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.cascade import query_trust
    >>> support = np.array([1.0, 0.5, 1.0])
    >>> codes = np.array([0, 0, 1])
    >>> query_trust(support, codes, np.array([[0, 1], [0, 2]])).tolist()
    [0.75, 0.5]
    """
    alike = (codes[ids] == codes[ids[:, :1]]) & (ids >= 0)
    n_around = np.maximum((ids >= 0).sum(axis=1), 1)
    # Summed in a fixed order, whatever the number of queries.
    trust = np.zeros(len(ids))
    for column in range(ids.shape[1]):
        trust += support[ids[:, column]] * alike[:, column]
    return trust / n_around


def learn_decisions(
    training: TrainingSet,
    neighbors: Neighbors,
    left_out: LeaveOneOut,
    stored_codes: np.ndarray,
    tolerance: float,
) -> tuple[Decisions, np.ndarray]:
    """Find the trust from which stored answers cost next to nothing.

    Every training row plays the query: left out, it is surrounded by its nearest
    other nodes. The threshold is the lowest trust at which, for every threshold
    above, the loss of accuracy against adaptive inference, plus half its
    standard error, stays within the tolerance.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    left_out : LeaveOneOut
    stored_codes : ndarray of shape (n_nodes,)
    tolerance : float
        Loss of accuracy against adaptive inference that is accepted.

    Returns
    -------
    decisions : Decisions
    decided : ndarray of shape (n_pairs,), bool
        Whether the training pairs, left out, are answered at once.
    """
    support = _support(training, left_out, stored_codes).astype(np.float32)
    everyone = np.arange(training.n_pairs)
    ids, _ = leave_one_out_candidates(training, neighbors, everyone, SURROUNDINGS)
    ids = ids[:, :SURROUNDINGS]
    if ids.shape[1] == 0:
        return Decisions(support, 0.0), np.ones(training.n_pairs, dtype=bool)
    trust = query_trust(support, stored_codes, ids)
    at_once = stored_codes[ids[:, 0]] == training.pair_code
    gain = at_once.astype(np.intp) - left_out.right.astype(np.intp)
    threshold = lowest_trust(trust, gain, training.pair_count, tolerance)
    return Decisions(support, threshold), trust >= threshold


def _support(
    training: TrainingSet, left_out: LeaveOneOut, stored_codes: np.ndarray
) -> np.ndarray:
    """Mean left-out share of the stored class over the rows of every node."""
    agrees = training.pair_code == stored_codes[training.pair_node]
    shares = np.where(agrees, left_out.own_share, 0.0) * training.pair_count
    total = np.bincount(training.pair_node, weights=shares, minlength=training.n_nodes)
    return total / training.node_counts()


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
    bound = (loss + 0.5 * np.sqrt(changes)) / rows.sum()
    within = bound[last_of_tie] <= tolerance
    n_within = len(within) if within.all() else int(np.argmin(within))
    return float(trust[last_of_tie][n_within - 1]) if n_within else np.inf
