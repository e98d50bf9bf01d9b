"""Judge maps on rows they were not fitted on."""

from dataclasses import replace

import numpy as np

from knngraph.graph.kernel import neighbors_bandwidth
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import QueryProblem, candidate_votes
from knngraph.metric.gradient_map import gradient_maps

# Rows that a choice is made on; above, a sample of so many.
MAX_ROWS = 2000
N_ROUNDS = 3
_N_FOLDS = 3


def sample_pairs(training: TrainingSet, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and classes of a random sample of the training pairs.

    Returns
    -------
    rows : ndarray of shape (at most `limit`, n_features), float32
    codes : ndarray
    """
    # The first pairs lie on the first nodes, which are a random sample.
    nodes = training.pair_node[:limit]
    return training.points[nodes], training.pair_code[:limit]


def held_out_answers(
    rows: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    problem: QueryProblem,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> np.ndarray:
    """Whether adaptive inference is right on held-out rows, map by map.

    The map is fitted on the other folds only: one that has seen the label of a
    row looks better on that row than it is.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
    codes : ndarray of shape (n_rows,)
    n_classes : int
    problem : QueryProblem
        Its sigma is measured on every fold.
    seed : int, default=0
    n_threads : int, default=1

    Returns
    -------
    ndarray of shape (1 + N_ROUNDS, n_rows), bool
        First without a map, then after every round.
    """
    right = np.zeros((1 + N_ROUNDS, len(rows)), dtype=bool)
    if len(rows) < _N_FOLDS:
        return right  # too few to hold any out: nothing speaks for a map
    # Loaded here: workers of a cluster learn without scikit-learn.
    from sklearn.model_selection import KFold

    for fitted, held_out in KFold(_N_FOLDS).split(rows):
        maps = gradient_maps(rows[fitted], codes[fitted], n_classes, N_ROUNDS, seed)
        for place in range(1 + N_ROUNDS):
            if place > len(maps):
                right[place, held_out] = right[0, held_out]
                continue
            mapped = rows
            if place:
                mapped = (rows.astype(np.float64) @ maps[place - 1]).astype(np.float32)
            votes = _answer(
                mapped[fitted],
                codes[fitted],
                mapped[held_out],
                n_classes,
                problem,
                n_threads,
            )
            right[place, held_out] = votes.argmax(axis=1) == codes[held_out]
    return right


def choose_round(right: np.ndarray) -> int:
    """Number of rounds whose map wins, 0 for no map.

    Parameters
    ----------
    right : ndarray of shape (n_maps, n_rows), bool
        As `held_out_answers` gives it.

    Returns
    -------
    int

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.metric.choose import choose_round
    >>> choose_round(np.array([[True] * 50, [False] * 50]))
    0
    >>> choose_round(np.array([[False] * 50, [True] * 50]))
    1
    """
    # The first of equals: no map rather than one, few rounds rather than many.
    return int(np.argmax(right.sum(axis=1)))


def _answer(
    rows: np.ndarray,
    codes: np.ndarray,
    queries: np.ndarray,
    n_classes: int,
    problem: QueryProblem,
    n_threads: int,
) -> np.ndarray:
    training = build_training_set(rows, codes, n_classes)
    index = ExactIndex(training.points)
    m = problem.n_neighbors
    neighbors = nearest_others(
        index, training.points, training.node_counts(), m, n_threads=n_threads
    )
    ids, squared = index.nearest(queries, m, n_threads=n_threads)
    measured = replace(problem, sigma=neighbors_bandwidth(neighbors, m))
    return candidate_votes(training, ids, squared, measured, n_threads=n_threads)
