"""Sparse representation of every row by others, over a given or over full support."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.candidates import SameClass, nearest_pairs, union
from knngraph.graph.kernel import CompositeKernel
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet, training_set_of_pairs
from knngraph.parallel import map_chunks

_ROWS_PER_CHUNK = 2048


@dataclass(frozen=True)
class Problem:
    """The numbers that make one self-representation problem.

    Parameters
    ----------
    kernel : CompositeKernel
        Its bandwidth in mapped units.
    density : ndarray of shape (n_pairs,)
        Density around every pair.
    fractions : ndarray of shape (n_pairs,)
        Penalty of every pair as a fraction of lambda*.
    nugget : float
        Added to the diagonal of the kernel.
    positive : bool
        Whether weights must not be negative.
    max_iter : int
    tol : float
        Largest violation of the optimality conditions, in units of lambda*.
    """

    kernel: CompositeKernel
    density: np.ndarray
    fractions: np.ndarray
    nugget: float
    positive: bool
    max_iter: int
    tol: float


@dataclass(frozen=True)
class Representation:
    """Solutions for all pairs.

    Parameters
    ----------
    weights : CSR array of shape (n_pairs, n_pairs)
        Row j holds the weights of the pairs that represent pair j.
    gaps : ndarray of shape (n_pairs,)
        Largest violation of the optimality conditions over lambda*.
    lambda_max : ndarray of shape (n_pairs,)
        lambda*, the smallest penalty at which no neighbor is optimal.
    n_iter : ndarray of shape (n_pairs,)
    objective_path : ndarray of shape (largest n_iter + 1,)
        Mean objective after every iteration, from the zero vector on.
    """

    weights: Any
    gaps: np.ndarray
    lambda_max: np.ndarray
    n_iter: np.ndarray
    objective_path: np.ndarray


@dataclass(frozen=True)
class Solution:
    """Solutions of some pairs over their candidates, as `solve` gives them."""

    weights: Any
    gaps: np.ndarray
    lambda_max: np.ndarray
    n_iter: np.ndarray
    drops: np.ndarray


def solve(
    training: TrainingSet,
    problem: Problem,
    pairs: np.ndarray,
    candidates: np.ndarray,
    start: np.ndarray,
    lambda_max: np.ndarray,
    n_iter: np.ndarray,
) -> Solution:
    """Solve the problems of some pairs over their candidates.

    Parameters
    ----------
    pairs : ndarray of shape (n,)
    candidates : ndarray of shape (n, width)
        Packed to the left, padded with -1.
    start : ndarray of shape (n, width)
        Weights to start from.
    lambda_max : ndarray of shape (n,)
        lambda* where it is known, else 0.
    n_iter : ndarray of shape (n,)
        Iterations spent on a pair before.
    """
    from knngraph.graph import _fista

    weights = start.copy()
    gaps = np.zeros(len(pairs))
    lambda_max = lambda_max.copy()
    n_iter = n_iter.copy()
    drops = np.zeros(4 * problem.max_iter)
    _fista.solve_rows(
        training.points,
        training.pair_node,
        training.pair_code,
        training.pair_count,
        pairs,
        candidates,
        problem.fractions[pairs],
        problem.kernel.as_tuple(),
        float(problem.nugget),
        (bool(problem.positive), int(problem.max_iter), float(problem.tol)),
        weights,
        gaps,
        lambda_max,
        n_iter,
        drops,
    )
    owner, place = np.nonzero(weights)
    chosen = sparse.csr_array(
        (
            weights[owner, place],
            candidates[owner, place].astype(np.int32),
            np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(pairs)))]),
        ),
        shape=(len(pairs), training.n_pairs),
    )
    return Solution(chosen, gaps, lambda_max, n_iter, drops)


def represent_locally(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Representation:
    """Represent every pair by its neighbors and the nearest of its class.

    Time is O(n m (d + m)) for n pairs, m candidates and d features; memory is
    the result and one chunk of rows a thread.

    Parameters
    ----------
    max_neighbors : int
        Nearest neighbors that are candidates.
    """
    all_pairs = np.arange(training.n_pairs)
    representation = represent_pairs(
        training,
        neighbors,
        same_class,
        problem,
        max_neighbors,
        all_pairs,
        n_threads=n_threads,
        advance=advance,
    )
    warn_of_unsolved(representation.gaps, problem)
    return representation


def represent_pairs(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    pairs: np.ndarray,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Representation:
    """Represent some pairs as `represent_locally` does, without a warning."""

    def solve_chunk(start: int, stop: int) -> Solution:
        chunk = pairs[start:stop]
        candidates = candidates_of(
            training, neighbors, same_class, chunk, max_neighbors
        )
        return solve(
            training,
            problem,
            chunk,
            candidates,
            np.zeros(candidates.shape),
            np.zeros(len(chunk)),
            np.zeros(len(chunk), dtype=np.intp),
        )

    parts = map_chunks(solve_chunk, len(pairs), _ROWS_PER_CHUNK, n_threads, advance)
    return collect(parts, problem)


def candidates_of(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    pairs: np.ndarray,
    max_neighbors: int,
) -> np.ndarray:
    """Candidates of some pairs, packed to the left, padded with -1."""
    nearest = nearest_pairs(training, neighbors, pairs, max_neighbors)
    place = same_class.place[pairs]
    short = np.flatnonzero(place >= 0)
    if not len(short):
        return nearest
    wider = union(nearest[short], same_class.ids[place[short]])
    width = max(nearest.shape[1], wider.shape[1])
    candidates = np.full((len(pairs), width), -1, dtype=np.intp)
    candidates[:, : nearest.shape[1]] = nearest
    candidates[short] = -1
    candidates[short, : wider.shape[1]] = wider
    return candidates


def collect(parts: list[Solution], problem: Problem) -> Representation:
    """Join the solutions of consecutive chunks of all pairs."""
    weights = sparse.vstack([part.weights for part in parts], format="csr")
    weights = sparse.csr_array(weights)
    n_iter = np.concatenate([part.n_iter for part in parts])
    drops = sum((part.drops for part in parts), np.zeros(4 * problem.max_iter))
    return finish(
        weights,
        np.concatenate([part.gaps for part in parts]),
        np.concatenate([part.lambda_max for part in parts]),
        n_iter,
        drops,
        problem,
    )


def finish(
    weights: Any,
    gaps: np.ndarray,
    lambda_max: np.ndarray,
    n_iter: np.ndarray,
    drops: np.ndarray,
    problem: Problem,
) -> Representation:
    """Turn falls of the objective into its path."""
    n_steps = min(int(n_iter.max(initial=0)), len(drops))
    # K_jj = 1: the weights of the two terms of the kernel sum to one.
    path = 1.0 - np.concatenate([[0.0], np.cumsum(drops[:n_steps])]) / len(gaps)
    return Representation(weights, gaps, lambda_max, n_iter, path)


def warn_of_unsolved(gaps: np.ndarray, problem: Problem) -> None:
    """Warn of rows that the solver did not bring to the tolerance."""
    unsolved = int((gaps > problem.tol).sum())
    if unsolved:
        # Loaded here: workers of a cluster learn without scikit-learn.
        from sklearn.exceptions import ConvergenceWarning

        warnings.warn(
            f"{unsolved} of {len(gaps)} rows did not reach tol={problem.tol} within "
            f"max_iter={problem.max_iter} iterations; the largest optimality gap is "
            f"{gaps.max():.1e}. Raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=3,
        )


def represent_new_rows(
    training: TrainingSet, problem: Problem, rows: np.ndarray, candidates: np.ndarray
) -> Any:
    """Represent rows by the nodes nearest to them.

    Labels take no part: a new row has none. Its penalty is, as a fraction of
    lambda*, that of its nearest node.

    Parameters
    ----------
    problem : Problem
        As fit has learned it.
    rows : ndarray of shape (n_rows, n_features), float32
        Mapped rows.
    candidates : ndarray of shape (n_rows, m)
        Nodes, nearest first.

    Returns
    -------
    CSR array of shape (n_rows, n_nodes)
    """
    # The solver represents pairs of one training set by each other: one is made
    # of the candidates and, behind them, of the rows.
    used, places = np.unique(candidates, return_inverse=True)
    n_used, n_rows = len(used), len(rows)
    n_pairs = n_used + n_rows
    own_number = np.arange(n_pairs)
    together = training_set_of_pairs(
        points=np.concatenate([training.points[used], rows]),
        pair_node=own_number,
        pair_code=np.zeros(n_pairs, dtype=np.intp),
        pair_count=np.ones(n_pairs, dtype=np.intp),
        n_classes=1,
    )
    nearest_pair = training.node_starts()[candidates[:, 0]]
    fractions = np.concatenate([np.zeros(n_used), problem.fractions[nearest_pair]])
    kernel = CompositeKernel(problem.kernel.sigma, 0.0, problem.kernel.label_discount)
    solution = solve(
        together,
        Problem(
            kernel,
            np.zeros(n_pairs),
            fractions,
            problem.nugget,
            problem.positive,
            problem.max_iter,
            problem.tol,
        ),
        own_number[n_used:],
        places.reshape(candidates.shape),
        np.zeros(candidates.shape),
        np.zeros(n_rows),
        np.zeros(n_rows, dtype=np.intp),
    )
    weights = solution.weights
    return sparse.csr_array(
        (weights.data, used[weights.indices], weights.indptr),
        shape=(n_rows, training.n_nodes),
    )
