"""How to condense, by the accuracy that it costs on rows that it has not seen.

On its own rows a condensed set is right by construction, so whole folds of rows are
left out: the others are condensed, and the left-out ones are answered before and
after.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knngraph.condensing.editing import find_edited
from knngraph.condensing.subset import SubsetSearch
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import ExactIndex

# A fifth of the nodes is left out at a time, and no further fifth once so many
# nodes have been.
FOLDS = 5
ENOUGH_LEFT_OUT = 5000
# Margins that are tried, narrowest first.
MARGINS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Plan:
    """How to condense, and the accuracy on left-out rows.

    Parameters
    ----------
    margin : float or None
        None keeps every row.
    drop_edited : bool
    accuracy_before, accuracy_after : float
        On the left-out rows; NaN where there was nothing to leave out.
    loss_error : float
        Standard error of their difference.
    n_left_out : int
        Number of left-out rows.
    """

    margin: float | None
    drop_edited: bool
    accuracy_before: float
    accuracy_after: float
    loss_error: float
    n_left_out: int


def make_plan(
    training: TrainingSet,
    codes: np.ndarray,
    neighbors: np.ndarray,
    tolerance: float,
    choices: Sequence[bool],
    *,
    n_threads: int = 1,
) -> Plan:
    """Find the smallest set whose loss on left-out rows is surely tolerated.

    Parameters
    ----------
    training : TrainingSet
        Its pairs hold the right answers.
    codes : ndarray of shape (n_nodes,)
        Stored classes.
    neighbors : ndarray of shape (n_nodes, k)
        Of `find_voters`.
    tolerance : float
        For the loss plus its standard error.
    choices : sequence of bool
        Whether to drop edited rows: one value, or both to choose from.
    """
    n_nodes = training.n_nodes
    n_folds = min(FOLDS, n_nodes)
    if n_folds < 2:
        return Plan(0.0, choices[0], np.nan, np.nan, np.nan, 0)
    n_runs = min(n_folds, -(-ENOUGH_LEFT_OUT * n_folds // n_nodes))
    # Nodes are in the order of a hash: every fifth is a random fifth.
    fold_of_node = np.arange(n_nodes) % n_folds
    folds = [
        _Fold(training, codes, fold_of_node == f, n_threads) for f in range(n_runs)
    ]
    right = np.concatenate([fold.right_before for fold in folds])
    weights = np.concatenate([fold.weights for fold in folds])
    in_score = np.concatenate([fold.in_score for fold in folds])
    before = float(np.average(right, weights=in_score))
    n_left_out = round(float(weights.sum()))
    best, smallest = Plan(None, False, before, before, 0.0, n_left_out), 1.0
    for drop in choices:
        searches = [fold.search(neighbors, drop) for fold in folds]
        for margin in MARGINS:
            kept = [search.grow(margin).kept for search in searches]
            share = sum(map(len, kept)) / sum(len(fold.nodes) for fold in folds)
            if share >= smallest:
                break
            after = np.concatenate([f.right(f.nodes[k]) for f, k in zip(folds, kept)])
            loss, error = _mean_and_error(right - after, in_score, weights)
            # The smallest that passes is partly lucky: hence the error.
            if loss + error <= tolerance:
                smallest = share
                best = Plan(margin, drop, before, before - loss, error, n_left_out)
                break
    return best


class _Fold:
    """Nodes that stay, and the pairs on the nodes that are left out."""

    def __init__(
        self,
        training: TrainingSet,
        codes: np.ndarray,
        is_left_out: np.ndarray,
        n_threads: int,
    ) -> None:
        self._training, self._codes, self._n_threads = training, codes, n_threads
        self._is_left_out = is_left_out
        self.nodes = np.flatnonzero(~is_left_out)
        self._left_out = np.flatnonzero(is_left_out)
        self._pairs = np.flatnonzero(is_left_out[training.pair_node])
        self.weights = training.pair_weight[self._pairs]
        self.in_score = training.score_weights(self._pairs)
        self.right_before = self.right(self.nodes)

    def search(self, neighbors: np.ndarray, drop: bool) -> SubsetSearch:
        """A condensation of the nodes that stay."""
        edited = None
        if drop:
            voting = np.where(self._is_left_out, 0, self._training.node_weights())
            edited = find_edited(neighbors, self._codes, voting)[self.nodes]
        return SubsetSearch(
            self._training.points[self.nodes],
            self._codes[self.nodes],
            edited,
            n_threads=self._n_threads,
        )

    def right(self, stored: np.ndarray) -> np.ndarray:
        """1.0 a left-out pair that the nearest stored node answers rightly."""
        training = self._training
        nearest, _ = ExactIndex(training.points[stored]).nearest(
            training.points[self._left_out], 1, n_threads=self._n_threads
        )
        answers = np.empty(training.n_nodes, dtype=self._codes.dtype)
        answers[self._left_out] = self._codes[stored][nearest[:, 0]]
        given = training.pair_code[self._pairs]
        return (answers[training.pair_node[self._pairs]] == given).astype(np.float64)


def _mean_and_error(
    values: np.ndarray, in_score: np.ndarray, weights: np.ndarray
) -> tuple[float, float]:
    """Mean and standard error: rows are drawn, and their classes then weighed."""
    mean = float(np.average(values, weights=in_score))
    squares = (values - mean) ** 2 * (in_score / weights)
    variance = float(np.average(squares, weights=in_score))
    return mean, float(np.sqrt(variance / in_score.sum()))
