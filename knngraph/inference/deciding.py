"""When a cascade believes a stored label, learned from left-out rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.stored_left_out import StoredVotes
from knngraph.graph.training_set import TrainingSet
from knngraph.index.medoids import EARLY
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.candidates import left_out_through_lens, others_around
from knngraph.inference.cascade import (
    Decisions,
    n_nodes_around,
    stored_margin,
    unanimous,
)
from knngraph.inference.leave_one_out import LeaveOneOut
from knngraph.parallel import chunk_bounds

# A stored label may be settled by the nearest nodes alone, this part of the
# candidates: the one that leaves least to do, where the walk to all nodes around costs
# this much of an adaptive answer and the walk to those that settle a part of it.
_UNANIMOUS_PARTS = (8, 4, 2)
_WALK_COST = 0.15
_PAIRS_PER_BLOCK = 65536
# Rows that the threshold is learned on.
DECISION_ROWS = 3000
# Standard errors that the measured loss must stay below the tolerance: the lowest
# of many thresholds, and the best of nine ways to be sure, look better than they are.
MARGIN = 1.5
# How fast votes of a margin may fall with distance: where classes overlap it takes
# many nodes to be sure of one, where they lie close together only the nearest know.
SHARPNESSES = (3.0, 8.0, 24.0)
# Where there is one node only.
NOTHING_UNSURE = Decisions(1, 1.0, SHARPNESSES[0])


@dataclass(frozen=True)
class Tried:
    """How sure stored labels of left-out rows are.

    Parameters
    ----------
    settled : ndarray of shape (n, 3), bool
        Whether so many nearest nodes are all of the stored class; see
        `unanimous_sizes`.
    margin : ndarray of shape (n, 3)
        See `stored_margin`, for every sharpness; 1 where all nodes around are of
        the stored class.
    """

    settled: np.ndarray
    margin: np.ndarray


def unanimous_sizes(n_neighbors: int) -> list[int]:
    """Numbers of nearest nodes of which one is to settle a stored label."""
    return [max(1, n_neighbors // part) for part in _UNANIMOUS_PARTS]


def decide(decisions: Decisions, tried: Tried, n_neighbors: int) -> np.ndarray:
    """Whether stored labels that were tried are sure.

    Parameters
    ----------
    decisions : Decisions
    tried : Tried
    n_neighbors : int
        Candidates of the problem.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    place = unanimous_sizes(n_neighbors).index(decisions.n_unanimous)
    margin = tried.margin[:, SHARPNESSES.index(decisions.sharpness)]
    sure = np.where(tried.settled[:, place], 1.0, margin)
    return sure >= decisions.threshold


def learn_decisions(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    left_out: LeaveOneOut,
    stored_codes: np.ndarray,
    votes: StoredVotes,
    tolerance: float,
) -> tuple[Decisions, np.ndarray]:
    """Find the margin from which stored answers cost next to nothing.

    Sampled training rows play the query: left out, they reach their nearest other
    node, whose stored answer is found again without them. The threshold is the
    lowest margin at which, for every threshold above, the loss of accuracy against
    adaptive inference, plus a part of its standard error, stays within the tolerance.
    How many unanimous nodes are a margin of 1 is what then costs queries least time.

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

    Returns
    -------
    decisions : Decisions
    decided : ndarray of shape (n_pairs,), bool
        Whether the training pairs, left out, are answered at once.
    """
    everyone = np.arange(training.n_pairs)
    ids, _ = others_around(training, neighbors, everyone, 1)
    if ids.shape[1] == 0:
        return NOTHING_UNSURE, np.ones(training.n_pairs, dtype=bool)
    sample = everyone[: min(DECISION_ROWS, len(votes.codes))]
    now = stored_codes[ids[:, 0]]
    reached = np.where(votes.codes[sample] < 0, now[sample], votes.codes[sample])
    at_once = reached == training.pair_code[sample]
    decisions = choose_decisions(
        try_stored(training, neighbors, problem, sample, reached),
        at_once.astype(np.intp) - left_out.right[sample].astype(np.intp),
        training.pair_count[sample],
        problem.n_neighbors,
        tolerance,
    )
    decided = decided_left_out(training, neighbors, problem, now, decisions)
    return decisions, decided


def try_stored(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    pairs: np.ndarray,
    reached: np.ndarray,
) -> Tried:
    """See how sure stored labels are at pairs of each of which one row is left out.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    pairs : ndarray of shape (n,)
    reached : ndarray of shape (n,)
        Class that is stored on the node reached once the row is left out.

    Returns
    -------
    Tried
    """
    sizes = unanimous_sizes(problem.n_neighbors)
    ids, _ = others_around(training, neighbors, pairs, sizes[-1])
    settled = np.empty((len(pairs), len(sizes)), dtype=bool)
    for place, size in enumerate(sizes):
        settled[:, place] = unanimous(training, ids[:, :size], reached, pairs)
    # Whom all nodes around settle, fewer settle too.
    rest = np.flatnonzero(~settled[:, -1])
    margin = np.ones((len(pairs), len(SHARPNESSES)))
    margin[rest] = left_out_margins(
        training, neighbors, problem, pairs[rest], reached[rest], SHARPNESSES
    )
    return Tried(settled, margin)


