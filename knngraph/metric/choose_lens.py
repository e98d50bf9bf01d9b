"""A lens in front of the training rows, kept where held-out rows ask for it."""

import numpy as np

from knngraph.graph.training_set import TrainingSet
from knngraph.inference.adaptive import QueryProblem
from knngraph.metric.choose_directions import choose_directions
from knngraph.metric.gradient_map import MAX_ROWS
from knngraph.metric.place import MAX_FEATURES
from knngraph.parallel import chunk_bounds

_ROWS_PER_BLOCK = 4096


def choose_lens(
    training: TrainingSet,
    problem: QueryProblem,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> QueryProblem:
    """Learn a lens, and keep it where it answers held-out rows better.

    See `choose_directions`.

    Parameters
    ----------
    training : TrainingSet
    problem : QueryProblem
        Its sigma is measured anew, with and without the lens.
    seed : int, default=0
    n_threads : int, default=1

    Returns
    -------
    QueryProblem
        With the lens and, for left-out rows, the lenses that were learned without
        them; as it was where no lens is kept.
    """
    if training.points.shape[1] > MAX_FEATURES:
        return problem
    pairs = spread_pairs(training, MAX_ROWS)
    chosen = choose_directions(
        training.points[training.pair_node[pairs]],
        training.pair_code[pairs],
        training.n_classes,
        problem,
        seed=seed,
        n_threads=n_threads,
    )
    if chosen is None:
        return problem
    lens_of_pair = np.full(training.n_pairs, -1, dtype=np.intp)
    lens_of_pair[pairs] = chosen.fold_of_row
    return chosen.put_before(problem, training.points, lens_of_pair)


def spread_pairs(training: TrainingSet, limit: int) -> np.ndarray:
    """Pairs that are spread over the data, and any first part of them as well.

    They do not change, apart from rounding, when all rows are moved, which changes
    the order of the nodes: a model to which rows were added looks at the same as one
    that was fitted on them all.

    Parameters
    ----------
    training : TrainingSet
    limit : int
        Largest number of pairs.

    Returns
    -------
    ndarray of shape (at most `limit`,), intp
    """
    return spread_places(places_along(training), training.pair_code, limit)


def places_along(training: TrainingSet) -> np.ndarray:
    """How far every pair lies along a direction that is the same for all rows.

    Returns
    -------
    ndarray of shape (n_pairs,)
    """
    direction = np.random.default_rng(0).normal(size=training.points.shape[1])
    along = np.empty(training.n_nodes)
    for start, stop in chunk_bounds(training.n_nodes, _ROWS_PER_BLOCK):
        block = training.points[start:stop].astype(np.float64)
        along[start:stop] = (block * direction).sum(axis=1)
    return along[training.pair_node]


def spread_places(along: np.ndarray, codes: np.ndarray, limit: int) -> np.ndarray:
    """Which of the pairs `spread_pairs` takes, by where they lie and their classes."""
    order = np.lexsort((codes, along))
    # Multiples of the golden ratio, without their whole part, leave no gaps.
    place = np.arange(len(order)) * (np.sqrt(5.0) - 1.0) / 2.0 % 1.0
    return order[np.argsort(place, kind="stable")[:limit]]
