"""Changes of a fitted estimator that are carried out when they are looked at."""

from typing import Any

import numpy as np

from knngraph.updating.attributes import learned_attributes
from knngraph.updating.model import LearningModel, OnceFound
from knngraph.updating.pending import PendingRows
from knngraph.updating.recipe import Recipe
from knngraph.updating.state import SearchedRows, search_changes


class Change:
    """Rows, what is to be done to them, and the model that comes of it.

    Rows that come or go are noted; nothing is searched before the model is asked
    for. Many small changes in a row cost one search and one copy of the index.

    Parameters
    ----------
    rows : SearchedRows
    pending : PendingRows
    recipe : Recipe
    n_threads : int

    Attributes
    ----------
    recipe : Recipe
    space : Space
    n_rows : int
        Number of rows after the change.
    """

    def __init__(
        self, rows: SearchedRows, pending: PendingRows, recipe: Recipe, n_threads: int
    ) -> None:
        self.recipe = recipe
        self.space = rows.space
        self.n_rows = pending.n_rows
        self._start: tuple[SearchedRows, PendingRows] | None = (rows, pending)
        self._n_threads = n_threads
        self._once = OnceFound()

    @classmethod
    def none(cls, rows: SearchedRows, recipe: Recipe, n_threads: int) -> "Change":
        """Nothing to be done yet."""
        everyone = PendingRows(np.arange(rows.training.n_rows))
        return cls(rows, everyone, recipe, n_threads)

    @property
    def model(self) -> LearningModel:
        """The model of the rows there are after the change."""
        return self._once.get("model", self._search)

    def attributes(self, classes: np.ndarray) -> dict[str, Any]:
        """Fitted attributes of the rows there are after the change."""
        return self._once.get(
            "attributes", lambda: learned_attributes(self.model, classes)
        )

    def added(self, rows: np.ndarray, codes: np.ndarray, n_threads: int) -> "Change":
        """This change, and then some rows more."""
        start, pending = self._from_here()
        return Change(start, pending.added(rows, codes), self.recipe, n_threads)

    def removed(self, indices: np.ndarray, n_threads: int) -> "Change":
        """This change, and then some rows less."""
        start, pending = self._from_here()
        return Change(start, pending.removed(indices), self.recipe, n_threads)

    def _from_here(self) -> tuple[SearchedRows, PendingRows]:
        start = self._start
        if start is not None:
            return start
        rows = self.model.learned_rows()
        return rows, PendingRows(np.arange(rows.training.n_rows))

    def _search(self) -> LearningModel:
        assert self._start is not None
        rows = search_changes(*self._start, self.recipe, self._n_threads)
        model = LearningModel(rows, self.recipe, self._n_threads)
        # What there was before is needed no longer: two indexes would stay.
        self._start = None
        return model
