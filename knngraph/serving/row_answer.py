"""One row to its label, with everything found beforehand."""

from collections.abc import Callable
from typing import Any

import numpy as np

from knngraph.inference.answer import mapped_codes
from knngraph.serving.predictor_state import PredictorState
from knngraph.serving.rows import RowRules
from knngraph.space import LARGEST_COORDINATE

# Differences from centers below this cannot overflow unless the row itself does.
_LARGEST_CENTER = 2.0**100


def row_answer(state: PredictorState, rules: RowRules) -> Callable[[Any], Any]:
    """A function from one row to its label, with everything found beforehand.

    Parameters
    ----------
    state : PredictorState
    rules : RowRules

    Returns
    -------
    callable
        Gives what the estimator predicts for the row, to the bit.
    """
    labels = list(state.classes)
    model, options = state.model, state.options

    def any_row(x: Any) -> Any:
        mapped = model.space.map_block(rules.one(x))
        return labels[mapped_codes(model, options, mapped).item(0)]

    center = _single_center(state)
    if center is None:
        return any_row
    dtype, shape = np.dtype(np.float32), (state.n_features,)
    subtract, absolute = np.subtract, np.absolute

    def vote(x: Any) -> Any:
        if type(x) is np.ndarray and x.dtype is dtype and x.shape == shape:
            mapped = subtract(x, center)
            # Not so for NaN and infinity either.
            if absolute(mapped).max() < LARGEST_COORDINATE:
                codes = mapped_codes(model, options, mapped[None])
                return labels[codes.item(0)]
        return any_row(x)

    walker = getattr(model.index, "walker", None)
    if options.inference != "lookup" or walker is None:
        return vote
    assert model.stored is not None
    walk, code_of = walker(options.ef), model.stored.codes.item
    nearby = _surely_allowed(model.training.points)

    def lookup(x: Any) -> Any:
        if type(x) is np.ndarray and x.dtype is dtype and x.shape == shape:
            node, squared = walk(subtract(x, center))
            # The distance bounds the row, which need not be read again.
            if squared < nearby:
                return labels[code_of(node)]
        return any_row(x)

    return lookup


def _single_center(state: PredictorState) -> np.ndarray | None:
    """What to subtract where the map does nothing else, and does it in float32."""
    space = state.model.space
    if space.metric != "euclidean" or space.scale != 1.0 or space.linear is not None:
        return None
    if space.center is None:
        return np.zeros(state.n_features, dtype=np.float32)
    with np.errstate(over="ignore"):  # what is infinite then is not exact
        center = space.center.astype(np.float32)
    exact = bool((center == space.center).all())
    return center if exact and np.abs(center).max() < _LARGEST_CENTER else None


def _surely_allowed(points: np.ndarray) -> float:
    """Squared distance to a point below which no coordinate is refused."""
    farthest = max(float(points.max()), -float(points.min()))
    return 0.5 * max(0.0, LARGEST_COORDINATE - farthest) ** 2
