"""Sparse representation of every row by others, over a given or over full support."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.compact import CompactPickle
from knngraph.exceptions import warn_once
from knngraph.freed import give_back_freed
from knngraph.graph.candidates import SameClass, nearest_pairs, union
from knngraph.graph.kernel import CompositeKernel
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet, training_set_of_pairs
from knngraph.parallel import map_chunks

_ROWS_PER_CHUNK = 2048
# The solutions of the chunks of so many rows are worth to be given back.
_MANY = 100_000


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
class Representation(CompactPickle):
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
    """Solutions of some pairs over their candidates.

    As `Representation`, with the falls of the objective in place of its path.
    """

    weights: Any
    gaps: np.ndarray
    lambda_max: np.ndarray
    n_iter: np.ndarray
    drops: np.ndarray

    @classmethod
    def of_chunks(cls, parts: list["Solution"]) -> "Solution":
        """Join the solutions of consecutive chunks."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            sparse.csr_array(sparse.vstack([p.weights for p in parts], format="csr")),
            np.concatenate([part.gaps for part in parts]),
            np.concatenate([part.lambda_max for part in parts]),
            np.concatenate([part.n_iter for part in parts]),
            np.sum([part.drops for part in parts], axis=0),
        )

    def finished(self) -> Representation:
        """The same as a representation of all pairs."""
        n_steps = min(int(self.n_iter.max(initial=0)), len(self.drops))
        fallen = np.concatenate([[0.0], np.cumsum(self.drops[:n_steps])])
        # K_jj = 1: the weights of the two terms of the kernel sum to one.
        path = 1.0 - fallen / max(1, len(self.gaps))
        return Representation(
            self.weights, self.gaps, self.lambda_max, self.n_iter, path
        )


def solve(
    training: TrainingSet,
    problem: Problem,
    pairs: np.ndarray,
    candidates: np.ndarray,
    before: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Solution:
    """Solve the problems of some pairs over their candidates.

    Parameters
    ----------
    pairs : ndarray of shape (n,)
    candidates : ndarray of shape (n, width)
        Packed to the left, padded with -1.
    before : tuple of ndarray of shape (n, width), (n,) and (n,), or None
        Weights to start from, lambda* where it is known, else 0, and iterations
        spent on a pair before; None for zeros.
    """
    from knngraph.graph import _fista

    n = len(pairs)
    if before is None:
        before = np.zeros(candidates.shape), np.zeros(n), np.zeros(n, dtype=np.intp)
    weights, lambda_max, n_iter = (array.copy() for array in before)
    gaps, drops = np.zeros(n), np.zeros(4 * problem.max_iter)
    _fista.solve_rows(
        training.points,
        training.pair_node,
        training.pair_code,
        training.pair_weight,
        pairs,
        candidates,
        problem.fractions[pairs],
        problem.kernel.as_tuple(),
        float(problem.nugget),
        (bool(problem.positive), float(problem.tol)),
        weights,
        gaps,
        lambda_max,
        n_iter,
        drops,
        _room_for(candidates.shape[1], problem.max_iter),
    )
    owner, place = np.nonzero(weights)
    chosen = rows_of_weights(
        weights[owner, place],
        candidates[owner, place],
        np.bincount(owner, minlength=n),
        training.n_pairs,
    )
    return Solution(chosen, gaps, lambda_max, n_iter, drops)


def rows_of_weights(
    weights: np.ndarray, columns: np.ndarray, sizes: np.ndarray, n_columns: int
) -> Any:
    """CSR array of rows of these sizes, with the narrowest numbers that fit.

    scipy makes the columns as wide as the numbers of the entries are.
    """
    ends = np.concatenate([[0], np.cumsum(sizes)])
    number = sparse.get_index_dtype(maxval=max(len(weights), n_columns))
    return sparse.csr_array(
        (weights, columns.astype(number), ends.astype(number)),
        shape=(len(sizes), n_columns),
    )


def _room_for(width: int, max_iter: int) -> tuple[np.ndarray, ...]:
    """Room in which rows with so many candidates are solved."""
    return (
        np.empty(max_iter),
        np.empty((13, width)),
        np.empty((5, width), dtype=np.int64),
        np.empty((3, width, width)),
    )


def represent_locally(
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    pairs: np.ndarray | None = None,
    *,
    n_threads: int = 1,
    advance: Callable[[int], None] | None = None,
) -> Representation:
    """Represent pairs by their neighbors and the nearest of their class.

    Time is O(n m (d + m)) for n pairs, m candidates and d features; memory is
    the result and one chunk of rows a thread.

    Parameters
    ----------
    max_neighbors : int
        Nearest neighbors that are candidates.
    pairs : ndarray of shape (n,) or None
        None for all, with a warning of those that are not solved.
    """
    wanted = np.arange(training.n_pairs) if pairs is None else pairs

    def solve_chunk(start: int, stop: int) -> Solution:
        chunk = wanted[start:stop]
        candidates = candidates_of(
            training, neighbors, same_class, chunk, max_neighbors
        )
        return solve(training, problem, chunk, candidates)

    parts = map_chunks(solve_chunk, len(wanted), _ROWS_PER_CHUNK, n_threads, advance)
    representation = Solution.of_chunks(parts or [solve_chunk(0, 0)]).finished()
    del parts
    if len(wanted) >= _MANY:
        give_back_freed()
    if pairs is None:
        warn_of_unsolved(representation.gaps, problem)
    return representation


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


def warn_of_unsolved(gaps: np.ndarray, problem: Problem) -> None:
    """Warn of rows that the solver did not bring to the tolerance."""
    unsolved = int((gaps > problem.tol).sum())
    if unsolved:
        # Loaded here: workers of a cluster learn without scikit-learn.
        from sklearn.exceptions import ConvergenceWarning

        warn_once(
            f"{unsolved} of {len(gaps)} rows did not reach tol={problem.tol} within "
            f"max_iter={problem.max_iter} iterations; the largest optimality gap is "
            f"{gaps.max():.1e}. Raise max_iter or tol.",
            ConvergenceWarning,
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
        pair_weight=np.ones(n_pairs),
        n_classes=1,
    )
    nearest_pair = training.node_starts()[candidates[:, 0]]
    fractions = np.concatenate([np.zeros(n_used), problem.fractions[nearest_pair]])
    sigma, discount = problem.kernel.sigma, problem.kernel.label_discount
    unlabeled = replace(
        problem,
        kernel=CompositeKernel(sigma, 0.0, discount),
        density=np.zeros(n_pairs),
        fractions=fractions,
    )
    chosen = places.reshape(candidates.shape)
    weights = solve(together, unlabeled, own_number[n_used:], chosen).weights
    return sparse.csr_array(
        (weights.data, used[weights.indices], weights.indptr),
        shape=(n_rows, training.n_nodes),
    )
