"""Weights of training rows: a row of weight w stands for w copies of itself."""

from numbers import Real
from typing import Any

import numpy as np

# What is left of a weight without one row: less than this is rounding, and no row.
LEAST_REST = 1e-6
# Relative rounding of sums of weights.
_ROUNDING = 1e-9
# Weights stay below this: sums of them keep the weight of one row.
_LARGEST = 1e12
# Smallest weight of a class, over the largest.
_SMALLEST = 1e-100


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


def checked_sample_weight(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Weights of the rows as numbers; None where every row weighs one.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,), number or None
        A number is the weight of every row.

    Returns
    -------
    ndarray of shape (n_rows,), float64, or None

    Examples
    --------
    >>> from knngraph.weights import checked_sample_weight
    >>> checked_sample_weight([1, -2], 2)
    Traceback (most recent call last):
        ...
    ValueError: sample_weight has -2.0 in row 1: a weight is ... 0 leaves a row out.
    """
    if sample_weight is None:
        return None
    given = np.asarray(sample_weight)
    if given.dtype.kind not in "biuf" and given.dtype != object:
        raise ValueError(f"sample_weight must hold numbers, got dtype {given.dtype}.")
    try:
        weights = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sample_weight must hold numbers: {error}") from error
    if weights.ndim == 0:
        weights = np.full(n_rows, weights)
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight has shape {weights.shape}, expected one weight a row: "
            f"({n_rows},), or one number for all."
        )
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~((weights >= 0.0) & (weights <= _LARGEST)))
    if len(bad):
        raise ValueError(
            f"sample_weight has {weights[bad[0]]} in row {bad[0]}: a weight is a "
            f"number from 0 to {_LARGEST:.0e}, the copies that a row stands for; 0 "
            "leaves a row out."
        )
    if not weights.any():
        raise ValueError(
            "sample_weight is zero for every row: at least one weight must be non-zero."
        )
    return weights


def positive_rows(
    weights: np.ndarray | None, *columns: Any
) -> tuple[np.ndarray | None, ...]:
    """Weights and columns of the rows whose weight is not zero."""
    if weights is None or weights.all():
        return weights, *columns
    kept = np.flatnonzero(weights)
    return weights[kept], *(column[kept] for column in columns)


def weight_unit(weights: np.ndarray | None) -> float:
    """What weights are divided by, so that their mean is one at least.

    A training set is no lighter than its rows: weights that sum to one, say, would
    leave it lighter than a single row.

    Parameters
    ----------
    weights : ndarray of shape (n_rows,) or None
        Positive; None where every row weighs one.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import weight_unit
    >>> weight_unit(np.array([0.25, 0.25])), weight_unit(np.array([2.0, 3.0]))
    (0.25, 1.0)
    """
    if weights is None:
        return 1.0
    equal = weights[0] == weights.min() == weights.max()
    return min(1.0, float(weights[0] if equal else weights.mean()))


def in_units(weights: np.ndarray | None, unit: float, n_rows: int) -> np.ndarray | None:
    """Weights divided by their unit; None where every row weighs one then."""
    weights = np.ones(n_rows) if weights is None else weights
    with np.errstate(over="ignore"):
        divided = weights / unit
    if all_one(divided):
        return None
    if divided.max() > _LARGEST:
        raise ValueError(
            f"sample_weight has {weights.max()} in row {weights.argmax()}, more than "
            f"{_LARGEST:.0e} times the mean weight at fit, {unit}. Fit again on all "
            "rows."
        )
    return divided


def checked_class_weight(
    class_weight: Any, classes: np.ndarray
) -> str | tuple[float, ...] | None:
    """The weights of the classes in their order, or "balanced", or None.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        A class that a dict leaves out weighs one.
    classes : ndarray of shape (n_classes,)

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import checked_class_weight
    >>> checked_class_weight({"b": 2}, np.array(["a", "b"]))
    (1.0, 2.0)
    """
    if class_weight is None or isinstance(class_weight, str):
        return class_weight
    labels = classes.tolist()
    left_out = [label for label in labels if label not in class_weight]
    unknown = [label for label in class_weight if label not in set(labels)]
    # As in scikit-learn: a class that a fold happens to lack is no mistake.
    if unknown and left_out:
        raise ValueError(
            f"class_weight names {unknown[0]!r}, which is no class of y, and leaves "
            f"{left_out[0]!r} out. Name the classes as they are in y."
        )
    for label, weight in class_weight.items():
        number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not number or not 0.0 < weight < np.inf:
            raise ValueError(
                f"class_weight has {weight!r} for class {label!r}: a weight is a "
                "positive number. To leave a class out, leave its rows out."
            )
    return tuple(float(class_weight.get(label, 1.0)) for label in labels)


def class_factors(
    class_weight: str | tuple[float, ...] | None, weight_of_class: np.ndarray
) -> np.ndarray | None:
    """What the votes of every class are multiplied by; None where all are alike.

    Parameters
    ----------
    class_weight : "balanced", tuple of float, or None
        As `checked_class_weight` returns it. "balanced" is the weight of all rows
        over the number of classes and the weight of the class.
    weight_of_class : ndarray of shape (n_classes,)
        Weight of the rows of every class; 0 where a class has no rows.

    Returns
    -------
    ndarray of shape (n_classes,), or None
        In such units that the mean over the rows is one.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import class_factors
    >>> class_factors("balanced", np.array([6.0, 2.0])).round(2).tolist()
    [0.67, 2.0]
    """
    if class_weight is None:
        return None
    there, total = weight_of_class > 0.0, weight_of_class.sum()
    if class_weight == "balanced":
        size = np.where(there, weight_of_class, total / there.sum())
        factors = total / (there.sum() * size)
    else:
        # No factor is so small that votes vanish.
        factors = np.maximum(np.array(class_weight) / max(class_weight), _SMALLEST)
        factors *= total / (factors @ weight_of_class)
    alike = factors[there].min() == factors[there].max()
    return None if alike else factors


def weigh_votes(shares: Any, factors: np.ndarray | None) -> Any:
    """Shares v_c of the classes, brought to f_c v_c / sum_c f_c v_c.

    Parameters
    ----------
    shares : ndarray of shape (..., n_classes), or CSR array
        Summing to one, or zero without votes.
    factors : ndarray of shape (n_classes,) or None
        None leaves the shares as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.weights import weigh_votes
    >>> weigh_votes(np.array([[0.75, 0.25]]), np.array([1.0, 3.0])).tolist()
    [[0.5, 0.5]]
    """
    if factors is None:
        return shares
    is_sparse = hasattr(shares, "tocsr")
    if is_sparse:
        weighed = shares.copy()
        weighed.data = shares.data * factors[shares.indices]
    else:
        weighed = shares * factors
    total = weighed.sum(axis=-1)
    total[total == 0.0] = 1.0
    if is_sparse:
        weighed.data /= np.repeat(total, np.diff(weighed.indptr))
        return weighed
    return weighed / total[..., None]


def mean_votes(average: Any, shares: Any, factors: np.ndarray | None) -> Any:
    """Mean votes of the rows of some places, of which every class has its factor.

    The mean is that of the votes before they were weighed: a place with rows of
    several classes votes as one row with the mean of their votes would.

    Parameters
    ----------
    average : CSR array of shape (n_places, n_rows)
        Weights of the mean.
    shares : ndarray or CSR array of shape (n_rows, n_classes)
        Of `weigh_votes`.
    factors : ndarray of shape (n_classes,) or None
        By which they were weighed.
    """
    if factors is None:
        return average @ shares
    plain = average @ weigh_votes(shares, 1.0 / factors)
    return weigh_votes(plain, factors)
