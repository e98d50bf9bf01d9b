"""What a pipeline does to rows before its classifier, as a few operations on arrays.

Every operation is the one that scikit-learn's transformer carries out, in its order
and in the type of the rows, so that results agree to the bit. A product with a matrix
is the exception: it adds in an order of its own.
"""

from dataclasses import dataclass

import numpy as np

ELEMENTWISE = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
_UNDONE_BY = {
    "add": "subtract",
    "subtract": "add",
    "multiply": "divide",
    "divide": "multiply",
}
KINDS = (*ELEMENTWISE, "fill", "flag", "select", "project")


@dataclass(frozen=True)
class Step:
    """One operation on rows.

    Parameters
    ----------
    kind : str
        One of `ELEMENTWISE`: rows and values, column by column. "fill": values in the
        place of NaN, where they are not NaN themselves. "flag": appends a column for
        each of some columns, 1 where it is NaN, else 0. "select": takes columns.
        "project": rows times a matrix.
    values : ndarray
        Of shape (n_columns,); numbers of columns for "flag" and "select"; of shape
        (n_columns, n_outputs) for "project".
    in_type_of_rows : bool, default=False
        Whether values are rounded to the type of the rows before an operation. Else
        it is carried out in the wider type, and its result is rounded.
    """

    kind: str
    values: np.ndarray
    in_type_of_rows: bool = False

    def n_outputs(self, n_columns: int) -> int:
        """Number of columns of the result."""
        if self.kind == "flag":
            return n_columns + len(self.values)
        if self.kind in ("select", "project"):
            return self.values.shape[-1]
        return n_columns

    def on(self, rows: np.ndarray) -> np.ndarray:
        """The result; `rows` may be overwritten."""
        if self.kind in ELEMENTWISE:
            values = self.values_for(rows.dtype)
            return ELEMENTWISE[self.kind](rows, values, out=rows, casting="same_kind")
        if self.kind == "fill":
            values = np.broadcast_to(self.values, rows.shape)
            np.copyto(rows, values, casting="same_kind", where=np.isnan(rows))
            return rows
        if self.kind == "flag":
            return np.hstack([rows, np.isnan(rows[:, self.values])])
        if self.kind == "select":
            return rows[:, self.values]
        from knngraph._project import project

        product = np.empty((len(rows), self.values.shape[1]))
        project(np.ascontiguousarray(rows, dtype=np.float64), self.values, product)
        return product

    def values_for(self, dtype: np.dtype) -> np.ndarray:
        """Values of an elementwise operation on rows of a type."""
        return self.values.astype(dtype) if self.in_type_of_rows else self.values


@dataclass(frozen=True)
class Preparation:
    """Steps before a classifier, in their order.

    Parameters
    ----------
    steps : tuple of Step

    Examples
    --------
    >>> import numpy as np
    >>> from knngraph.prepared.steps import Preparation, Step
    >>> mean, scale = np.array([1.0, 2.0]), np.array([1.0, 4.0])
    >>> steps = Step("subtract", mean), Step("divide", scale), Step("fill", mean)
    >>> Preparation(steps).applied(np.array([[3.0, 4.0], [np.nan, 2.0]])).tolist()
    [[2.0, 0.5], [1.0, 0.0]]
    """

    steps: tuple[Step, ...]

    def n_outputs(self, n_columns: int) -> int:
        """Number of columns after all steps."""
        return self._widths(n_columns)[-1]

    def applied(self, rows: np.ndarray) -> np.ndarray:
        """Rows after all steps; numbers that are no floats become doubles.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        ndarray of shape (n_rows, n_outputs)
        """
        exact = rows.dtype.kind == "f" and rows.dtype.itemsize <= 8
        result = np.array(rows, dtype=rows.dtype if exact else np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            for step in self.steps:
                result = step.on(result)
        finite = np.isfinite(result)
        if not finite.all() and not (np.isnan(result) & np.isnan(rows).any()).all(
            where=~finite
        ):
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f"Row {row} becomes {result[row, column]} by the steps before the "
                f"classifier, in column {column} behind them: its numbers leave the "
                f"range of {rows.dtype}. Pass the row in float64, or leave it out."
            )
        return result

    def sources(self, n_columns: int) -> np.ndarray | None:
        """Column before the steps that every column behind them is made of.

        Returns
        -------
        ndarray of shape (n_outputs,), intp, or None
            None where a step makes columns of several.

        Examples
        --------
        >>> import numpy as np
        >>> from knngraph.prepared.steps import Preparation, Step
        >>> steps = Step("flag", np.array([1])), Step("select", np.array([2, 1, 3]))
        >>> Preparation(steps).sources(3).tolist()
        [2, 1, 1]
        """
        found = np.arange(n_columns)
        for step in self.steps:
            if step.kind == "project":
                return None
            if step.kind == "flag":
                found = np.concatenate([found, found[step.values]])
            elif step.kind == "select":
                found = found[step.values]
        return found

    def undone(self, rows: np.ndarray, n_columns: int) -> np.ndarray:
        """Rows as they were before the steps, but for what was limited.

        Parameters
        ----------
        rows : ndarray of shape (n_rows, n_outputs)
        n_columns : int
            Number of columns before the steps, none of which makes one of several.

        Returns
        -------
        ndarray of shape (n_rows, n_columns)
            NaN where a column is left out behind the steps. What is filled in is as
            well where a flag says so, else it is the filled value.

        Examples
        --------
        >>> import numpy as np
        >>> from knngraph.prepared.steps import Preparation, Step
        >>> steps = Step("add", np.ones(3)), Step("select", np.array([2, 0]))
        >>> Preparation(steps).undone(np.array([[5.0, 7.0]]), 3).tolist()
        [[6.0, nan, 4.0]]
        """
        rows = np.array(rows, dtype=np.float64)
        widths = self._widths(n_columns)
        for step, width in zip(reversed(self.steps), reversed(widths[:-1])):
            if step.kind in _UNDONE_BY:
                rows = ELEMENTWISE[_UNDONE_BY[step.kind]](rows, step.values)
            elif step.kind == "select":
                selected = rows
                rows = np.full((len(rows), width), np.nan)
                rows[:, step.values] = selected
                # One of several places of a column may know that it was missing.
                row, place = np.nonzero(np.isnan(selected))
                rows[row, step.values[place]] = np.nan
            elif step.kind == "flag":
                missing = rows[:, width:] > 0.5
                rows = rows[:, :width]
                row, place = np.nonzero(missing)
                rows[row, step.values[place]] = np.nan
        return rows

    def _widths(self, n_columns: int) -> list[int]:
        """Numbers of columns, before all steps and behind each."""
        widths = [n_columns]
        for step in self.steps:
            widths.append(step.n_outputs(widths[-1]))
        return widths

    def takes_missing(self, missing_after: np.ndarray, n_columns: int) -> np.ndarray:
        """Columns that may be missing before the steps.

        Parameters
        ----------
        missing_after : ndarray of shape (n_outputs,), bool
            Columns that may be missing behind them.

        Returns
        -------
        ndarray of shape (n_columns,), bool
        """
        widths = self._widths(n_columns)
        allowed = missing_after
        for step, width in zip(reversed(self.steps), reversed(widths[:-1])):
            if step.kind == "fill":
                allowed = allowed | ~np.isnan(step.values)
            elif step.kind == "flag":
                allowed = allowed[:width]
            elif step.kind == "select":
                before = np.ones(width, dtype=bool)
                before[step.values[~allowed]] = False
                allowed = before
            elif step.kind == "project":
                allowed = np.full(width, allowed.all())
        return allowed