def choose_decisions(
    tried: Tried,
    gain: np.ndarray,
    counts: np.ndarray,
    n_neighbors: int,
    tolerance: float,
) -> Decisions:
    """Lowest threshold within the tolerance, and who is settled without a margin.

    Parameters
    ----------
    tried : Tried
        What is stored for left-out rows.
    gain : ndarray of shape (n,)
        1 where only the stored answer is right, -1 where only the adaptive is.
    counts : ndarray of shape (n,)
        Rows that each stands for.
    n_neighbors : int
        Candidates of the problem.
    tolerance : float
        Loss of accuracy against adaptive inference that is accepted.

    Returns
    -------
    Decisions
        Of those with the lowest threshold for a number of unanimous nodes the one
        that costs queries least time.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.deciding import Tried, choose_decisions
    >>> settled = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    >>> tried = Tried(settled, np.tile([[1.0], [0.9], [0.8], [0.1]], 3))
    >>> gain = np.array([0, 0, -1, 0])  # four nodes settle a wrong label
    >>> choose_decisions(tried, gain, np.ones(4, int), 32, 0.1)
    Decisions(n_unanimous=8, threshold=1.0, sharpness=3.0)
    """
    least = np.inf
    most = n_nodes_around(n_neighbors)
    for place, n_unanimous in enumerate(unanimous_sizes(n_neighbors)):
        settled = tried.settled[:, place]
        shorter = counts[settled].sum() * max(0.0, 1.0 - EARLY * n_unanimous / most)
        for margin, sharpness in zip(tried.margin.T, SHARPNESSES):
            sure = np.where(settled, 1.0, margin)
            threshold = lowest_margin(sure, gain, counts, tolerance)
            cost = counts[sure < threshold].sum() - _WALK_COST * shorter
            if cost < least:
                least = cost
                decisions = Decisions(n_unanimous, threshold, sharpness)
    return decisions


def decided_left_out(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    reached: np.ndarray,
    decisions: Decisions,
) -> np.ndarray:
    """Whether the training pairs, one row of each left out, are answered at once.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    reached : ndarray of shape (n_pairs,)
        Class that is stored on the nearest node around every pair.
    decisions : Decisions

    Returns
    -------
    ndarray of shape (n_pairs,), bool
    """
    decided = np.empty(training.n_pairs, dtype=bool)
    for start, stop in chunk_bounds(training.n_pairs, _PAIRS_PER_BLOCK):
        pairs, codes = np.arange(start, stop), reached[start:stop]
        ids, _ = others_around(training, neighbors, pairs, decisions.n_unanimous)
        rest = np.flatnonzero(~unanimous(training, ids, codes, pairs))
        margin = np.ones(len(pairs))
        margin[rest] = left_out_margins(
            training,
            neighbors,
            problem,
            pairs[rest],
            codes[rest],
            [decisions.sharpness],
        )[:, 0]
        decided[start:stop] = margin >= decisions.threshold
    return decided


def left_out_margins(
    training: TrainingSet,
    neighbors: Neighbors,
    problem: QueryProblem,
    pairs: np.ndarray,
    reached: np.ndarray,
    sharpnesses: Sequence[float],
) -> np.ndarray:
    """Margins of the stored class at pairs of each of which one row is left out.

    Parameters
    ----------
    training : TrainingSet
    neighbors : Neighbors
    problem : QueryProblem
    pairs : ndarray of shape (n,)
    reached : ndarray of shape (n,)
        Class that is stored on the node reached once the row is left out.
    sharpnesses : sequence of float

    Returns
    -------
    ndarray of shape (n, n_sharpnesses)
    """
    k = n_nodes_around(problem.n_neighbors)
    ids, squared = others_around(training, neighbors, pairs, k)
    ids, squared = left_out_through_lens(training, problem, pairs, ids, squared, k)
    margins = [
        stored_margin(training, ids, squared, reached, sharpness, left_out=pairs)
        for sharpness in sharpnesses
    ]
    return np.stack(margins, axis=1)


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
        -1 where all may be answered at once, infinite where even those with the
        highest margin lose too much.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.inference.deciding import lowest_margin
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
    if within.all():
        return -1.0
    n_within = int(np.argmin(within))
    return float(margin[last_of_tie][n_within - 1]) if n_within else np.inf
