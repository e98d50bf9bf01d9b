"""What the parameters of the graph classifier may be."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

PARAMETER_CONSTRAINTS: dict[str, list[Any]] = {
    "inference": [StrOptions({"lookup", "adaptive", "cascade"})],
    "max_neighbors": [Interval(Integral, 1, None, closed="left")],
    "support": [StrOptions({"auto", "exact", "local"})],
    "density_scales": ["array-like"],
    "penalty_min": [Interval(Real, 0, 1, closed="left")],
    "penalty_max": [Interval(Real, 0, 1, closed="left")],
    "label_weight": [Interval(Real, 0, 1, closed="both")],
    "label_discount": [Interval(Real, 0, 1, closed="both")],
    "bandwidth": [
        StrOptions({"median", "neighbors"}),
        Interval(Real, 0, None, closed="neither"),
    ],
    "nugget": [Interval(Real, 0, None, closed="left")],
    "self_weight": [Interval(Real, 0, None, closed="left")],
    "positive": ["boolean"],
    "query_nugget": [Interval(Real, 0, None, closed="left")],
    "query_penalty": [Interval(Real, 0, 1, closed="left")],
    "query_bandwidth": [
        StrOptions({"neighbors", "local"}),
        Interval(Real, 0, None, closed="neither"),
    ],
    "vote": [StrOptions({"reliability", "labels"})],
    "metric": [StrOptions({"euclidean", "cosine", "learned", "auto"})],
    "cascade_tolerance": [Interval(Real, 0, 1, closed="both")],
    "ef": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    "walk": [StrOptions({"auto", "hnsw", "medoids"})],
    "M": [Interval(Integral, 2, None, closed="left")],
    "ef_construction": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="neither")],
    "n_jobs": [Integral, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


def checked_scales(scales: Any) -> list[int]:
    """The density scales as a list of positive integers.

    Examples
    --------
    >>> from knngraph.parameters import checked_scales
    >>> checked_scales((3, 7, 15))
    [3, 7, 15]
    """
    array = np.asarray(scales)
    if (
        array.ndim != 1
        or not len(array)
        or not np.issubdtype(array.dtype, np.integer)
        or (array < 1).any()
    ):
        raise ValueError(
            "density_scales must be one or more positive integers (numbers of "
            f"neighbors), got {scales!r}."
        )
    return [int(scale) for scale in array]


def check_penalties(penalty_min: float, penalty_max: float) -> None:
    """Refuse penalties in the wrong order."""
    if penalty_min > penalty_max:
        raise ValueError(
            f"penalty_min={penalty_min} is larger than penalty_max={penalty_max}; "
            "swap them."
        )
