"""What the parameters of the graph classifier may be; checks that say what is right."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar

import numpy as np
from sklearn import config_context
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)

from knngraph.metric.names import instead_of_metric

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
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "vote": [StrOptions({"reliability", "labels"})],
    "metric": [
        StrOptions(
            {"euclidean", "cosine", "learned", "trees", "auto", "l2", "minkowski"}
        )
    ],
    "metric_params": [dict, None],
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
_Function = TypeVar("_Function", bound=Callable[..., Any])


class CheckedParameters:
    """Mixin of an estimator; comes before scikit-learn's base class."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]]

    def _validate_params(self) -> None:
        # scikit-learn calls it where it fits.
        check_parameters(
            self._parameter_constraints,
            self.get_params(deep=False),  # type: ignore[attr-defined]
            type(self).__name__,
        )


def checked_arguments(constraints: dict[str, Any]) -> Callable[[_Function], _Function]:
    """Check the arguments of a function, as `check_parameters` does it."""

    def decorate(function: _Function) -> _Function:
        names = signature(function)

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            given = names.bind(*args, **options)
            given.apply_defaults()
            check_parameters(constraints, given.arguments, function.__qualname__)
            with config_context(skip_parameter_validation=True):
                return function(*args, **options)

        return call  # type: ignore[return-value]

    return decorate


def check_parameters(
    constraints: dict[str, Any], values: Mapping[str, Any], owner: str
) -> None:
    """scikit-learn's check of parameters; its error also says what is right.

    Parameters
    ----------
    constraints : dict
        Of scikit-learn, by the names of parameters.
    values : mapping
        By the same names.
    owner : str
        Name of the class or the function.

    Examples
    --------
    >>> from knngraph.parameters import PARAMETER_CONSTRAINTS, check_parameters
    >>> rules = {"walk": PARAMETER_CONSTRAINTS["walk"]}
    >>> check_parameters(rules, {"walk": "medoid"}, "KNNGraphClassifier")
    Traceback (most recent call last):
        ...
    sklearn...: The 'walk' parameter ... Did you mean walk='medoids'?
    """
    try:
        validate_parameter_constraints(constraints, values, caller_name=owner)
    except InvalidParameterError as error:
        found = re.match(r"The '(\w+)' parameter", str(error))
        hint = found and _hint(found[1], values[found[1]], constraints[found[1]])
        if not hint:
            raise
        raise InvalidParameterError(f"{error} {hint}") from None


def _hint(name: str, value: Any, allowed: list[Any]) -> str | None:
    """The nearest right value, or what to use instead."""
    options = [o for some in allowed for o in getattr(some, "options", ()) if o]
    if name == "metric":
        instead = instead_of_metric(value, options)
        if instead is not None:
            return instead
    words = sorted(option for option in options if isinstance(option, str))
    near = get_close_matches(value.lower(), words, 1) if isinstance(value, str) else []
    return f"Did you mean {name}={near[0]!r}?" if near else None


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
