"""The kinds of the columns of a table, and the step that reads cells accordingly."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from knngraph.compare.table import TableProblem, counted, quoted

# Share of entries that must be numbers or dates; the rest are odd ones, missing.
_MOSTLY = 0.9
# A text column with odd entries needs this many distinct ones to be numbers.
_FEWEST_DISTINCT = 10
# Share of distinct entries from which a text names its row.
_MOSTLY_DISTINCT = 0.5
# Words an entry from which text that differs in most rows is worth encoding.
_WORDS_OF_TEXT = 4
# Whole numbers of so many digits, all of one length and distinct, name the rows.
_DIGITS_OF_NAME = 7
_SYMBOLS = r"[$€£¥₹%]|\b(?:USD|EUR|GBP|CHF|JPY)\b"
_SPACE_OF_THOUSANDS = r"(?<=\d)[\s'\u2019](?=\d{3}(?:\D|$))"
_WHOLE = r"[+-]?(?:\d{1,3}(?:OTHER\d{3})+|\d+|(?=MARK\d))"
_NUMBER = {
    mark: f"{_WHOLE}(?:MARK\\d*)?(?:[eE][+-]?\\d+)?".replace(
        "MARK", re.escape(mark)
    ).replace("OTHER", re.escape(other))
    for mark, other in ((".", ","), (",", "."))
}
_DATE = (
    r"\d{1,4}[-/. ]\w{1,9}[-/., ]+\d{1,4}(?!\d).*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
)
_COMPACT_DATE = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_NAME_OF_ID = re.compile(r"(^|[_\s])(id|idx|index|uuid|guid|key|row)$", re.IGNORECASE)
_NAME_OF_TIME = re.compile(r"time|date|stamp|epoch", re.IGNORECASE)
# Memory that the encoded rows may take, and columns that a category can become.
_LARGEST_BYTES = 4 * 2**30
_ENCODED_COLUMNS = 40


class TypedColumns(TransformerMixin, BaseEstimator):
    """Cells of a table as people write them, as numbers, dates, categories and text.

    Nothing is learned at fit. Columns come by name in any order; others are ignored.

    Parameters
    ----------
    numbers : sequence of str
        Entries may hold a currency, a percent sign, separators of thousands, or
        parentheses for a minus. What is no number, and infinity, is missing.
    decimal_commas : sequence of str
        Those of the numbers in which a comma is the decimal mark.
    dates : mapping of str to str or None, default=None
        Format of every column of dates.
    categories, texts : sequence of str

    Examples
    --------
    >>> import pandas
    >>> from knngraph.compare.columns import TypedColumns
    >>> frame = pandas.DataFrame({"price": ["$1,200.50", "(3)"], "kind": ["None", "a"]})
    >>> columns = TypedColumns(numbers=["price"], categories=["kind"])
    >>> columns.fit_transform(frame)["price"].tolist()
    [1200.5, -3.0]
    """

    def __init__(
        self,
        numbers: Sequence[str] = (),
        decimal_commas: Sequence[str] = (),
        dates: Mapping[str, str] | None = None,
        categories: Sequence[str] = (),
        texts: Sequence[str] = (),
    ) -> None:
        self.numbers = numbers
        self.decimal_commas = decimal_commas
        self.dates = dates
        self.categories = categories
        self.texts = texts

    @property
    def names(self) -> list[str]:
        """The columns that are taken."""
        return [*self.numbers, *(self.dates or {}), *self.categories, *self.texts]

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing."""
        return self

    def transform(self, X: Any) -> Any:
        """Read the cells of a data frame.

        Raises
        ------
        TableProblem
            Where a column is not there.
        """
        import pandas

        lost = [name for name in self.names if name not in X.columns]
        if lost:
            raise TableProblem(
                f"there is no column {quoted(lost)}; the model was fitted with it."
            )
        columns: dict[str, Any] = {}
        for name in self.numbers:
            mark = "," if name in self.decimal_commas else "."
            columns[name] = _as_numbers(X[name], mark)
        for name, form in (self.dates or {}).items():
            columns[name] = _as_dates(X[name], form)
        for name in self.categories:
            columns[name] = as_text(X[name]).astype("category")
        for name in self.texts:
            columns[name] = as_text(X[name])
        return pandas.DataFrame(columns, index=X.index)


