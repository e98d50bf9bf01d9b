"""scikit-learn's validation, with the place of what is wrong."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import validate_data

from knngraph.missing import with_nan

# Kinds of numpy dtypes whose entries are real numbers.
_REAL_KINDS = "biuf"
# Names of the dtypes of dates, times and durations in data frames.
_A_TIME = re.compile("date|time|duration|period", re.IGNORECASE)


def validated(
    estimator: Any,
    X: Any,
    *y: Any,
    allow_nan: bool = False,
    metric: str | None = None,
    **options: Any,
) -> Any:
    """Call `validate_data`; name the entry of X that it refuses.

    Parameters
    ----------
    X : array-like or sparse matrix
    y : array-like
        At most one.
    allow_nan : bool, default=False
        Whether X may hold missing values: NaN, or None and NA among objects.
    metric : str or None, default=None
        That of the estimator, where with another one it takes missing values.
    **options
        Of `sklearn.utils.validation.validate_data`.

    Examples
    --------
    >>> from knngraph import KNNGraphClassifier
    >>> from knngraph.validation import validated
    >>> validated(KNNGraphClassifier(), [[1.0, 2.0], [3.0, float("nan")]])
    Traceback (most recent call last):
        ...
    ValueError: X has nan in row 1, column 1. Input X contains NaN. ...
    """
    if np.ma.is_masked(X):
        raise ValueError(
            f"X has masked entries, {np.ma.count_masked(X)} of them, which would be "
            "read as numbers. Fill them, or leave their rows out."
        )
    _refuse_times(X)
    _refuse_sparse_columns_without_zeros(X)
    if y:
        _refuse_missing_labels(y[0])
        if is_classifier(estimator):
            _refuse_several_outputs(y[0], type(estimator).__name__)
    if allow_nan:
        X = with_nan(X)
    options["ensure_all_finite"] = "allow-nan" if allow_nan else True
    with naming_bad_entries(X, allow_nan, type(estimator).__name__, metric):
        checked = validate_data(estimator, X, *y, **options)
    rows = checked[0] if y else checked
    if rows.dtype.kind not in _REAL_KINDS:
        place = (
            _place_of_bad_entry(X, allow_nan) or "X has entries that are no numbers."
        )
        raise TypeError(
            f"{place} Columns of dtype {rows.dtype} cannot be measured: convert or "
            "drop them."
        )
    return checked


@contextmanager
def naming_bad_entries(
    X: Any, allow_nan: bool, name: str, metric: str | None = None
) -> Iterator[None]:
    """Say in errors of scikit-learn's checks which entry of X they are about.

    Parameters
    ----------
    X : array-like or sparse matrix
    allow_nan, metric
        As of `validated`.
    name : str
        Of the estimator.
    """
    try:
        yield
    except (OverflowError, TypeError, ValueError) as error:
        if "omplex" in str(error):
            _refuse_complex_numbers(X)
        place = _place_of_bad_entry(X, allow_nan)
        if place is None:
            raise
        if str(error).startswith("Input X contains NaN"):
            out = _instead_of_missing(name, metric)
            raise ValueError(f"{place} Input X contains NaN. {out}") from error
        kind = TypeError if isinstance(error, TypeError) else ValueError
        # Texts of numpy and scikit-learn, of arrays and of data frames.
        is_text = kind is ValueError and "string" in str(error)
        raise kind(f"{place} {error}{_OF_TEXT if is_text else ''}") from error


_OF_TEXT = (
    " Turn text into numbers first: skrub.tabular_pipeline does so for all columns of "
    "a table, sklearn.preprocessing.OneHotEncoder for categories."
)


def _instead_of_missing(name: str, metric: str | None) -> str:
    ways = (
        "fill them in (sklearn.impute.SimpleImputer in a Pipeline), or leave their "
        "rows out."
    )
    if metric is not None:
        name = f"{name} with metric={metric!r}"
        ways = f'use metric="auto" or "trees", {ways}'
    return f"{name} takes no missing values: {ways}"


def refuse_empty_columns(columns: np.ndarray, names: Any, where: str = "X") -> None:
    """Raise an error that names columns without any value, where there are some.

    Parameters
    ----------
    columns : ndarray of int
    names : array-like of str or None
        Of all columns.
    where : str, default="X"

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.missing import columns_without_values
    >>> from knngraph.validation import refuse_empty_columns
    >>> columns = columns_without_values(np.array([[1.0, np.nan], [np.nan, np.nan]]))
    >>> refuse_empty_columns(columns, ["age", "height"])
    Traceback (most recent call last):
        ...
    ValueError: X has no value in any row of column 1 ('height'): drop it.
    """
    if len(columns):
        named = ", ".join(_named(column, names) for column in columns[:10])
        more = f" and {len(columns) - 10} more" if len(columns) > 10 else ""
        raise ValueError(
            f"{where} has no value in any row of column {named}{more}: drop it."
        )


def check_labels(y: np.ndarray) -> None:
    """Refuse targets that are no classes, and name them.

    Parameters
    ----------
    y : ndarray
        As `validated` returns it.

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.validation import check_labels
    >>> check_labels(np.array([1, "a"], dtype=object))
    Traceback (most recent call last):
        ...
    ValueError: Unknown label type: unknown. ... y holds int, str: turn ...
    """
    try:
        check_classification_targets(y)
    except ValueError as error:
        raise ValueError(f"{error} {_what_labels_are(y)}") from error


def check_classes(classes: Any) -> np.ndarray:
    """The distinct classes that a call of `partial_fit` names, sorted.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)

    Examples
    --------
    >>> from knngraph.validation import check_classes
    >>> check_classes(["b", "a", "b"]).tolist()
    ['a', 'b']
    """
    try:
        with np.errstate(invalid="ignore"):  # of NaN, which is refused
            known = unique_labels(classes)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"classes={classes!r} is no list of classes. {str(error).rstrip('.')}. "
            "Name every class once, all of one kind, for example "
            "classes=numpy.unique(y)."
        ) from error
    if not len(known):
        raise ValueError(
            "classes is empty: name every class that is known, for example "
            "classes=numpy.unique(y)."
        )
    return known


def _what_labels_are(y: np.ndarray) -> str:
    if y.dtype.kind == "f" and y.ndim == 1:
        row = int(np.flatnonzero(y != np.floor(y))[0])
        return (
            f"y has {y[row]} in row {row}: bin it into classes first "
            "(sklearn.preprocessing.KBinsDiscretizer)."
        )
    kinds = ", ".join(sorted({type(label).__name__ for label in y.ravel().tolist()}))
    return (
        f"y holds {kinds}: turn the labels into strings or integers, all of one kind, "
        "for example by y.astype(str)."
    )


def _columns(X: Any) -> list[tuple[Any, Any]]:
    """Name and dtype of every column of a data frame (pandas, polars, pyarrow)."""
    dtypes: Any = getattr(X, "dtypes", None)
    schema: Any = getattr(X, "schema", None)
    if hasattr(dtypes, "items"):
        return list(dtypes.items())
    if isinstance(dtypes, list):
        return list(zip(X.columns, dtypes))
    if hasattr(schema, "types"):
        return list(zip(schema.names, schema.types))
    return []


def _refuse_times(X: Any) -> None:
    what = None
    if getattr(getattr(X, "dtype", None), "kind", None) in ("m", "M"):
        what = f"X has dtype {X.dtype}"
    for column, (name, dtype) in enumerate(_columns(X)):
        if what is None and _A_TIME.match(str(dtype)):
            what = f"Column {column} ({name!r}) of X has dtype {dtype}"
    if what is not None:
        raise TypeError(
            f"{what}: distances between times need a unit. Convert them to numbers "
            "first, for example to seconds since a date."
        )


def _refuse_sparse_columns_without_zeros(X: Any) -> None:
    """Of a data frame whose sparse columns leave another number out than zero."""
    for name, dtype in _columns(X):
        left_out = getattr(dtype, "fill_value", 0)
        if hasattr(dtype, "subtype") and left_out != 0:
            raise ValueError(
                f"X has a sparse column {name!r} that leaves {left_out} out, and not "
                "zeros. Make it dense, with X.sparse.to_dense() where all are sparse."
            )


def _refuse_several_outputs(y: Any, name: str) -> None:
    columns = "y"
    try:
        shape = y.shape if hasattr(y, "shape") else np.asarray(y).shape
    except ValueError:  # lists of different lengths
        shape = None
    if sparse.issparse(y):
        what, columns = f"y is sparse, of shape {shape}", "y.toarray()"
    elif shape is None:
        what = "y holds lists of labels"
        columns = "sklearn.preprocessing.MultiLabelBinarizer().fit_transform(y)"
    elif len(shape) == 2 and shape[1] > 1:
        what = f"y has {shape[1]} columns"
    else:
        return
    raise ValueError(
        f"{what}, as several outputs have, and {name} learns one. Fit one for each: "
        f"sklearn.multioutput.MultiOutputClassifier({name}()).fit(X, {columns})."
    )


def _refuse_missing_labels(y: Any) -> None:
    """Of one output: NaN and None, and what a series calls missing."""
    if sparse.issparse(y) or getattr(y, "ndim", 1) != 1:
        return
    kind = y.dtype.kind if isinstance(y, np.ndarray) else None
    if hasattr(y, "isna"):
        missing = np.asarray(y.isna())
    elif hasattr(y, "is_null"):  # polars and pyarrow
        missing = np.asarray(y.is_null())
    elif isinstance(y, list | tuple) or kind == "O":
        # A list of text with NaN would become an array of text, with a class "nan".
        missing = np.array([_is_nan(label) for label in y], dtype=bool)
    elif kind == "f":
        missing = np.isnan(y)
    else:
        return
    rows = np.flatnonzero(missing)
    if len(rows):
        raise ValueError(
            f"Input y contains NaN: no label in {len(rows)} of {len(missing)} rows, "
            f"the first is row {rows[0]}. Leave these rows out, or give them a class "
            "of their own."
        )


def _place_of_bad_entry(X: Any, allow_nan: bool = False) -> str | None:
    """The first entry that is not a finite number; None where all are."""
    if sparse.issparse(X):
        entries = X.tocoo()
        bad = np.flatnonzero(_not_finite(entries.data, allow_nan))
        if not len(bad) or entries.ndim != 2:
            return None
        value, row, column = (a[bad[0]] for a in (entries.data, *entries.coords))
        others = np.setdiff1d(entries.coords[1][bad], column)
        return _described(value, row, column, None, others.tolist())
    names = getattr(X, "columns", None)
    try:
        table = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
    except (TypeError, ValueError):
        return None  # lists of different lengths, which the error names
    if table.ndim != 2:
        return None
    rows = {}
    for column in range(table.shape[1]):
        bad = np.flatnonzero(_not_finite(table[:, column], allow_nan))
        if len(bad):
            rows[column] = bad[0]
    if not rows:
        return None
    column, row = next(iter(rows.items()))
    return _described(table[row, column], row, column, names, list(rows)[1:])


def _refuse_complex_numbers(X: Any) -> None:
    """Of X with a complex dtype; scikit-learn's message goes on with all of X."""
    places: Any
    if sparse.issparse(X):
        entries = X.tocoo()
        values, places = entries.data, zip(*entries.coords)
    else:
        table = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
        values, places = table.ravel(), np.ndindex(table.shape)
    if values.dtype.kind != "c":
        return
    # Without any imaginary part the first entry stands for all.
    found = int(np.argmax(values.imag != 0)) if values.size else 0
    place = next(islice(places, found, None), None)
    what = f"X has dtype {values.dtype}."
    if place is not None and len(place) == 2:
        row, column = place
        names = getattr(X, "columns", None)
        what = _described(values[found].item(), row, column, names)
    raise ValueError(
        f"Complex data not supported. {what} Give real and imaginary parts as columns "
        "of their own, or X.real where the latter are nothing."
    ) from None


def _not_finite(values: np.ndarray, allow_nan: bool = False) -> np.ndarray:
    if values.dtype.kind in "biufc":
        return np.isinf(values) if allow_nan else ~np.isfinite(values)
    return np.array(
        [not (_is_finite_number(v) or (allow_nan and _is_nan(v))) for v in values],
        dtype=bool,
    )


def _is_nan(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _is_finite_number(value: Any) -> bool:
    try:
        return bool(np.isfinite(float(value)))
    except (TypeError, ValueError, OverflowError):
        return False


def _described(
    value: Any, row: Any, column: Any, names: Any, others: Sequence[Any] = ()
) -> str:
    shown = str(value) if isinstance(value, float | np.floating) else repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:40]}..."
    place = f"X has {shown} in row {row}, column {_named(column, names)}"
    if not len(others):
        return f"{place}."
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    listed = ", ".join(_named(other, names) for other in others[:5])
    return f"{place} (such entries are in columns {listed}{more} too)."


def _named(column: Any, names: Any) -> str:
    return str(column) if names is None else f"{column} ({names[column]!r})"
