"""Rows of a request: checked without scikit-learn, and one row to its label.

Errors name the row, the column, the value, and what to do instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from knngraph.inference.answer import mapped_codes
from knngraph.missing import with_nan
from knngraph.prepared.steps import ELEMENTWISE
from knngraph.serving.predictor_state import PredictorState
from knngraph.space import LARGEST_COORDINATE
from knngraph.sparse_rows import is_sparse

_BYTES_PER_BLOCK = 2**22
# Differences from centers below this cannot overflow unless the row itself does.
_LARGEST_CENTER = 2.0**100


@dataclass(frozen=True)
class RowRules:
    """What a row has to be.

    Parameters
    ----------
    n_features : int
    names : ndarray of str or None
        Names of the columns, where fit has seen any.
    allow_nan : ndarray of shape (n_features,), bool
        Columns in which NaN stands for a missing value.
    """

    n_features: int
    names: np.ndarray | None
    allow_nan: np.ndarray

    @classmethod
    def of_state(cls, state: PredictorState) -> "RowRules":
        """The rules of a model."""
        allow_nan = state.model.space.takes_missing(state.n_features)
        return cls(state.n_features, state.names, allow_nan)

    def one(self, x: Any) -> np.ndarray:
        """Check one row; returns it as a block of shape (1, n_features)."""
        row = np.asarray(x)
        if row.ndim != 1:
            raise ValueError(
                f"x has shape {row.shape}; a predictor is called with one row of shape "
                f"({self.n_features},). Use predict(X) for several."
            )
        return self._checked(row[None], "x")

    def many(self, X: Any) -> Any:
        """Check rows; returns an ndarray or CSR that shares its memory with X."""
        if is_sparse(X):
            rows = X.tocsr()
            self._check_width(rows.shape, "X")
            if not self._allowed(rows.data, rows.indices).all():
                entries = rows.tocoo()
                allowed = self._allowed(entries.data, entries.col)
                place = int(np.flatnonzero(~allowed)[0])
                self._refuse(
                    "X", entries.row[place], entries.col[place], entries.data[place]
                )
            return rows
        columns = getattr(X, "columns", None)
        if columns is not None:
            self._check_names(list(columns))
        rows = np.asarray(X)
        if rows.ndim != 2:
            raise ValueError(
                f"X has shape {rows.shape}; rows of shape (n_rows, {self.n_features}) "
                "are expected. For one row call the predictor itself, or pass "
                "x.reshape(1, -1)."
            )
        return self._checked(rows, "X")

    def _checked(self, rows: np.ndarray, name: str) -> np.ndarray:
        self._check_width(rows.shape, name)
        if rows.dtype.kind == "O":
            rows = self._as_numbers(rows, name)
        if rows.dtype.kind not in "biuf":
            raise ValueError(
                f"{name} has dtype {rows.dtype}; real numbers are expected. Encode the "
                "columns as at fit (a scikit-learn Pipeline does both)."
            )
        step = max(1, _BYTES_PER_BLOCK // max(1, rows[:1].nbytes))
        for start in range(0, len(rows), step):
            allowed = self._allowed(rows[start : start + step])
            if not allowed.all():
                row, column = np.argwhere(~allowed)[0]
                row += start
                self._refuse(name, row, column, rows[row, column])
        return rows

    def _allowed(self, numbers: np.ndarray, columns: Any = slice(None)) -> np.ndarray:
        allowed = np.isfinite(numbers)
        if not allowed.all():
            allowed |= np.isnan(numbers) & self.allow_nan[columns]
        return allowed

    def _check_width(self, shape: tuple[int, ...], name: str) -> None:
        if shape[1] != self.n_features:
            raise ValueError(
                f"{name} has {shape[1]} columns, the model was fitted on "
                f"{self.n_features}. Pass the columns of fit in their order."
            )

    def _check_names(self, found: list[Any]) -> None:
        if self.names is None:
            return
        for place, name in enumerate(self.names.tolist()):
            if place >= len(found) or found[place] != name:
                got = repr(found[place]) if place < len(found) else "nothing"
                raise ValueError(
                    f"Column {place} of X has to be {name!r} as at fit, and is {got}. "
                    "Select the columns in the order of feature_names_in_."
                )

    def _as_numbers(self, rows: np.ndarray, name: str) -> np.ndarray:
        try:
            return with_nan(rows).astype(np.float64)
        except (TypeError, ValueError):
            row, column = next(
                place for place, value in np.ndenumerate(rows) if not _is_number(value)
            )
            raise ValueError(
                f"{name} has {rows[row, column]!r} in row {row}, column "
                f"{self._label(column)}, which is no number. Encode the column as at "
                "fit."
            ) from None

    def _refuse(self, name: str, row: Any, column: Any, value: Any) -> None:
        where = f"row {row}, column" if name == "X" else "column"
        raise ValueError(
            f"{name} has {value} in {where} {self._label(column)}; numbers have to be "
            "finite. Fill it in as the training rows were (for example with "
            "sklearn.impute.SimpleImputer), or leave the row out."
        )

    def _label(self, column: Any) -> str:
        if self.names is None:
            return str(column)
        return f"{column} ({str(self.names[column])!r})"


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def row_answer(state: PredictorState, rules: RowRules) -> Callable[[Any], Any]:
    """A function from one row to its label, with everything found beforehand.

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

    mapped_row = _row_map(state)
    if mapped_row is None:
        return any_row
    dtype, shape = np.dtype(np.float32), (state.n_features,)
    absolute = np.absolute

    def vote(x: Any) -> Any:
        if type(x) is np.ndarray and x.dtype is dtype and x.shape == shape:
            mapped = mapped_row(x)
            # Not so for NaN and infinity either.
            if absolute(mapped).max() < LARGEST_COORDINATE:
                codes = mapped_codes(model, options, mapped[None])
                return labels[codes.item(0)]
        return any_row(x)

    searcher = getattr(model.index, "row_searcher", None)
    if options.inference != "lookup" or searcher is None:
        return vote
    assert model.stored is not None
    search, code_of = searcher(options.ef), model.stored.codes.item
    nearby = _surely_allowed(model.training.points)

    def lookup(x: Any) -> Any:
        if type(x) is np.ndarray and x.dtype is dtype and x.shape == shape:
            node, squared = search(mapped_row(x))
            # The distance bounds the row, which need not be read again.
            if squared < nearby:
                return labels[code_of(node)]
        return any_row(x)

    return lookup


