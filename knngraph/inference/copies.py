"""Whether a training row that lies on the query decides alone.

Where classes overlap, a large nugget answers best: many rows share the vote. A copy of
the query then counts as one row among others, though it may be the very same thing,
with the very same label (wines that were measured twice). Left-out rows that have
copies show which it is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.leave_one_out import calibration_sample, leave_one_out_grid

# Rows with copies that are answered at most: half a percent shows with fewer.
_MOST_PAIRS = 500
# Standard errors that copies have to lead by when they decide alone.
_LEAD = 2.0


def copied_pairs(training: TrainingSet, honest: np.ndarray) -> np.ndarray:
    """Some pairs that, left out, leave other rows on their node.

    Parameters
    ----------
    honest : ndarray of shape (n_honest,)
        Pairs with leave-one-out answers that are those of new rows, ascending.
    """
    pairs = calibration_sample(training, honest)
    return pairs[training.left_weights(pairs) > 0.0][:_MOST_PAIRS]


def with_trust_in_copies(
    training: TrainingSet,
    neighbors: Neighbors,
    problems: Sequence[QueryProblem],
    pairs: np.ndarray,
    *,
    n_threads: int = 1,
) -> list[QueryProblem]:
    """Let copies decide alone where that answers left-out rows with copies better.

    Parameters
    ----------
    neighbors : Neighbors
        Of left-out rows, as many as the largest problem needs.
    problems : sequence of QueryProblem
    pairs : ndarray of shape (n,)
        Of `copied_pairs`.

    Returns
    -------
    list of QueryProblem
        As given where there are none.

    Notes
    -----
    Let g be what a left-out row gains when its copies decide alone: -1, 0 or 1. By
    chance the sum of all g would have a standard error of the root of the sum of all
    g^2; copies decide where the sum is more than two of these. So they do not where
    labels are often wrong: a copy is no more often right than any other row then.
    """
    if not len(pairs):
        return list(problems)
    offered = [
        replace(problem, trust_copies=trusted)
        for problem in problems
        for trusted in (False, True)
    ]
    right, _ = leave_one_out_grid(
        training, neighbors, offered, pairs, n_threads=n_threads
    )
    rows = training.score_weights(pairs)
    # Small weights count as rows too.
    rows = rows / min(1.0, rows.mean())
    gained = right[1::2].astype(np.float64) - right[::2]
    trusted = gained @ rows > _LEAD * np.sqrt(gained**2 @ rows)
    return [
        replace(problem, trust_copies=bool(trust))
        for problem, trust in zip(problems, trusted)
    ]