def as_text(column: Any) -> Any:
    """Every value as text without blanks at its ends; missing ones stay missing."""
    import pandas

    if pandas.api.types.is_float_dtype(column):
        present = column.dropna()
        # A gap makes floats of whole numbers: code 3 stays "3".
        if np.isfinite(present).all() and (present == np.floor(present)).all():
            column = column.astype("Int64")
    texts = pandas.Series(np.full(len(column), None, object), index=column.index)
    present = column.notna()
    texts[present] = [str(value).strip() for value in column[present]]
    return texts.where(present & (texts != ""), None)


def _as_numbers(column: Any, mark: str) -> Any:
    from pandas.api import types

    if types.is_timedelta64_dtype(column):
        return column.dt.total_seconds()
    if types.is_numeric_dtype(column):
        values = column.astype("Float64").astype(np.float64)
    else:
        values = numbers_of_text(as_text(column), mark)
    return values.where(np.isfinite(values), np.nan)


def numbers_of_text(texts: Any, mark: str) -> Any:
    """Numbers with that decimal mark; NaN where a text is none."""
    import pandas

    texts = texts.str.replace(_SYMBOLS, "", regex=True).str.strip()
    texts = texts.str.replace(_SPACE_OF_THOUSANDS, "", regex=True)
    texts = texts.str.replace(r"^\(\s*(.+?)\s*\)$", r"-\1", regex=True)
    texts = texts.str.replace(r"^([+-])\s+", r"\1", regex=True)
    texts = texts.where(texts.str.fullmatch(_NUMBER[mark]).fillna(False))
    texts = texts.str.replace("." if mark == "," else ",", "", regex=False)
    texts = texts.str.replace(",", ".", regex=False)
    return pandas.to_numeric(texts, errors="coerce").astype(np.float64)


def _as_dates(column: Any, form: str) -> Any:
    import pandas

    if not pandas.api.types.is_datetime64_any_dtype(column):
        column = as_text(column)
    dates = pandas.to_datetime(column, format=form, errors="coerce", utc=True)
    return dates.dt.tz_localize(None)


