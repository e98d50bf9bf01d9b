"""The rule by which a cascade resolves queries, learned from left-out rows."""

from collections.abc import Sequence

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.stored_left_out import StoredVotes
from knngraph.graph.training_set import TrainingSet
from knngraph.index.medoids import early_steps
from knngraph.inference.adaptive import QueryProblem, leave_one_out_candidates
from knngraph.inference.cascade import (
    CascadeRule,
    all_agree,
    n_margin_nodes,
    stored_margin,
)
from knngraph.inference.leave_one_out import LeaveOneOut
from knngraph.parallel import chunk_bounds

# The nearest nodes that have to agree are this part of the candidates: the part that
# leaves least to do, where the search for all candidates costs this much of an adaptive
# answer and an early end saves a part of it.
_AGREE_PARTS = (8, 4, 2)
_SEARCH_COST = 0.15
_PAIRS_PER_BLOCK = 65536
# Rows that the threshold is learned on.
RULE_ROWS = 3000
# Standard errors that the measured loss must stay below the tolerance: the lowest
# of many thresholds, and the best of nine rules, look better than they are.
MARGIN = 1.5
# How fast votes of a margin may fall with distance: where classes overlap it takes
# many nodes for a margin, where they lie close together only the nearest count.
SHARPNESSES = (3.0, 8.0, 24.0)
# The rule where there is one node only.
ALL_RESOLVED = CascadeRule(1, 1.0, SHARPNESSES[0])


