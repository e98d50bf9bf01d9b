"""Neighbor lists of left-out rows under maps that have not seen their labels.

A map that has seen the label of a row brings the row near others of that label: a
leave-one-out answer in the mapped space is better than the answer to a new row. So
what is learned from left-out rows is learned from rows that the map has not seen, or,
where there are few of them, from neighbor lists under maps of other folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import ExactIndex
from knngraph.index.others import others_of
from knngraph.parallel import one_blas_thread

# Pairs that the map has not seen, from which on no other map is needed.
ENOUGH_UNSEEN = 1000
_SEEN, _UNSEEN = -2, -1


@dataclass(frozen=True)
class OutOfFold:
    """Which training pairs the map of the space has seen, and maps that stand in.

    Parameters
    ----------
    maps : ndarray of shape (n_folds, n_features, n_features), float32
        From rows of the space to rows under the map of a fold, which was learned
        without the pairs of that fold; none where enough pairs are unseen.
    fold_of_pair : ndarray of shape (n_pairs,), int8
        Fold of every pair, -1 for a pair that the map has not seen, -2 for one that
        it has seen and no map stands in for.
    """

    maps: np.ndarray
    fold_of_pair: np.ndarray

    @classmethod
    def of_sample(
        cls,
        linear: np.ndarray,
        fold_maps: Sequence[tuple[np.ndarray, np.ndarray]],
        n_pairs: int,
        pair_of_place: np.ndarray,
    ) -> "OutOfFold":
        """Of a map that was learned from a sample of the pairs.

        Parameters
        ----------
        linear : ndarray of shape (n_features, n_features)
            The map of the space.
        fold_maps : sequence of (ndarray, ndarray)
            Factor of the map of every fold, and the places in the sample that it was
            learned without; empty where enough pairs are unseen.
        pair_of_place : ndarray of shape (n_sampled,)
            Pairs of the sample.
        """
        fold_of_pair = np.full(n_pairs, _UNSEEN, dtype=np.int8)
        fold_of_pair[pair_of_place] = _SEEN
        n_features = len(linear)
        maps = np.empty((len(fold_maps), n_features, n_features), dtype=np.float32)
        with one_blas_thread():
            inverse = np.linalg.inv(linear).astype(np.float32)
            for fold, (factor, places) in enumerate(fold_maps):
                maps[fold] = inverse @ factor
                fold_of_pair[pair_of_place[places]] = fold
        return cls(maps, fold_of_pair)

    def honest_pairs(self) -> np.ndarray:
        """Pairs that are answered, left out, as new rows are, ascending."""
        return np.flatnonzero(self.fold_of_pair != _SEEN)

    def after(self, pair_now: np.ndarray, n_pairs: int) -> "OutOfFold":
        """The same after a change of the rows; new pairs are unseen.

        Parameters
        ----------
        pair_now : ndarray of shape (n_old_pairs,)
            New number of every old pair, -1 where it is gone.
        """
        fold_of_pair = np.full(n_pairs, _UNSEEN, dtype=np.int8)
        there = pair_now >= 0
        fold_of_pair[pair_now[there]] = self.fold_of_pair[there]
        return OutOfFold(self.maps, fold_of_pair)

    def points_under(self, fold: int, training: TrainingSet) -> np.ndarray:
        """The nodes under the map of a fold, of shape (n_nodes, n_features)."""
        with one_blas_thread():
            return training.points @ self.maps[fold]

    def neighbors(
        self,
        training: TrainingSet,
        neighbors: Neighbors,
        pairs: np.ndarray | None = None,
        *,
        n_threads: int = 1,
    ) -> Neighbors:
        """Neighbor lists for left-out pairs, under the map of their fold.

        Parameters
        ----------
        neighbors : Neighbors
            Under the map of the space; kept for unseen pairs.
        pairs : ndarray of shape (n,) or None, default=None
            Pairs to bring under the maps; None for all.

        Returns
        -------
        Neighbors
            `neighbors` itself where no map stands in.
        """
        if not len(self.maps):
            return neighbors
        ids, squared = neighbors.ids.copy(), neighbors.squared.copy()
        pairs = np.arange(training.n_pairs) if pairs is None else pairs
        for fold in range(len(self.maps)):
            of_fold = pairs[self.fold_of_pair[pairs] == fold]
            nodes = np.unique(training.pair_node[of_fold])
            if not len(nodes):
                continue
            points = self.points_under(fold, training)
            ids[nodes], squared[nodes] = others_of(
                ExactIndex(points), points, nodes, ids.shape[1], n_threads=n_threads
            )
        return Neighbors(ids, squared, neighbors.node_weights)


def honest_pairs(training: TrainingSet, out_of_fold: OutOfFold | None) -> np.ndarray:
    """Pairs that are answered, left out, as new rows are, ascending.

    Parameters
    ----------
    out_of_fold : OutOfFold or None
        None where no map has seen a label: then all pairs.
    """
    if out_of_fold is None:
        return np.arange(training.n_pairs)
    return out_of_fold.honest_pairs()
