"""The lens of all partitions, small enough that every worker has it."""

from dataclasses import dataclass

import numpy as np

from knngraph.distributed.partition import Nodes
from knngraph.distributed.searching import Found
from knngraph.distributed.sizes import Weighed
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.candidates import nearest_through
from knngraph.lens import Lens
from knngraph.metric.choose_directions import ChosenDirections


@dataclass(frozen=True)
class SharedLens(Weighed):
    """Directions that were chosen, and the rows that they have seen.

    Parameters
    ----------
    chosen : ChosenDirections
    pairs : ndarray of shape (n_rows,), int64
        Numbers, among the pairs of all partitions, of those that the directions were
        learned from; ascending.
    fold_of_pair : ndarray of shape (n_rows,), intp
        Which of the blind directions has not seen them.
    """

    chosen: ChosenDirections
    pairs: np.ndarray
    fold_of_pair: np.ndarray

    def before(
        self, problem: QueryProblem, points: np.ndarray, pair_numbers: np.ndarray
    ) -> QueryProblem:
        """The problem of left-out pairs with the lens in front of some nodes.

        Parameters
        ----------
        problem : QueryProblem
        points : ndarray of shape (n_nodes, n_features), float32
        pair_numbers : ndarray of shape (n_pairs,)
            Of the pairs on the nodes, among those of all partitions.

        Returns
        -------
        QueryProblem
        """
        place = np.searchsorted(self.pairs, pair_numbers)
        place = np.minimum(place, len(self.pairs) - 1)
        seen = self.pairs[place] == pair_numbers
        lens_of_pair = np.where(seen, self.fold_of_pair[place], -1)
        return self.chosen.put_before(problem, points, lens_of_pair)


def left_out_problem(
    problem: QueryProblem, lens: SharedLens | None, nodes: Nodes
) -> QueryProblem:
    """The problem of left-out pairs on some nodes that came with coordinates."""
    if lens is None:
        return problem
    return lens.before(problem, nodes.points, nodes.pair_numbers())


def distances_through(lens: Lens, queries: np.ndarray, found: Found) -> np.ndarray:
    """Squared distances through a lens to the nodes that one partition found.

    Parameters
    ----------
    lens : Lens
        In front of the nodes of the partition.
    queries : ndarray of shape (n_queries, n_features), float32
    found : Found

    Returns
    -------
    ndarray of shape (n_queries, k), float32
        In the order of the search, in which partitions are merged.
    """
    away = np.empty(found.ids.shape, dtype=np.float32)
    if not away.size:
        return away
    ids, k = found.ids.astype(np.intp), found.ids.shape[1]
    nearest, squared = nearest_through(
        lens, lens.through(queries), ids, found.squared, k
    )
    by_number = np.take_along_axis(squared, np.argsort(nearest, axis=1), axis=1)
    np.put_along_axis(away, np.argsort(ids, axis=1), by_number, axis=1)
    return away
