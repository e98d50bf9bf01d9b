"""What a predictor holds: the part of a fitted model that its answers need."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from knngraph.inference.answer import PredictOptions, QueryModel


@dataclass(frozen=True)
class PredictorState:
    """A model that answers one way.

    Parameters
    ----------
    model : QueryModel
        Without the rows behind the nodes, which only fit and inspection read.
    options : PredictOptions
    classes : ndarray of shape (n_classes,)
    n_features : int
    names : ndarray of str or None
        Names of the columns, where fit has seen any.
    label_ef : int
        Smallest `ef` whose labels agree with exact search often enough.
    """

    model: QueryModel
    options: PredictOptions
    classes: np.ndarray
    n_features: int
    names: np.ndarray | None
    label_ef: int


def predictor_state(
    model: QueryModel,
    options: PredictOptions,
    classes: np.ndarray,
    n_features: int,
    names: Any,
    label_ef: int,
) -> PredictorState:
    """Leave out what no answer needs; arrays are shared, not copied."""
    empty = np.empty(0, dtype=np.intp)
    training = replace(
        model.training, node_of_row=empty, codes=empty, pair_of_row=empty
    )
    # Threads depend on the machine that answers.
    return PredictorState(
        replace(model, training=training),
        replace(options, n_threads=1),
        classes,
        n_features,
        names,
        label_ef,
    )
