"""Columns by their kind, and the transformer that makes numbers of them."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from knngraph.compare.table import TableProblem, counted, quoted

# Categories that get a column of their own; rarer ones share the last.
MOST_CATEGORIES = 50
# Share of distinct values from which a text is a name and not a category.
_MOSTLY_DISTINCT = 0.5
_FEWEST_DISTINCT = 10
# Share of numbers from which the rest of a text column are odd entries.
_MOSTLY_NUMBERS = 0.9
_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_NAME_OF_ID = re.compile(r"(^|[_\s])(id|idx|index|uuid|guid|key|row)$", re.IGNORECASE)
_NANOSECONDS_A_DAY = 86_400e9
# Memory that the prepared rows of one fold may take.
_LARGEST_BYTES = 4 * 2**30


@dataclass
class Columns:
    """The columns of a table by their kind.

    Parameters
    ----------
    number_names, category_names : list of str
    numbers : ndarray of shape (n_rows, n_numbers), float64
        NaN where there is no value.
    categories : ndarray of shape (n_rows, n_categories), object
        Text, and NaN where there is no value.
    notices : list of str
        What was left out or changed, and why.
    """

    number_names: list[str]
    category_names: list[str]
    numbers: np.ndarray
    categories: np.ndarray
    notices: list[str]


@dataclass
class _Kinds:
    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    categories: dict[str, np.ndarray] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)

    def leave_out(self, name: str, why: str) -> None:
        self.left_out.setdefault(why, []).append(name)


def sort_columns(
    frame: Any,
    *,
    keep: Collection[str] = (),
    as_categories: Collection[str] = (),
) -> Columns:
    """Find the kind of every column of a data frame without the target.

    Parameters
    ----------
    keep : collection of str
        Columns that stay although they look like names of the rows.
    as_categories : collection of str
        Numbers that are codes of categories.

    Raises
    ------
    TableProblem
        Where no column is left.
    """
    kinds = _Kinds()
    for name in frame.columns:
        _sort_one(name, frame[name], kinds, name in keep, name in as_categories)
    if not kinds.numbers and not kinds.categories:
        why = "; ".join(f"{quoted(n)}: {w}" for w, n in kinds.left_out.items())
        raise TableProblem(
            "no column is left to learn from" + (f" ({why})." if why else ".")
        )
    notices = [
        f"Left out, {why}: {quoted(names, limit=10)}."
        for why, names in kinds.left_out.items()
    ]
    return Columns(
        list(kinds.numbers),
        list(kinds.categories),
        np.array(list(kinds.numbers.values()), np.float64).T.reshape(len(frame), -1),
        np.array(list(kinds.categories.values()), object).T.reshape(len(frame), -1),
        notices + kinds.notices,
    )


def _sort_one(
    name: str, column: Any, kinds: _Kinds, keep: bool, as_category: bool
) -> None:
    from pandas.api import types

    if not column.notna().any():
        kinds.leave_out(name, "all values missing")
    elif types.is_bool_dtype(column):
        _add_text(name, column, kinds, keep)
    elif types.is_datetime64_any_dtype(column):
        _add_dates(name, column, kinds)
    elif types.is_timedelta64_dtype(column):
        _add_number(name, column.dt.total_seconds().to_numpy(), kinds, keep=True)
    elif types.is_complex_dtype(column):
        kinds.leave_out(name, "complex numbers")
    elif types.is_numeric_dtype(column) and not as_category:
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        _add_number(name, values, kinds, keep)
    elif column.dropna().map(_is_nested).any():
        kinds.leave_out(name, "lists or records in a cell")
    else:
        _add_text(name, column, kinds, keep, as_category)


def _add_number(name: str, values: np.ndarray, kinds: _Kinds, keep: bool) -> None:
    infinite = np.isinf(values)
    if infinite.any():
        values = np.where(infinite, np.nan, values)
        kinds.notices.append(
            f"{int(infinite.sum())} infinite values of {name!r} taken as missing."
        )
    present = values[~np.isnan(values)]
    if not len(present) or present.min() == present.max():
        kinds.leave_out(name, "constant")
    elif not keep and _numbers_the_rows(name, present, len(values)):
        kinds.leave_out(name, "numbers the rows (keep: --keep)")
    else:
        kinds.numbers[name] = values


def _numbers_the_rows(name: str, present: np.ndarray, n_rows: int) -> bool:
    if len(present) < max(n_rows, _FEWEST_DISTINCT):
        return False
    if (present != np.floor(present)).any() or len(np.unique(present)) < n_rows:
        return False
    one_after_the_other = present.max() - present.min() == n_rows - 1
    return bool(one_after_the_other or _NAME_OF_ID.search(name))


def _add_dates(name: str, column: Any, kinds: _Kinds) -> None:
    if column.dt.tz is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    column = column.astype("datetime64[ns]")
    days = column.to_numpy().astype(np.int64) / _NANOSECONDS_A_DAY
    days = np.where(column.isna().to_numpy(), np.nan, days)
    kinds.notices.append(f"Dates of {name!r} taken as days.")
    _add_number(name, days, kinds, keep=True)


def _add_text(
    name: str, column: Any, kinds: _Kinds, keep: bool, as_category: bool = False
) -> None:
    import pandas

    missing = column.isna().to_numpy()
    texts = np.empty(len(column), dtype=object)
    texts[:] = np.nan
    texts[~missing] = [str(value).strip() for value in column[~missing]]
    present = texts[~missing]
    distinct = list(dict.fromkeys(present))
    if len(distinct) == 1:
        kinds.leave_out(name, "constant")
        return
    if not as_category and all(_ISO_DATE.fullmatch(text) for text in distinct):
        dates = pandas.to_datetime(
            pandas.Series(texts), format="ISO8601", errors="coerce", utc=True
        )
        if dates.notna().sum() == len(present):
            _add_dates(name, dates, kinds)
            return
    if not as_category and len(distinct) >= _FEWEST_DISTINCT:
        numbers = pandas.to_numeric(pandas.Series(texts), errors="coerce").to_numpy()
        odd = ~missing & np.isnan(numbers)
        if odd.sum() <= (1 - _MOSTLY_NUMBERS) * len(present):
            if odd.any():
                kinds.notices.append(
                    f"{int(odd.sum())} entries of {name!r} that are no numbers taken "
                    f"as missing ({quoted(dict.fromkeys(texts[odd]), limit=3)})."
                )
            _add_number(name, numbers.astype(np.float64), kinds, keep)
            return
    names_rows = len(distinct) >= max(
        _FEWEST_DISTINCT, _MOSTLY_DISTINCT * len(present)
    ) or len(distinct) == len(texts)
    if names_rows and not keep and not as_category:
        kinds.leave_out(name, "text that differs in most rows (keep: --keep)")
        return
    if len(distinct) > MOST_CATEGORIES:
        kinds.notices.append(
            f"{name!r} has {len(distinct):,} categories: the rarer ones share one "
            f"of {MOST_CATEGORIES} columns."
        )
    kinds.categories[name] = texts


def _is_nested(value: object) -> bool:
    return isinstance(value, list | tuple | dict | set | np.ndarray)


def make_preparation(columns: Columns) -> Any:
    """The `ColumnTransformer` before every method, for rows of `prepared_input`."""
    n_numbers = len(columns.number_names)
    n_columns = n_numbers + len(columns.category_names)

    def filled(strategy: str, encoder: Any) -> Any:
        imputer = SimpleImputer(strategy=strategy, keep_empty_features=True)
        return make_pipeline(imputer, encoder)

    encoder = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
    )
    numbers, categories = range(n_numbers), range(n_numbers, n_columns)
    parts = [
        ("numbers", filled("median", StandardScaler()), list(numbers)),
        ("categories", filled("most_frequent", encoder), list(categories)),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0)


def prepared_input(columns: Columns) -> np.ndarray:
    """All columns side by side, numbers first, shape (n_rows, n_columns)."""
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
    """What is done to the columns, in the names of scikit-learn."""
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
