"""What may be given to `partial_fit` and `forget`, checked before anything changes."""

import warnings
from typing import Any

import numpy as np
from sklearn.utils.multiclass import unique_labels

from knngraph.exceptions import RefitWarning
from knngraph.fitted.settings import FitSettings
from knngraph.missing import column_medians
from knngraph.validation import check_classes

# Neighbors are told apart by distances of about `spacing`. Rows whose center is
# farther from that of the fit than so many of these are rounded, in single
# precision, by more than a thousandth of it.
_FARTHEST_CENTER = 2.0**14
_SHOWN = 5


def codes_of_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Number of every label among the classes.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.updating.arguments import codes_of_labels
    >>> codes_of_labels(np.array(["b", "a"]), np.array(["a", "b"])).tolist()
    [1, 0]
    """
    number = {label: code for code, label in enumerate(classes.tolist())}
    codes = np.array([number.get(label, -1) for label in y.tolist()], dtype=np.intp)
    if (codes < 0).any():
        unknown = y.tolist()[int(np.argmin(codes))]
        raise ValueError(
            f"y holds {unknown!r}, which is none of the classes {_some(classes)}. If "
            "it is a new class and no mistake, name it in the call: partial_fit(X, y, "
            f"classes=[..., {unknown!r}])."
        )
    return codes


def joint_classes(known: np.ndarray, named: Any) -> np.ndarray:
    """The classes there are and those that a call names, sorted.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.updating.arguments import joint_classes
    >>> joint_classes(np.array([1, 3]), [2.0, 3.0]).tolist()
    [1, 2, 3]
    """
    named = check_classes(named)
    try:
        unique_labels(known, named)
    except ValueError as error:
        raise ValueError(
            f"classes={named.tolist()!r} are of another kind than the classes "
            f"{_some(known)}. {error}"
        ) from error
    alike = named.astype(known.dtype)
    if np.array_equal(alike, named):  # 2.0 is the class 2
        named = alike
    joint = np.unique(np.concatenate([known, named]))
    return known if len(joint) == len(known) else joint


def checked_indices(indices: Any, n_rows: int) -> np.ndarray:
    """Distinct rows from 0 on that indices or a mask name, in ascending order.

    Examples
    --------
    >>> from knngraph.updating.arguments import checked_indices
    >>> checked_indices([-1, 0, 0], 4).tolist()
    [0, 3]
    >>> checked_indices([False, True, False], 3).tolist()
    [1]
    """
    given = np.asarray(indices)
    if given.ndim == 0:
        given = given[None]
    if given.ndim != 1:
        raise ValueError(
            f"indices must be one-dimensional, got an array of shape {given.shape}."
        )
    if given.dtype == bool:
        if len(given) != n_rows:
            raise ValueError(
                f"indices is a mask of {len(given)} values, but the estimator holds "
                f"{n_rows} rows; a mask needs one value a row."
            )
        rows = np.flatnonzero(given)
    elif not len(given):
        rows = np.empty(0, dtype=np.intp)
    elif not np.issubdtype(given.dtype, np.integer):
        raise TypeError(
            "indices must be integers or a mask of booleans, got values of type "
            f"{given.dtype}."
        )
    else:
        outside = given[(given < -n_rows) | (given >= n_rows)]
        if len(outside):
            raise ValueError(
                f"indices holds {outside[0]}, but the estimator holds {n_rows} rows: "
                f"an index is from {-n_rows} to {n_rows - 1}. Rows are numbered as "
                "fitted, then as added; those behind a forgotten row move up."
            )
        given = given.astype(np.intp)
        rows = np.unique(np.where(given < 0, given + n_rows, given))
    return rows


def refuse_all_rows(n_forgotten: int, n_rows: int) -> None:
    """Refuse to forget the last row."""
    if n_forgotten == n_rows:
        raise ValueError(
            f"These are all {n_rows} rows, and without any there is nothing to "
            "answer from. Add the rows that are to stay first, or fit anew."
        )


def check_same_parameters(fitted: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse rows where parameters of the learning were changed since fit."""
    for name, value in fitted.items():
        if now[name] is not value and not np.array_equal(now[name], value):
            raise ValueError(
                f"{name} was {value!r} at fit and is {now[name]!r} now: rows cannot "
                "be added to or removed from a model that was learned otherwise. Set "
                f"{name}={value!r} again, or fit again on all rows."
            )


def warn_of_far_rows(rows: np.ndarray, settings: FitSettings) -> None:
    """Warn of rows that a fit on them would place otherwise to keep their digits.

    Parameters
    ----------
    rows : ndarray of shape (n_rows, n_features), float32 or float64
        Mapped by the space of the fit.
    """
    far = float(np.abs(column_medians(rows)).max()) / settings.spacing
    if rows.dtype == np.float32 and far > _FARTHEST_CENTER:
        warnings.warn(
            f"The center of the added rows is {far:.1e} times the typical distance of "
            "neighbors away from the center of the fit. In the single precision of "
            "the index, which is good near the center of the fit, distances among "
            "them lose digits. Fit again on the rows there are.",
            RefitWarning,
            stacklevel=4,
        )


def _some(classes: np.ndarray) -> str:
    shown = ", ".join(repr(label) for label in classes[:_SHOWN].tolist())
    return shown + (", ..." if len(classes) > _SHOWN else "")
