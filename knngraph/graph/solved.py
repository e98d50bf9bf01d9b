"""Which learned weights still hold after rows have come and gone."""

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import numpy as np
from scipy import sparse

from knngraph.graph.candidates import SameClass
from knngraph.graph.changed_rows import ChangedRows
from knngraph.graph.learn import LearnedGraph
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import (
    Problem,
    Representation,
    represent_locally,
    warn_of_unsolved,
)
from knngraph.graph.training_set import TrainingSet

# What a problem shares among all pairs.
_common = attrgetter("kernel", "nugget", "positive", "max_iter", "tol")


@dataclass(frozen=True)
class Solved:
    """Problems that were solved, and what has changed around them since.

    Parameters
    ----------
    problem : Problem
    same_class : SameClass
    representation : Representation
        All three by the numbers that pairs had then.
    pair_now : ndarray of shape (n_solved_pairs,)
        Present number of every pair, -1 where it is gone.
    touched : ndarray of shape (n_nodes,), bool
        Nodes of now that have other rows on them than then.
    moved : ndarray of shape (n_nodes,), bool
        Nodes of now with other neighbors than then.
    """

    problem: Problem
    same_class: SameClass
    representation: Representation
    pair_now: np.ndarray
    touched: np.ndarray
    moved: np.ndarray

    @classmethod
    def of(cls, learned: LearnedGraph, training: TrainingSet) -> "Solved":
        """Just solved: nothing has changed yet."""
        return cls(
            learned.problem,
            learned.same_class,
            learned.representation,
            np.arange(training.n_pairs),
            np.zeros(training.n_nodes, dtype=bool),
            np.zeros(training.n_nodes, dtype=bool),
        )

    def after(self, change: ChangedRows, moved: np.ndarray) -> "Solved":
        """With one change more behind them."""
        pair_now = np.full(len(self.pair_now), -1, dtype=np.intp)
        there = self.pair_now >= 0
        pair_now[there] = change.pair_now[self.pair_now[there]]
        old = change.old_node >= 0
        touched, moved = change.touched.copy(), moved.copy()
        touched[old] |= self.touched[change.old_node[old]]
        moved[old] |= self.moved[change.old_node[old]]
        return replace(self, pair_now=pair_now, touched=touched, moved=moved)

    def source(
        self,
        training: TrainingSet,
        neighbors: Neighbors,
        same_class: SameClass,
        problem: Problem,
    ) -> np.ndarray:
        """Solved pair whose weights a pair may keep, -1 where there is none.

        The problem of a pair is the same where its candidates are the same pairs
        with as many copies, and the kernel and its own penalty are the same to
        the last bit.

        Returns
        -------
        ndarray of shape (n_pairs,)
        """
        source = np.full(training.n_pairs, -1, dtype=np.intp)
        if _common(self.problem) != _common(problem):
            return source
        there = np.flatnonzero(self.pair_now >= 0)
        source[self.pair_now[there]] = there
        around = self.touched | self.moved
        if neighbors.ids.shape[1]:
            around |= self.touched[neighbors.ids].any(axis=1)
        differs = around[training.pair_node]
        differs |= self.problem.fractions[source] != problem.fractions
        differs |= self._same_class_changed(training, same_class, source)
        return np.where(differs, -1, source)

    def _same_class_changed(
        self, training: TrainingSet, same_class: SameClass, source: np.ndarray
    ) -> np.ndarray:
        """Pairs whose candidates of the same class have changed."""
        place_then, place = self.same_class.place[source], same_class.place
        differs = (place_then >= 0) != (place >= 0)
        both = np.flatnonzero((place_then >= 0) & (place >= 0))
        then = self.same_class.ids[place_then[both]]
        listed = then >= 0
        then[listed] = self.pair_now[then[listed]]
        # A pair that is gone is not the padding that the lists of now may have.
        then[listed & (then < 0)] = -2
        now = same_class.ids[place[both]]
        touched = self.touched[training.pair_node[now]] & (now >= 0)
        differs[both] = (then != now).any(axis=1) | touched.any(axis=1)
        return differs


def represent_again(
    solved: Solved,
    training: TrainingSet,
    neighbors: Neighbors,
    same_class: SameClass,
    problem: Problem,
    max_neighbors: int,
    **how: Any,
) -> Representation:
    """Solve the pairs whose problem has changed; the others keep their weights.

    Parameters
    ----------
    training, neighbors, same_class, problem, max_neighbors
        As in `represent_locally`, of the rows there are now.
    **how
        `n_threads` and `advance`.

    Returns
    -------
    Representation
        Its objective path is that of the pairs that were solved.
    """
    source = solved.source(training, neighbors, same_class, problem)
    to_solve, kept = np.flatnonzero(source < 0), np.flatnonzero(source >= 0)
    before, old = solved.representation, source[kept]
    weights = before.weights[old]
    columns = solved.pair_now[weights.indices].astype(np.int32)
    shape = len(kept), training.n_pairs
    parts = [
        replace(
            before,
            weights=sparse.csr_array((weights.data, columns, weights.indptr), shape),
            gaps=before.gaps[old],
            lambda_max=before.lambda_max[old],
            n_iter=before.n_iter[old],
        )
    ]
    if len(to_solve):
        fresh = represent_locally(
            training, neighbors, same_class, problem, max_neighbors, to_solve, **how
        )
        warn_of_unsolved(fresh.gaps, problem)
        parts.append(fresh)
    order = np.argsort(np.concatenate([kept, to_solve]))
    weights = sparse.vstack([part.weights for part in parts], format="csr")
    return Representation(
        sparse.csr_array(weights[order]),
        np.concatenate([part.gaps for part in parts])[order],
        np.concatenate([part.lambda_max for part in parts])[order],
        np.concatenate([part.n_iter for part in parts])[order],
        parts[-1].objective_path,
    )