def agree_sizes(n_neighbors: int) -> list[int]:
    """Numbers of nearest nodes that may have to agree."""
    return [max(1, n_neighbors // part) for part in _AGREE_PARTS]


def learn_rule(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    votes: StoredVotes,
    sample: np.ndarray,
    tolerance: float,
) -> CascadeRule:
    """Find the margin from which stored answers cost next to nothing.

    Sampled training rows play the query: left out, they reach their nearest other
    node, whose stored answer is computed again without them. The threshold is the
    lowest margin at which, for every threshold above, the loss of accuracy against
    adaptive inference, plus a part of its standard error, stays within the tolerance.
    How many nodes have to agree is what then costs queries least time.

    Parameters
    ----------
    training, neighbors, problem, left_out
        The rows, and their adaptive answers.
    votes : StoredVotes
        Answers by stored labels to the pairs of `sample`, left out.
    sample : ndarray of shape (n_sample,)
    tolerance : float
        Loss of accuracy against adaptive inference that is accepted.
    """
    sample, reached = sample[:RULE_ROWS], votes.codes[:RULE_ROWS]
    if (reached < 0).any():
        return ALL_RESOLVED  # there is one row
    right = reached == training.pair_code[sample]
    agree, margin = evaluate_left_out(
        training,
        neighbors,
        problem,
        sample,
        reached,
        agree_sizes(problem.n_neighbors),
        SHARPNESSES,
    )
    gain = right.astype(np.float64) - left_out.right[sample]
    if training.class_weight is not None:
        gain *= training.class_weight[training.pair_code[sample]]
    return choose_rule(
        agree,
        margin,
        gain,
        training.pair_weight[sample],
        problem.n_neighbors,
        tolerance,
        early_steps(*training.points.shape),
    )


def apply_rule(
    rule: CascadeRule,
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    stored_codes: np.ndarray,
    pairs: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Apply the rule to training pairs, left out, that reach their nearest node.

    Returns
    -------
    resolved : ndarray of shape (n,), bool
        Whether the rule resolves the pairs.
    agreed : ndarray of shape (n,), bool
        Whether their nearest nodes agree.
    """
    resolved, agreed = np.ones((2, len(pairs)), dtype=bool)
    for start, stop in chunk_bounds(len(pairs), _PAIRS_PER_BLOCK):
        some = pairs[start:stop]
        ids, _ = leave_one_out_candidates(training, neighbors, some, 1)
        if ids.shape[1] == 0:
            break  # there is one node
        agree, margin = evaluate_left_out(
            training,
            neighbors,
            problem,
            some,
            stored_codes[ids[:, 0]],
            [rule.n_agree],
            [rule.sharpness],
        )
        agreed[start:stop] = agree[:, 0]
        resolved[start:stop] = margin[:, 0] >= rule.threshold
    return resolved, agreed


def evaluate_left_out(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    pairs: np.ndarray,
    reached: np.ndarray,
    sizes: Sequence[int],
    sharpnesses: Sequence[float],
) -> tuple[np.ndarray, np.ndarray]:
    """Evaluate stored labels at pairs of each of which one row is left out.

    Parameters
    ----------
    pairs, reached : ndarray of shape (n,)
        Pairs, and the class that is stored on the node reached without the row.
    sizes : sequence of int, ascending
        Numbers of nearest nodes.
    sharpnesses : sequence of float

    Returns
    -------
    agree : ndarray of shape (n, n_sizes), bool
        Whether so many nearest nodes are all of the stored class.
    margin : ndarray of shape (n, n_sharpnesses)
        See `stored_margin`; 1 where the most nodes agree.
    """
    ids, _ = leave_one_out_candidates(training, neighbors, pairs, sizes[-1])
    agree = np.empty((len(pairs), len(sizes)), dtype=bool)
    for place, size in enumerate(sizes):
        agree[:, place] = all_agree(training, ids[:, :size], reached, pairs)
    # Where all nodes agree, fewer agree too.
    rest = np.flatnonzero(~agree[:, -1])
    k = n_margin_nodes(problem.n_neighbors)
    ids, squared = leave_one_out_candidates(training, neighbors, pairs[rest], k)
    margin = np.ones((len(pairs), len(sharpnesses)))
    for place, sharpness in enumerate(sharpnesses):
        margin[rest, place] = stored_margin(
            training, ids, squared, reached[rest], sharpness, left_out=pairs[rest]
        )
    return agree, margin


def choose_rule(
    agree: np.ndarray,
    margin: np.ndarray,
    gain: np.ndarray,
    weights: np.ndarray,
    n_neighbors: int,
    tolerance: float,
    steps: int = 2,
) -> CascadeRule:
    """Lowest threshold within the tolerance, and how many nodes have to agree.

    Parameters
    ----------
    agree, margin
        Of `evaluate_left_out`, for the `agree_sizes` and `SHARPNESSES`.
    gain : ndarray of shape (n,)
        1 where only the stored answer is right, -1 where only the adaptive is, times
        the weight of the class.
    weights : ndarray of shape (n,)
        Rows that each stands for.
    n_neighbors : int
        Candidates of the problem.
    tolerance : float
        Loss of accuracy against adaptive inference that is accepted.
    steps : int, default=2
        Of `early_steps`: those before a search may end early.

    Returns
    -------
    CascadeRule
        Of those with the lowest threshold for a number of agreeing nodes the one
        that costs queries least time.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.cascade_rule import choose_rule
    >>> agree = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    >>> margin = np.tile([[1.0], [0.9], [0.8], [0.1]], 3)
    >>> gain = np.array([0, 0, -1, 0])  # four nodes agree on a wrong label
    >>> choose_rule(agree, margin, gain, np.ones(4, int), 32, 0.1)
    CascadeRule(n_agree=8, threshold=1.0, sharpness=3.0)
    """
    least = np.inf
    most = n_margin_nodes(n_neighbors)
    for place, n_agree in enumerate(agree_sizes(n_neighbors)):
        agreed = agree[:, place]
        shorter = weights[agreed].sum() * max(0.0, 1.0 - steps * n_agree / most)
        for of_sharpness, sharpness in zip(margin.T, SHARPNESSES):
            lead = np.where(agreed, 1.0, of_sharpness)
            threshold = lowest_margin(lead, gain, weights, tolerance)
            cost = weights[lead < threshold].sum() - _SEARCH_COST * shorter
            if cost < least:
                least = cost
                rule = CascadeRule(n_agree, threshold, sharpness)
    return rule


def lowest_margin(
    margin: np.ndarray, gain: np.ndarray, weights: np.ndarray, tolerance: float
) -> float:
    """Lowest margin at which the expected loss stays within the tolerance.

    Parameters
    ----------
    margin : ndarray of shape (n,)
    gain : ndarray of shape (n,)
        1 where only the stored answer is right, -1 where only the adaptive is, times
        the weight of the class.
    weights : ndarray of shape (n,)
        Rows that each stands for.

    Returns
    -------
    float
        -1 where the stored label answers all, infinite where even those with the
        highest margin lose too much.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.cascade_rule import lowest_margin
    >>> margin = np.array([0.9, 0.8, 0.7, 0.6])
    >>> lowest_margin(margin, np.array([0, 0, -1, 0]), np.ones(4, int), 0.1)
    0.8
    """
    order = np.argsort(-margin, kind="stable")
    margin, gain, rows = margin[order], gain[order], weights[order]
    loss = np.cumsum(-gain * rows)
    changes = np.cumsum(gain**2 * rows)
    last_of_tie = np.append(margin[1:] != margin[:-1], True)
    bound = (loss + MARGIN * np.sqrt(changes)) / rows.sum()
    within = bound[last_of_tie] <= tolerance
    if within.all():
        return -1.0
    n_within = int(np.argmin(within))
    return float(margin[last_of_tie][n_within - 1]) if n_within else np.inf
