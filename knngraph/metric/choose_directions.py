"""Directions in which the labels change, kept where held-out rows ask for them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from scipy.linalg import solve

from knngraph.distances import squared_distances
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import QueryProblem, candidate_votes, n_listed_for
from knngraph.inference.candidates import problem_bandwidth, through_lens
from knngraph.lens import BlindLenses, Lens
from knngraph.metric.gradient_map import FLOOR, MAX_ROWS, MAX_TARGETS
from knngraph.parallel import one_blas_thread

N_ROUNDS = 3
_GRADIENT_ROWS = 400
_RIDGE = 0.1
# Coordinates that a lens adds at the most.
MAX_DIRECTIONS = 32
# Folds that are held out in turn: as many lenses have not seen one of them.
N_FOLDS = 3
# Below so many rows those that are held out are too few to tell.
_FEWEST_ROWS = 30
# Standard errors by which a lens must win, and by which it may fall behind in the
# first fold before it is given up.
_LEAD = 0.5
_GIVE_UP = 2.0


@dataclass(frozen=True)
class ChosenDirections:
    """Directions of a lens, and of those that stand in for it at rows it has seen.

    Parameters
    ----------
    directions : ndarray of shape (n_features, n_directions), float64
    blind : tuple of ndarray
        Directions that were learned without a fold of the rows each.
    fold_of_row : ndarray of shape (n_rows,), intp
        Which of `blind` has not seen a row.
    """

    directions: np.ndarray
    blind: tuple[np.ndarray, ...]
    fold_of_row: np.ndarray

    def lens_over(self, points: np.ndarray) -> Lens:
        """The lens in front of some rows."""
        return Lens.over(points, self.directions, FLOOR)

    def put_before(
        self, problem: QueryProblem, points: np.ndarray, lens_of_pair: np.ndarray
    ) -> QueryProblem:
        """The problem with all lenses in front of some rows.

        Parameters
        ----------
        problem : QueryProblem
        points : ndarray of shape (n_nodes, n_features), float32
        lens_of_pair : ndarray of shape (n_pairs,), intp
            See `BlindLenses`.

        Returns
        -------
        QueryProblem
        """
        blind = tuple(Lens.over(points, found, FLOOR) for found in self.blind)
        return replace(
            problem,
            lens=self.lens_over(points),
            blind=BlindLenses(blind, lens_of_pair),
        )


def choose_directions(
    rows: np.ndarray,
    codes: np.ndarray,
    n_classes: int,
    problem: QueryProblem,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> ChosenDirections | None:
    """Learn directions from a sample, and keep them where they answer better.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32
        Those of `spread_pairs`.
    codes : ndarray of shape (n_rows,)
    n_classes : int
    problem : QueryProblem
        Its sigma is measured anew, with and without the directions.
    seed : int, default=0
    n_threads : int, default=1

    Returns
    -------
    ChosenDirections or None

    Notes
    -----
    The directions are those of `gradient_rounds`, after one, two or three rounds,
    the longest 32 of them. A lens that has seen the label of a row looks better on
    that row than it is, so it is judged on the fold that it has not seen.
    """
    if n_classes < 2 or len(rows) < _FEWEST_ROWS:
        return None
    with one_blas_thread():
        folds, n_rounds = _compare(rows, codes, n_classes, problem, seed, n_threads)
        if not n_rounds:
            return None
        *_, found = _directions(rows, codes, n_classes, n_rounds, seed)
    fold_of_row = np.empty(len(rows), dtype=np.intp)
    for number, (_, held_out) in enumerate(_folds(len(rows))):
        fold_of_row[held_out] = number
    return ChosenDirections(found, tuple(fold[n_rounds] for fold in folds), fold_of_row)


def _folds(n_rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows to learn from and rows that are held out, three times.

    The folds of scikit-learn's KFold, which a worker of a cluster need not load.
    """
    everyone = np.arange(n_rows)
    for held_out in np.array_split(everyone, N_FOLDS):
        yield np.setdiff1d(everyone, held_out, assume_unique=True), held_out


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
    for number, (fitted, held_out) in enumerate(_folds(len(rows))):
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


def gradient_rounds(
    rows: np.ndarray, codes: np.ndarray, n_classes: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Directions in which the labels change, round by round without end.

    Parameters
    ----------
    rows, codes, n_classes, seed
        As in `gradient_maps`.

    Yields
    ------
    values : ndarray of shape (n_features,)
        Eigenvalues of M, the largest first; their mean is one.
    vectors : ndarray of shape (n_features, n_features)
        Its eigenvectors, a column each.
    """
    rows = rows[:MAX_ROWS].astype(np.float64)
    targets = _targets(codes[:MAX_ROWS], n_classes, seed)
    n_features = rows.shape[1]
    linear = np.eye(n_features)
    while True:
        outer = _gradient_outer_product(rows @ linear, targets)
        outer = linear @ outer @ linear.T
        trace = np.trace(outer)
        if not trace > 0.0:
            return  # one class, or rows that are all the same
        outer *= n_features / trace
        values, vectors = np.linalg.eigh(0.5 * (outer + outer.T))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        yield values, vectors
        linear = as_map(values, vectors)


def as_map(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The map L = (M + 0.02 I)^(1/2) by the eigenvalues and eigenvectors of M."""
    return (vectors * np.sqrt(values + FLOOR)) @ vectors.T


def _targets(codes: np.ndarray, n_classes: int, seed: int) -> np.ndarray:
    indicators = np.eye(n_classes)[codes]
    indicators -= indicators.mean(axis=0)
    if n_classes <= MAX_TARGETS:
        return indicators
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (n_classes, MAX_TARGETS))
    return indicators @ signs / np.sqrt(MAX_TARGETS)


def _gradient_outer_product(rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Mean outer product of the gradients of the fit, in the space of `rows`."""
    squared = squared_distances(rows, rows)
    few = slice(0, _GRADIENT_ROWS)
    twice_variance = float(np.median(squared[few, few]))
    if twice_variance == 0.0:
        return np.zeros((rows.shape[1], rows.shape[1]))
    kernel = np.exp(squared / -twice_variance)
    there, pulls = rows[few], kernel[few].copy()
    kernel[np.diag_indices(len(rows))] += _RIDGE
    dual = solve(kernel, targets, assume_a="pos", check_finite=False)
    outer = np.zeros((rows.shape[1], rows.shape[1]))
    for column in dual.T:
        pull = pulls * column
        gradients = pull @ rows - pull.sum(axis=1)[:, None] * there
        outer += gradients.T @ gradients
    return outer / (len(there) * (0.5 * twice_variance) ** 2)
