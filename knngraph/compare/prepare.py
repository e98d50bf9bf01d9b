"""Columns as the numbers that distances are taken of, learned from training rows."""

from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from knngraph.compare.columns import MOST_CATEGORIES, Columns
from knngraph.compare.problem import TableProblem, counted, quoted

# Memory that the prepared rows of one fold may take.
_LARGEST_BYTES = 4 * 2**30


def make_preparation(columns: Columns) -> Any:
    """The transformer of scikit-learn's own parts that every method sits behind.

    Parameters
    ----------
    columns : Columns

    Returns
    -------
    ColumnTransformer
        For rows of `prepared_input`.
    """
    n_numbers = len(columns.number_names)
    n_columns = n_numbers + len(columns.category_names)
    numbers = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        OneHotEncoder(
            handle_unknown="infrequent_if_exist",
            max_categories=MOST_CATEGORIES,
            sparse_output=False,
        ),
    )
    parts = [
        ("numbers", numbers, list(range(n_numbers))),
        ("categories", categories, list(range(n_numbers, n_columns))),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def prepared_input(columns: Columns) -> np.ndarray:
    """All columns side by side, numbers first.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64 or object
    """
    if not columns.category_names:
        return columns.numbers
    return np.hstack([columns.numbers.astype(object), columns.categories])


def check_size(columns: Columns) -> None:
    """Refuse rows that would not fit into memory once they are prepared."""
    n_rows = len(columns.numbers)
    widths = [
        min(MOST_CATEGORIES, len({v for v in values if isinstance(v, str)}))
        for values in columns.categories.T
    ]
    width = len(columns.number_names) + sum(widths)
    n_bytes = 8 * n_rows * width
    if n_bytes > _LARGEST_BYTES:
        raise TableProblem(
            f"{counted(n_rows, 'row')} of {width:,} numbers would take "
            f"{n_bytes / 2**30:.0f} GiB; take fewer rows with --sample."
        )


def describe_preparation(columns: Columns) -> list[str]:
    """What is done to the columns, in the names of scikit-learn.

    Returns
    -------
    list of str
    """
    lines = []
    if columns.number_names:
        missing = int(np.isnan(columns.numbers).sum())
        lines.append(
            f"{counted(len(columns.number_names), 'number')} "
            f"({quoted(columns.number_names)}): median for missing "
            f"({counted(missing, 'cell')}), then StandardScaler."
        )
    if columns.category_names:
        missing = sum(not isinstance(value, str) for value in columns.categories.flat)
        noun = "category" if len(columns.category_names) == 1 else "categories"
        lines.append(
            f"{len(columns.category_names):,} {noun} "
            f"({quoted(columns.category_names)}): most frequent for missing "
            f"({counted(missing, 'cell')}), then OneHotEncoder; unknown ones are zeros "
            "or join the rare."
        )
    lines.append("Learned from the training rows of every fold alone.")
    return lines