class _Kinds:
    """What was found so far: columns by kind, and what to say of them."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.decimal_commas: list[str] = []
        self.dates: dict[str, str] = {}
        self.categories: list[str] = []
        self.texts: list[str] = []
        self.left_out: dict[str, list[str]] = {}
        self.notices: list[str] = []

    def leave_out(self, name: str, why: str) -> None:
        self.left_out.setdefault(why, []).append(name)


def find_columns(
    frame: Any, *, keep: Collection[str] = (), as_categories: Collection[str] = ()
) -> tuple[TypedColumns, list[str]]:
    """Find the kind of every column of a data frame without the target.

    Parameters
    ----------
    keep : collection of str
        Columns that stay although they look like names of the rows.
    as_categories : collection of str
        Numbers that are codes of categories.

    Returns
    -------
    columns : TypedColumns
    notices : list of str
        What was left out, and what was taken for what.

    Raises
    ------
    TableProblem
        Where no column is left.
    """
    kinds = _Kinds()
    for name in frame.columns:
        _find_kind(name, frame[name], kinds, name in keep, name in as_categories)
    columns = TypedColumns(
        kinds.numbers,
        kinds.decimal_commas,
        kinds.dates,
        kinds.categories,
        kinds.texts,
    )
    if not columns.names:
        why = "; ".join(f"{quoted(n)}: {w}" for w, n in kinds.left_out.items())
        raise TableProblem(
            "no column is left to learn from" + (f" ({why})." if why else ".")
        )
    left_out = [
        f"Left out, {why}: {quoted(names, limit=10)}."
        for why, names in kinds.left_out.items()
    ]
    return columns, left_out + kinds.notices


def _find_kind(
    name: str, column: Any, kinds: _Kinds, keep: bool, as_category: bool
) -> None:
    from pandas.api import types

    present = column.dropna()
    if not len(present):
        return kinds.leave_out(name, "all values missing")
    if types.is_complex_dtype(column):
        return kinds.leave_out(name, "complex numbers")
    if types.is_object_dtype(column) and present.map(_is_nested).any():
        return kinds.leave_out(name, "lists or records in a cell")
    if types.is_datetime64_any_dtype(column):
        return _take_dates(name, column, "ISO8601", kinds)
    numeric = types.is_numeric_dtype(column) and not types.is_bool_dtype(column)
    if types.is_timedelta64_dtype(column) or (numeric and not as_category):
        return _take_numbers(name, column, ".", kinds, keep)
    texts = as_text(column).dropna()
    counts = texts.value_counts()
    if len(counts) < 2:
        return kinds.leave_out(
            name, "constant" if len(counts) else "all values missing"
        )
    stated = isinstance(column.dtype, types.CategoricalDtype)
    if not (as_category or stated or types.is_bool_dtype(column)):
        words = counts[~counts.index.str.lower().isin(["none"])]
        form = _date_format(words)
        if form is not None:
            return _take_dates(name, column, form, kinds)
        mark = _decimal_mark(words)
        if mark is not None:
            return _take_numbers(name, column, mark, kinds, keep)
        names_rows = len(counts) == len(column) or len(counts) >= max(
            _FEWEST_DISTINCT, _MOSTLY_DISTINCT * len(texts)
        )
        if names_rows:
            if not keep and texts.str.count(r"\w+").mean() < _WORDS_OF_TEXT:
                return kinds.leave_out(
                    name, "text that differs in most rows (keep: --keep)"
                )
            kinds.notices.append(f"{name!r} taken as text.")
            kinds.texts.append(name)
            return None
    for word in counts.index[counts.index.str.lower() == "none"]:
        kinds.notices.append(
            f"{word!r} of {name!r} taken as a category "
            f"({counted(int(counts[word]), 'cell')})."
        )
    kinds.categories.append(name)


def _is_nested(value: object) -> bool:
    return isinstance(value, list | tuple | dict | set | np.ndarray)


def _decimal_mark(counts: Any) -> str | None:
    """The mark with which most entries are numbers, None for no such column."""
    import pandas

    texts = pandas.Series(list(counts.index), dtype=object)
    # Codes, as regions of the post: a number has no zero in front.
    if texts.str.fullmatch(r"\d{2,}").all() and texts.str.match("0").any():
        return None
    right = {
        mark: counts[numbers_of_text(texts, mark).notna().to_numpy()].sum()
        for mark in (".", ",")
    }
    mark = "," if right[","] > right["."] else "."
    if right[mark] == counts.sum() > 0:
        return mark
    enough = len(counts) >= _FEWEST_DISTINCT
    return mark if enough and right[mark] >= _MOSTLY * counts.sum() else None


def _date_format(counts: Any) -> str | None:
    """The format with which most entries are dates, None for no such column.

    skrub guesses it from entries that look like dates. Where days and months can be
    exchanged, the order with more dates counts, as a day above 12 settles it; else
    the day comes first between dots, and the month between slashes.
    """
    import pandas
    from skrub import ToDatetime

    texts = pandas.Series(list(counts.index), dtype=object)
    likely = texts[texts.str.fullmatch(f"{_DATE}|{_COMPACT_DATE}")]
    if not len(likely) or counts[likely].sum() < _MOSTLY * counts.sum():
        return None
    forms = ["ISO8601"] if likely.str.match(r"\d{4}-").all() else []
    try:
        forms.append(ToDatetime().fit(likely).format_)
    except ValueError:
        # Two digits of a year, or both orders of days and months.
        mark = next(
            (c for c in "/.-" if likely.str.count(re.escape(c)).max() == 2), "/"
        )
        forms += [mark.join(("%m", "%d", year)) for year in ("%Y", "%y")]
    forms += [f.translate(str.maketrans("md", "dm")) for f in forms if "%m" in f]
    if likely.str.contains(r"^\d+\.\d+\.").all():
        forms.sort(key=lambda form: not form.startswith("%d"))
    weights = counts[texts].to_numpy()
    right = [weights[_as_dates(texts, form).notna().to_numpy()].sum() for form in forms]
    best = int(np.argmax(right))
    return forms[best] if right[best] >= _MOSTLY * counts.sum() else None


def _take_dates(name: str, column: Any, form: str, kinds: _Kinds) -> None:
    dates = _as_dates(column, form)
    if dates.nunique() < 2:
        return kinds.leave_out(name, "constant")
    kinds.dates[name] = form
    kinds.notices.append(f"{name!r} read as dates ({form}).")
    ordered = "%m" in form and not form.startswith("%Y")
    if ordered and dates.dt.day.max() <= 12:
        kinds.notices[-1] += " No day above 12 settles the order of day and month."
    _say_odd(name, column, dates, "dates", kinds)


def _take_numbers(name: str, column: Any, mark: str, kinds: _Kinds, keep: bool) -> None:
    from pandas.api import types

    values = _as_numbers(column, mark)
    present = values.dropna()
    if types.is_integer_dtype(column) or not types.is_numeric_dtype(column):
        texts = as_text(column.dropna())
        if texts.str.fullmatch(_COMPACT_DATE).all():
            return _take_dates(name, column, "%Y%m%d", kinds)
    if present.nunique() < 2:
        return kinds.leave_out(name, "constant")
    timed = types.is_timedelta64_dtype(column)
    if not (keep or timed) and _names_the_rows(name, present, len(values)):
        return kinds.leave_out(name, "numbers that name the rows (keep: --keep)")
    kinds.numbers.append(name)
    if types.is_numeric_dtype(column):
        infinite = int((np.isinf(column.astype("Float64"))).sum())
        if infinite:
            kinds.notices.append(
                f"{infinite} infinite values of {name!r} taken as missing."
            )
        return None
    if timed:
        return None
    if mark == ",":
        kinds.decimal_commas.append(name)
    written = texts[~texts.str.fullmatch(r"[+-]?\d*\.?\d*").fillna(True)]
    written = written[values[written.index].notna()]
    if len(written):
        kinds.notices.append(
            f"{name!r} read as numbers: {written.iloc[0]!r} is "
            f"{values[written.index[0]]:.12g}."
        )
    _say_odd(name, column, values, "numbers", kinds)


def _names_the_rows(name: str, present: Any, n_rows: int) -> bool:
    if n_rows < _FEWEST_DISTINCT or present.nunique() < n_rows:
        return False
    if (present != np.floor(present)).any():
        return False
    least, most = present.min(), present.max()
    digits = {len(f"{abs(value):.0f}") for value in (least, most)}
    of_one_length = min(digits) >= _DIGITS_OF_NAME and len(digits) == 1
    return bool(
        most - least == n_rows - 1
        or _NAME_OF_ID.search(name)
        or (of_one_length and not _NAME_OF_TIME.search(name))
    )


def _say_odd(name: str, column: Any, values: Any, noun: str, kinds: _Kinds) -> None:
    odd = as_text(column[values.isna()]).dropna()
    if len(odd):
        kinds.notices.append(
            f"{counted(len(odd), 'cell')} of {name!r} taken as missing, no {noun}: "
            f"{quoted(odd.unique(), limit=3)}."
        )


def check_size(frame: Any) -> None:
    """Refuse rows that would not fit into memory once they are encoded."""
    n_rows, width = len(frame), 0
    for kind in frame.dtypes:
        width += 1 if kind == np.float64 else _ENCODED_COLUMNS
    n_bytes = 8 * n_rows * width
    if n_bytes > _LARGEST_BYTES:
        raise TableProblem(
            f"{counted(n_rows, 'row')} of {width:,} numbers would take "
            f"{n_bytes / 2**30:.0f} GiB; take fewer rows with --sample."
        )
