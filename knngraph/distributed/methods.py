"""What the methods of a distributed classifier answer, and as which collections."""

from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np

from knngraph.answering import Answers
from knngraph.distributed.collections import collected
from knngraph.distributed.tasks import compute, task


@dataclass(frozen=True)
class Kind:
    """Answers of one kind.

    Parameters
    ----------
    dtype : type or None
        None is that of the classes.
    by_class : bool, default=False
        Whether a row gets one for every class.
    """

    dtype: Any
    by_class: bool = False

    def empty(self, classes: np.ndarray) -> np.ndarray:
        """Answers of no rows."""
        wide = (len(classes),) if self.by_class else ()
        return np.empty((0, *wide), dtype=self.dtype or classes.dtype)

    def collected(self, X: Any, blocks: list[Any], classes: np.ndarray) -> Any:
        """Answers of the blocks of a collection, as a collection of its kind."""
        dtype = self.dtype or classes.dtype
        return collected(X, blocks, dtype, classes if self.by_class else None)


KINDS = {
    "predict": Kind(None),
    "predict_proba": Kind(np.float64, by_class=True),
    "predict_set": Kind(np.bool_, by_class=True),
    "novelty_score": Kind(np.float64),
    "novelty_pvalue": Kind(np.float64),
    "is_novel": Kind(np.bool_),
}
# Fields of what `answer` returns, by the methods that give the same.
_METHOD_OF_FIELD = {
    "labels": "predict",
    "probabilities": "predict_proba",
    "sets": "predict_set",
}


def _kinds_of_answer(given: dict[str, Any]) -> dict[str, Kind]:
    names = [field.name for field in fields(Answers)]
    if given["alpha"] is None:
        names.remove("sets")
    return {name: KINDS[_METHOD_OF_FIELD.get(name, name)] for name in names}


def empty_answer(method: str, classes: np.ndarray, given: dict[str, Any]) -> Any:
    """What a method answers to a block without rows."""
    if method != "answer":
        return KINDS[method].empty(classes)
    kinds = _kinds_of_answer(given)
    return Answers(**{name: kind.empty(classes) for name, kind in kinds.items()})


def collect_answers(
    X: Any, blocks: list[Any], method: str, classes: np.ndarray, given: dict[str, Any]
) -> Any:
    """Answers to the blocks of a collection, lazily.

    Parameters
    ----------
    X : dask Array of shape (n, d) or DataFrame
    blocks : list of Delayed
        What the method answers to every block.
    method : str
    classes : ndarray of shape (n_classes,)
    given : dict
        Arguments of the method.

    Returns
    -------
    dask collection, or `Answers` of such
    """
    if method != "answer":
        return KINDS[method].collected(X, blocks, classes)
    found = {}
    for name, kind in _kinds_of_answer(given).items():
        parts = [task(attrgetter(name), block, name=name) for block in blocks]
        found[name] = kind.collected(X, parts, classes)
    return Answers(**found)


def computed(found: Any) -> Any:
    """A collection, or `Answers` of several, in this process."""
    if not isinstance(found, Answers):
        return found.compute()
    there = {name: value for name, value in vars(found).items() if value is not None}
    return Answers(**dict(zip(there, compute(*there.values()))))
