"""Which nodes may answer at once, learned from left-out rows."""

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.leave_one_out import LeaveOneOut

# Neighbors around a node whose votes say how sure its surroundings are.
_SURROUNDINGS = 12


def decided_nodes(
    training: TrainingSet,
    neighbors: Neighbors,
    left_out: LeaveOneOut,
    stored_codes: np.ndarray,
    tolerance: float,
) -> np.ndarray:
    """Nodes whose stored answer costs next to nothing against the adaptive one.

    A node is trusted by how strongly left-out votes support its stored class,
    at the node itself and on the nearest nodes around it. Every training row
    then plays the query: it reaches its nearest other node, and the trust in
    that node is computed without the row. Trust needed is the lowest at which,
    for every threshold above, the loss of accuracy, plus half its standard
    error, stays within the tolerance.

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
    ndarray of shape (n_nodes,), bool
    """
    if training.n_nodes < 2:
        return np.ones(training.n_nodes, dtype=bool)
    support = _support(training, left_out, stored_codes)
    trust = _trust(support, stored_codes, neighbors.ids)
    alone = neighbors.counts[training.pair_node] == 1
    reached = np.where(alone, neighbors.ids[training.pair_node, 0], training.pair_node)
    seen = _trust_without(
        support,
        stored_codes,
        neighbors.ids,
        reached,
        np.where(alone, training.pair_node, -1),
    )
    at_once = stored_codes[reached] == training.pair_code
    return trust >= _threshold(
        seen,
        at_once.astype(np.intp) - left_out.right.astype(np.intp),
        training.pair_count,
        tolerance,
    )


def _support(
    training: TrainingSet, left_out: LeaveOneOut, stored_codes: np.ndarray
) -> np.ndarray:
    """Mean left-out share of the stored class over the rows of every node."""
    agrees = training.pair_code == stored_codes[training.pair_node]
    shares = np.where(agrees, left_out.own_share, 0.0) * training.pair_count
    total = np.bincount(training.pair_node, weights=shares, minlength=training.n_nodes)
    return total / training.node_counts()


def _trust(
    support: np.ndarray, stored_codes: np.ndarray, ids: np.ndarray
) -> np.ndarray:
    around = ids[:, :_SURROUNDINGS]
    alike = stored_codes[around] == stored_codes[:, None]
    return support * (support[around] * alike).mean(axis=1)


def _trust_without(
    support: np.ndarray,
    stored_codes: np.ndarray,
    ids: np.ndarray,
    reached: np.ndarray,
    absent: np.ndarray,
) -> np.ndarray:
    """Trust in the reached nodes, leaving one node out of their surroundings."""
    around = ids[reached][:, : _SURROUNDINGS + 1]
    present = around != absent[:, None]
    present &= np.cumsum(present, axis=1) <= _SURROUNDINGS
    alike = stored_codes[around] == stored_codes[reached][:, None]
    total = (support[around] * (alike & present)).sum(axis=1)
    return support[reached] * total / np.maximum(present.sum(axis=1), 1)


def _threshold(
    trust: np.ndarray, gain: np.ndarray, counts: np.ndarray, tolerance: float
) -> float:
    """Lowest trust at which the expected loss stays within the tolerance.

    Parameters
    ----------
    trust : ndarray of shape (n_pairs,)
    gain : ndarray of shape (n_pairs,)
        1 where only the stored answer is right, -1 where only the adaptive is.
    counts : ndarray of shape (n_pairs,)
    tolerance : float
    """
    order = np.argsort(-trust, kind="stable")
    trust = trust[order]
    loss = np.cumsum(-gain[order] * counts[order])
    changes = np.cumsum(np.abs(gain[order]) * counts[order])
    last_of_tie = np.append(trust[1:] != trust[:-1], True)
    bound = (loss + 0.5 * np.sqrt(changes)) / counts.sum()
    within = bound[last_of_tie] <= tolerance
    n_within = len(within) if within.all() else int(np.argmin(within))
    return float(trust[last_of_tie][n_within - 1]) if n_within else np.inf
