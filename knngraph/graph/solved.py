"""The learned graph after rows have come and gone: only what changed is learned."""

from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np

from knngraph.graph.changed_rows import ChangedRows
from knngraph.graph.changed_same_class import change_same_class
from knngraph.graph.consensus import Consensus, vote
from knngraph.graph.density import (
    inverse_distances,
    normalized_density,
)
from knngraph.graph.learn import (
    GraphSettings,
    LearnedGraph,
    problem_with,
    same_class_quota,
)
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.representation import (
    Problem,
    Representation,
    represent_locally,
    rows_of_weights,
    warn_of_unsolved,
)
from knngraph.graph.training_set import TrainingSet

# What a problem shares among all pairs.
_common = attrgetter("kernel", "nugget", "positive", "max_iter", "tol")


@dataclass(frozen=True)
class Solved:
    """A graph that was learned, and what has changed around its pairs since.

    Parameters
    ----------
    learned : LearnedGraph
        By the numbers that pairs had then.
    pair_now : ndarray of shape (n_solved_pairs,)
        Present number of every pair, -1 where it is gone.
    touched : ndarray of shape (n_nodes,), bool
        Nodes of now that have other rows on them than then.
    moved : ndarray of shape (n_nodes,), bool
        Nodes of now with other neighbors than then.
    """

    learned: LearnedGraph
    pair_now: np.ndarray
    touched: np.ndarray
    moved: np.ndarray

    @classmethod
    def of(cls, learned: LearnedGraph, training: TrainingSet) -> "Solved":
        """Just learned: nothing has changed yet."""
        return cls(
            learned,
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

    def source(self, training: TrainingSet, neighbors: Neighbors) -> np.ndarray:
        """Solved pair that a pair of now was, where nothing near it has changed.

        Returns
        -------
        ndarray of shape (n_pairs,)
            -1 for a new pair, and where a candidate, its weight or the density may be
            another.
        """
        source = np.full(training.n_pairs, -1, dtype=np.intp)
        there = np.flatnonzero(self.pair_now >= 0)
        source[self.pair_now[there]] = there
        around = self.touched | self.moved
        # A new node has moved all nodes that list it.
        touched = np.zeros(training.n_nodes, dtype=bool)
        touched[training.pair_node[self.pair_now[there]]] = True
        touched &= self.touched
        if neighbors.ids.shape[1] and touched.any():
            around |= touched[neighbors.ids].any(axis=1)
        source[around[training.pair_node]] = -1
        return source


def learn_again(
    solved: Solved,
    training: TrainingSet,
    neighbors: Neighbors,
    settings: GraphSettings,
    *,
    seed: int = 0,
    n_threads: int = 1,
) -> LearnedGraph:
    """Learn pairs near which something has changed; the others stay as they are.

    Bandwidth and extremes of the density stay those of the graph that was learned.

    Parameters
    ----------
    training, neighbors, settings
        As in `learn_graph`, of the rows there are now; the support is local.
    """
    before, m = solved.learned, settings.max_neighbors
    source = solved.source(training, neighbors)
    problem = _problem_now(solved, training, neighbors, settings, source)
    same_class, changed = change_same_class(
        before.same_class,
        solved.pair_now,
        training,
        neighbors,
        m,
        same_class_quota(m),
        source < 0,
        seed=seed,
        n_threads=n_threads,
    )
    listed = np.flatnonzero(same_class.place >= 0)
    touched = solved.touched[training.pair_node[same_class.ids]]
    touched &= same_class.ids >= 0
    changed[listed] |= touched.any(axis=1)[same_class.place[listed]]
    if _common(before.problem) == _common(problem):
        source[changed] = -1
    else:
        source[:] = -1
    solve = np.flatnonzero(source < 0)
    fresh = represent_locally(
        training, neighbors, same_class, problem, m, solve, n_threads=n_threads
    )
    warn_of_unsolved(fresh.gaps, problem)
    representation = _joined(solved, training, source, fresh)
    consensus = _vote_again(solved, training, settings, source, representation, fresh)
    return LearnedGraph(problem, same_class, representation, consensus, before.extremes)


def _problem_now(
    solved: Solved,
    training: TrainingSet,
    neighbors: Neighbors,
    settings: GraphSettings,
    source: np.ndarray,
) -> Problem:
    """The problem with densities anew where something has changed."""
    before, extremes = solved.learned.problem, solved.learned.extremes
    density = np.empty(training.n_nodes)
    kept = np.flatnonzero(source >= 0)
    density[training.pair_node[kept]] = before.density[source[kept]]
    nodes = np.unique(training.pair_node[source < 0])
    inverse = inverse_distances(neighbors.of(nodes), settings.density_scales)
    density[nodes] = normalized_density(inverse, *extremes).clip(0.0, 1.0)
    return problem_with(training, density, before.kernel.sigma, settings)


def _joined(
    solved: Solved, training: TrainingSet, source: np.ndarray, fresh: Representation
) -> Representation:
    """Weights that are kept, and fresh ones, by the pairs of now."""
    before, solve = solved.learned.representation, source < 0
    then, now = before.weights, fresh.weights
    # One gather from the entries of both: less than a tenth of what scipy needs.
    row = np.where(solve, then.shape[0] + np.cumsum(solve) - 1, source)
    after = now.indptr[:-1] + np.intp(then.nnz)
    starts = np.concatenate([then.indptr[:-1], after])[row]
    sizes = np.concatenate([np.diff(then.indptr), np.diff(now.indptr)])[row]
    entry = np.repeat(starts - np.cumsum(sizes) + sizes, sizes)
    entry += np.arange(len(entry))
    columns = np.concatenate([solved.pair_now[then.indices], now.indices])[entry]
    data = np.concatenate([then.data, now.data])[entry]
    weights = rows_of_weights(data, columns, sizes, training.n_pairs)

    def joined(name: str) -> np.ndarray:
        values = getattr(before, name)[source]
        values[solve] = getattr(fresh, name)
        return values

    return Representation(
        weights,
        joined("gaps"),
        joined("lambda_max"),
        joined("n_iter"),
        fresh.objective_path if solve.any() else before.objective_path,
    )


def _vote_again(
    solved: Solved,
    training: TrainingSet,
    settings: GraphSettings,
    source: np.ndarray,
    representation: Representation,
    fresh: Representation,
) -> Consensus:
    """Votes on the pairs that were solved; on all, where those of classes weigh."""
    before, kept = solved.learned.consensus, source >= 0
    dense = isinstance(before.distribution, np.ndarray)
    if training.class_weight is not None or not dense:
        kept = np.zeros(len(source), dtype=bool)
    voted = np.flatnonzero(~kept)
    all_voted = not kept.any()
    votes = vote(
        representation.weights if all_voted else fresh.weights,
        training.pair_code[voted],
        training.n_classes,
        settings.self_weight,
        neighbor_codes=training.pair_code,
        class_weight=training.class_weight,
    )
    if all_voted:
        return votes

    def joined(name: str) -> np.ndarray:
        values = getattr(before, name)[source]
        values[voted] = getattr(votes, name)
        return values

    return Consensus(*(joined(name) for name in ("distribution", "codes", "margin")))
