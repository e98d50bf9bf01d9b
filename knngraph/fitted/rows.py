"""The training rows, mapped and indexed, with their neighbor lists."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from knngraph.fitted.kept import NOTHING_KEPT, Kept
from knngraph.fitted.settings import FitSettings
from knngraph.graph.neighbors import Neighbors
from knngraph.graph.training_set import TrainingSet
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.index.recall import SearchRecall
from knngraph.metric.out_of_fold import OutOfFold, honest_pairs
from knngraph.space import Space


@dataclass(frozen=True)
class IndexedRows:
    """The training rows, mapped and indexed, and their neighbor lists.

    Parameters
    ----------
    space : Space
    training : TrainingSet
    hashes : ndarray of shape (n_nodes,), uint64, or None
        Nodes are ordered by them; None until the first change of the rows.
    index : HNSWIndex or ExactIndex
    search_recall : SearchRecall
        Of the search through the layers of the graph.
    neighbors : Neighbors
    exact : bool
        Whether the neighbors are those of an exact search.
    out_of_fold : OutOfFold or None
        For left-out rows that the map of the space has seen; None without a map.
    n_changed : int
        Rows that have come or gone since the numbers that all rows share are kept.
    kept : Kept
        What was learned before they came or went.
    """

    space: Space
    training: TrainingSet
    hashes: np.ndarray | None
    index: HNSWIndex | ExactIndex
    search_recall: SearchRecall
    neighbors: Neighbors
    exact: bool
    out_of_fold: OutOfFold | None
    n_changed: int = 0
    kept: Kept = NOTHING_KEPT

    def __getstate__(self) -> dict[str, Any]:
        index, points = self.index, self.training.points
        state = vars(self) | {"neighbors": self.neighbors.state_beside(points)}
        if isinstance(index, HNSWIndex):
            state["index"] = index.state_beside(points)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        index, points = state["index"], state["training"].points
        neighbors = Neighbors.from_state_beside(state["neighbors"], points)
        if isinstance(index, dict):
            index = HNSWIndex.from_state_beside(index, points)
        vars(self).update(state, index=index, neighbors=neighbors)

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return self.training.n_rows

    @property
    def honest_pairs(self) -> np.ndarray:
        """Pairs that are answered, left out, as new rows are."""
        return honest_pairs(self.training, self.out_of_fold)

    def left_out_neighbors(
        self, n_threads: int, pairs: np.ndarray | None = None
    ) -> Neighbors:
        """Neighbor lists of left-out rows, under maps that have not seen them.

        Parameters
        ----------
        pairs : ndarray of shape (n,) or None, default=None
            Lists of other pairs are not read; None for all.
        """
        if self.out_of_fold is None:
            return self.neighbors
        return self.out_of_fold.neighbors(
            self.training, self.neighbors, pairs, n_threads=n_threads
        )


class RowsToFind(Protocol):
    """Indexed rows that are not searched yet: rows, and changes of them."""

    @property
    def space(self) -> Space:
        """Map from the rows of the user to those of the index."""

    @property
    def n_rows(self) -> int:
        """Number of training rows that there will be."""

    def carried_out(self, settings: FitSettings, n_threads: int) -> IndexedRows:
        """The rows with all changes."""
