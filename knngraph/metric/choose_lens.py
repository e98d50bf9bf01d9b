"""A lens in front of the training rows, kept where held-out rows ask for it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
from sklearn.model_selection import KFold

from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import TrainingSet, build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import QueryProblem, candidate_votes, n_listed_for
from knngraph.inference.candidates import problem_bandwidth, through_lens
from knngraph.lens import BlindLenses, Lens
from knngraph.metric.choose import N_ROUNDS
from knngraph.metric.gradient_map import FLOOR, MAX_ROWS, gradient_rounds
from knngraph.metric.place import MAX_FEATURES
from knngraph.parallel import chunk_bounds, one_blas_thread

# Coordinates that a lens adds at the most.
MAX_DIRECTIONS = 32
# Below so many rows those that are held out are too few to tell.
_FEWEST_ROWS = 30
_N_FOLDS = 3
_ROWS_PER_BLOCK = 4096
# Standard errors by which a lens must win, and by which it may fall behind in the
# first fold before it is given up.
_LEAD = 0.5
_GIVE_UP = 2.0


def choose_lens(
    training: TrainingSet,
    problem: QueryProblem,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> QueryProblem:
    """Learn a lens, and keep it where it answers held-out rows better.

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

    Notes
    -----
    The directions are those of `gradient_rounds`, after one, two or three rounds,
    the longest 32 of them. A lens that has seen the label of a row looks better on
    that row than it is, so it is judged on the fold that it has not seen.
    """
    if training.points.shape[1] > MAX_FEATURES or training.n_classes < 2:
        return problem
    pairs = spread_pairs(training, MAX_ROWS)
    if len(pairs) < _FEWEST_ROWS:
        return problem
    rows = training.points[training.pair_node[pairs]]
    codes = training.pair_code[pairs]
    with one_blas_thread():
        folds, n_rounds = _compare(
            rows, codes, training.n_classes, problem, seed, n_threads
        )
        if not n_rounds:
            return problem
        *_, found = _directions(rows, codes, training.n_classes, n_rounds, seed)
    blind_lens = np.full(training.n_pairs, -1, dtype=np.intp)
    for number, (_, held_out) in enumerate(_folds(rows)):
        blind_lens[pairs[held_out]] = number
    lens, *blind = (
        Lens.over(training.points, directions, FLOOR)
        for directions in (found, *(fold[n_rounds] for fold in folds))
    )
    return replace(problem, lens=lens, blind=BlindLenses(tuple(blind), blind_lens))


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
    direction = np.random.default_rng(0).normal(size=training.points.shape[1])
    along = np.empty(training.n_nodes)
    for start, stop in chunk_bounds(training.n_nodes, _ROWS_PER_BLOCK):
        block = training.points[start:stop].astype(np.float64)
        along[start:stop] = (block * direction).sum(axis=1)
    order = np.lexsort((training.pair_code, along[training.pair_node]))
    # Multiples of the golden ratio, without their whole part, leave no gaps.
    place = np.arange(len(order)) * (np.sqrt(5.0) - 1.0) / 2.0 % 1.0
    return order[np.argsort(place, kind="stable")[:limit]]


def _folds(rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    return KFold(_N_FOLDS).split(rows)


def _directions(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, n_rounds: int, seed: int
) -> Iterator[np.ndarray]:
    """Directions of the lens that every round leads to."""
    rounds = gradient_rounds(rows, codes, n_classes, seed)
    for values, vectors in islice(rounds, n_rounds):
        longest = vectors[:, :MAX_DIRECTIONS] * np.sqrt(values[:MAX_DIRECTIONS])
        yield np.ascontiguousarray(longest)


def _compare(
    rows: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    problem: QueryProblem,
    seed: int,
    n_threads: int,
) -> tuple[list[dict[int, np.ndarray]], int]:
    """Directions of every fold, and after how many rounds they win; 0 for never."""
    lead = np.zeros(1 + N_ROUNDS)
    differ = np.zeros(1 + N_ROUNDS)
    folds: list[dict[int, np.ndarray]] = []
    for number, (fitted, held_out) in enumerate(_folds(rows)):
        judge = _Judge(
            rows[fitted],
            codes[fitted],
            rows[held_out],
            codes[held_out],
            n_classes,
            problem,
            n_threads,
        )
        plain = judge.right(None)
        by_round = {}
        found = _directions(rows[fitted], codes[fitted], n_classes, N_ROUNDS, seed)
        for n_rounds, directions in enumerate(found, start=1):
            by_round[n_rounds] = directions
            right = judge.right(directions)
            lead[n_rounds] += right.sum() - plain.sum()
            differ[n_rounds] += (right != plain).sum()
            behind = lead[n_rounds] < -_GIVE_UP * np.sqrt(differ[n_rounds])
            if number == 0 and behind:
                return folds, 0  # further rounds go further the same way
        if len(by_round) < N_ROUNDS:
            return folds, 0  # nothing to see: one class, or rows that are all the same
        folds.append(by_round)
    best = int(np.argmax(lead))
    wins = lead[best] > _LEAD * np.sqrt(differ[best])
    return folds, best if wins else 0


class _Judge:
    """Answers held-out rows with and without a lens, from one search for them."""

    def __init__(
        self,
        rows: np.ndarray,
        codes: np.ndarray,
        queries: np.ndarray,
        given: np.ndarray,
        n_classes: int,
        problem: QueryProblem,
        n_threads: int,
    ) -> None:
        self.training = build_training_set(rows, codes, n_classes)
        index = ExactIndex(self.training.points)
        n_searched = n_listed_for(problem.n_neighbors)
        self.neighbors = nearest_others(
            index,
            self.training.points,
            self.training.node_counts(),
            n_searched,
            n_threads=n_threads,
        )
        self.found = index.nearest(queries, n_searched, n_threads=n_threads)
        self.queries, self.given = queries, given
        self.problem, self.n_threads = problem, n_threads

    def right(self, directions: np.ndarray | None) -> np.ndarray:
        """Whether every held-out row is answered right, bool."""
        lens = None
        if directions is not None:
            lens = Lens.over(self.training.points, directions, FLOOR)
        problem = replace(self.problem, lens=lens)
        sigma = problem_bandwidth(problem, self.neighbors)
        problem = replace(problem, sigma=sigma)
        ids, squared = through_lens(
            problem, self.queries, *self.found, problem.n_neighbors
        )
        votes = candidate_votes(
            self.training, ids, squared, problem, n_threads=self.n_threads
        )
        return votes.argmax(axis=1) == self.given