def _row_map(state: PredictorState) -> Callable[[np.ndarray], np.ndarray] | None:
    """The map of a float32 row without missing values, where it is a few operations.

    Gives the bits of `Space.map_block`, and NaN or infinity where that does more.
    """
    space = state.model.space
    if space.metric != "euclidean" or space.scale != 1.0 or space.linear is not None:
        return None
    n_mapped = space.n_mapped(state.n_features)
    if space.precision != "single" or n_mapped != state.n_features:
        return None
    steps = () if space.prepared is None else space.prepared.steps
    # What is present is not filled in. Limits would hide infinity.
    steps = tuple(step for step in steps if step.kind != "fill")
    if not {step.kind for step in steps} <= {"add", "subtract", "multiply", "divide"}:
        return None
    single = np.dtype(np.float32)
    center = np.zeros(n_mapped) if space.center is None else space.center
    if np.abs(center).max() >= _LARGEST_CENTER:
        return None
    in_single = center.astype(single)
    if (in_single == center).all():
        # The difference of two float32 numbers is rounded once in either precision.
        center = in_single
    if not steps and center is in_single:
        subtract = np.subtract
        return lambda x: subtract(x, center)
    operations = [(ELEMENTWISE[s.kind], s.values_for(single)) for s in steps]
    operations.append((np.subtract, center))
    silent = np.errstate

    def mapped_row(x: np.ndarray) -> np.ndarray:
        with silent(over="ignore", invalid="ignore"):
            for operation, values in operations:
                x = operation(x, values)
                if x.dtype is not single:
                    x = x.astype(single)
        return x

    return mapped_row


def _surely_allowed(points: np.ndarray) -> float:
    """Squared distance to a point below which no coordinate is out of range."""
    farthest = max(float(points.max()), -float(points.min()))
    return 0.5 * max(0.0, LARGEST_COORDINATE - farthest) ** 2
