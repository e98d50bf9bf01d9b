"""The rows of a model, and the searches over them."""

from dataclasses import dataclass, field
from threading import RLock
from typing import Any

import numpy as np

from knngraph.fitted.found_once import found_once
from knngraph.fitted.rows import IndexedRows, RowsToFind
from knngraph.fitted.settings import FitSettings
from knngraph.graph.training_set import TrainingSet
from knngraph.index.build import index_for_walk
from knngraph.index.exact import ExactIndex
from knngraph.index.medoids import choose_entries
from knngraph.index.protocol import SearchIndex
from knngraph.index.recall import SearchRecall, measure_recall_from_medoids
from knngraph.space import Space


@dataclass(frozen=True, eq=False)
class SearchedModel:
    """Indexed rows, and the searches over them, each found on first use.

    Parameters
    ----------
    start : IndexedRows or RowsToFind
        The rows, or those before a change, which is carried out on first use.
    settings : FitSettings
    n_threads : int, default=1
    verbose : int, default=0
    """

    start: IndexedRows | RowsToFind
    settings: FitSettings
    n_threads: int = 1
    verbose: int = 0
    lock: Any = field(init=False, repr=False, default_factory=RLock)

    def use_threads(self, n_threads: int) -> None:
        """Find parts with so many threads from now on; no bit of them depends on it."""
        vars(self)["n_threads"] = n_threads

    @property
    def rows(self) -> IndexedRows:
        """The rows there are now."""
        if not isinstance(self.start, IndexedRows):
            with self.lock:
                if not isinstance(self.start, IndexedRows):
                    rows = self.start.carried_out(self.settings, self.n_threads)
                    # The rows before the change would keep a second index.
                    vars(self)["start"] = rows
        return self.start  # type: ignore[return-value]

    @property
    def space(self) -> Space:
        """Map from the rows of the user to those of the index."""
        return self.start.space

    @property
    def training(self) -> TrainingSet:
        """Distinct rows and labels."""
        return self.rows.training

    @property
    def honest_pairs(self) -> np.ndarray:
        """Pairs that are answered, left out, as new rows are."""
        return self.rows.honest_pairs

    @found_once
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Where searches from medoids start."""
        return self.rows.kept.entries or choose_entries(self.training.points)

    def search_index(self, walk: str) -> SearchIndex:
        """The index as it is searched "hnsw" or "medoids"."""
        points = self.training.points
        return index_for_walk(walk, self.rows.index, points, lambda: self.entries)

    @found_once
    def certified_index(self) -> ExactIndex:
        """The exact search over the nodes."""
        index = self.rows.index
        if isinstance(index, ExactIndex):
            return index
        return ExactIndex(self.training.points)

    @found_once
    def recall_from_medoids(self) -> SearchRecall:
        """How well searches from medoids find the nearest node."""
        index = self.rows.index
        if isinstance(index, ExactIndex):
            return self.rows.search_recall
        if self.rows.kept.recall_from_medoids is not None:
            return self.rows.kept.recall_from_medoids
        return measure_recall_from_medoids(
            index, self.training.points, self.n_threads, self.entries
        )

    def search_recall(self, walk: str) -> SearchRecall:
        """How well the search "hnsw" or "medoids" finds the nearest node."""
        return self.rows.search_recall if walk == "hnsw" else self.recall_from_medoids
