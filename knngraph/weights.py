"""Weights of training rows: a row of weight w stands for w copies of itself."""

import numpy as np

# What is left of a weight without one row: less than this is rounding, and no row.
LEAST_REST = 1e-6
# Relative rounding of sums of weights.
_ROUNDING = 1e-9


def without_one_row(weight: np.ndarray) -> np.ndarray:
    """What is left of weights when one row is left out of each.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import without_one_row
    >>> without_one_row(np.array([3.0, 1.5, 1.0, 0.2])).tolist()
    [2.0, 0.5, 0.0, 0.0]
    """
    rest = weight - 1.0
    return np.where(rest > LEAST_REST, rest, 0.0)


def all_one(weights: np.ndarray | None) -> bool:
    """Whether every weight is that of one row; None stands for such weights."""
    return weights is None or bool(weights.min() == 1.0 == weights.max())


def middle_values(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The two values in the middle of all copies, sorted; often they are the same.

    Parameters
    ----------
    values, weights : ndarray of shape (n,)
        Every value stands for as many copies of itself as its weight says.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import middle_values
    >>> middle_values(np.array([5.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    (2.0, 2.0)
    >>> middle_values(np.array([5.0, 1.0]), np.array([0.5, 0.5]))
    (1.0, 5.0)
    """
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    half, rounding = 0.5 * reached[-1], _ROUNDING * reached[-1]
    low = np.searchsorted(reached, half - rounding, side="left")
    high = np.searchsorted(reached, half + rounding, side="right")
    values = values[order]
    return float(values[low]), float(values[min(high, len(values) - 1)])


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """The median of values, each counted as often as its weight says.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import weighted_median
    >>> weighted_median(np.array([5.0, 1.0, 2.0]), np.array([1.0, 1.0, 2.0]))
    2.0
    """
    if all_one(weights):
        return float(np.median(values))
    return float(np.mean(middle_values(values, weights)))
