"""The kinds of the columns of a table, and the step that reads cells accordingly."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from knngraph.tables.table import TableProblem, counted, quoted

NUMBER, DECIMAL_COMMA = "number", "decimal comma"
# Share of entries that must be numbers or dates; the rest are odd ones, missing.
_MOSTLY = 0.9
# A text column with odd entries needs this many distinct ones to be numbers.
_FEWEST_DISTINCT = 10
# Share of distinct entries from which a text names its row.
_MOSTLY_DISTINCT = 0.5
# Words an entry from which text that differs in most rows is worth encoding.
_WORDS_OF_TEXT = 4
# Whole numbers of so many digits, of one length and nearly all distinct, are names.
_MOSTLY_UNIQUE = 0.95
_DIGITS_OF_NAME = 7
# Currencies, blanks at the ends, separators of thousands, a minus in other dress.
_CLEANED = (
    (r"[$€£¥₹%]|\b(?:USD|EUR|GBP|CHF|JPY)\b", ""),
    (r"^\s+|\s+$|(?<=\d)[\s'\u2019](?=\d{3}(?:\D|$))", ""),
    (r"^\(\s*(.+?)\s*\)$", r"-\1"),
    (r"^[\u2212\u2013]", "-"),
    (r"^([+-])\s+", r"\1"),
)
_PLAIN = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+|(?=\.\d))(?:\.\d*)?(?:[eE][+-]?\d+)?"
_DATE = (
    r"\d{1,4}[-/. ]\w{1,9}[-/., ]+\d{1,4}(?!\d).*|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}.*"
    r"|\d{1,2}:\d\d(?::\d\d)?|\d{1,2}/\d{4}"
)
_COMPACT_DATE = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_NAME_OF_ID = re.compile(r"(^|[_\s])(id|idx|index|uuid|guid|key|row)$", re.IGNORECASE)
_NAME_OF_TIME = re.compile(r"time|date|stamp|epoch", re.IGNORECASE)


class TypedColumns(TransformerMixin, BaseEstimator):
    """Cells as people write them become numbers, dates, categories and text.

    Nothing is learned at fit. Columns come by name in any order; others are ignored.

    Parameters
    ----------
    kinds : mapping of str to str
        Of every column: "number", "decimal comma", "category", "text", or the format
        of its dates. A number may have a currency, a percent sign, separators of
        thousands, or parentheses for a minus. What cannot be read is missing.

    Examples
    --------
    >>> import pandas
    >>> from knngraph.tables.columns import TypedColumns
    >>> frame = pandas.DataFrame({"price": ["$1,200.50", "(3)"], "kind": ["None", "a"]})
    >>> columns = TypedColumns({"price": "number", "kind": "category"})
    >>> columns.fit_transform(frame)["price"].tolist()
    [1200.5, -3.0]
    """

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds

    @property
    def text_names(self) -> list[str]:
        """The columns that hold text, whatever it looks like."""
        return [n for n, kind in self.kinds.items() if kind in ("category", "text")]

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, X: Any, y: Any = None) -> Self:
        """Do nothing."""
        return self

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that come out, which are those that go in."""
        return np.array(list(self.kinds), dtype=object)

    def transform(self, X: Any) -> Any:
        """Read the cells of a data frame; TableProblem names columns that it lacks."""
        import pandas

        lost = [name for name in self.kinds if name not in X.columns]
        if lost:
            raise TableProblem(
                f"there is no column {quoted(lost)}; the model was fitted with it."
            )
        columns = {name: _read(X[name], kind) for name, kind in self.kinds.items()}
        return pandas.DataFrame(columns, index=X.index)


def _read(column: Any, kind: str) -> Any:
    """A column of text or of any other type as its kind."""
    import pandas
    from pandas.api import types

    if kind in ("category", "text"):
        return as_text(column).astype("category" if kind == "category" else object)
    if kind not in (NUMBER, DECIMAL_COMMA):
        if not types.is_datetime64_any_dtype(column):
            column = as_text(column)
        dates = pandas.to_datetime(column, format=kind, errors="coerce", utc=True)
        return dates.dt.tz_localize(None)
    if types.is_timedelta64_dtype(column):
        values = column.dt.total_seconds()
    elif types.is_numeric_dtype(column):
        values = column.astype("Float64").astype(np.float64)
    else:
        values = numbers_of_text(as_text(column), "," if kind == DECIMAL_COMMA else ".")
    return values.where(np.isfinite(values), np.nan)


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


def numbers_of_text(texts: Any, mark: str) -> Any:
    """Numbers with that decimal mark; NaN where a text is none."""
    import pandas

    if mark == ",":
        texts = texts.str.translate(str.maketrans(",.", ".,"))
    for pattern, by in _CLEANED:
        texts = texts.str.replace(pattern, by, regex=True)
    texts = texts.where(texts.str.fullmatch(_PLAIN).fillna(False))
    texts = texts.str.replace(",", "", regex=False)
    return pandas.to_numeric(texts, errors="coerce").astype(np.float64)


class _LeftOut(Exception):
    """Why a column is not learned from."""


def find_columns(
    frame: Any, *, keep: Collection[str] = (), as_categories: Collection[str] = ()
) -> tuple[TypedColumns, list[str]]:
    """The kinds of all columns but the target, and what was left out or taken how.

    Columns to `keep` stay although they look like names of the rows; numbers in
    `as_categories` are codes. TableProblem where no column is left.
    """
    kinds: dict[str, str] = {}
    left_out: dict[str, list[str]] = {}
    notices: list[str] = []
    for name in frame.columns:
        column = frame[name]
        try:
            kind = (
                "category" if name in as_categories else _kind_of(column, name in keep)
            )
            values = _read(column, kind)
            if values.nunique() < 2:
                raise _LeftOut("constant" if values.nunique() else "all values missing")
            if kind == NUMBER and name not in keep and _names_the_rows(name, column):
                raise _LeftOut("numbers that name the rows (keep: --keep)")
        except _LeftOut as why:
            left_out.setdefault(str(why), []).append(name)
        else:
            kinds[name] = kind
            notices += _notices(name, column, kind, values)
    said = [f"Left out, {why}: {quoted(n, limit=10)}." for why, n in left_out.items()]
    if not kinds:
        raise TableProblem("no column is left to learn from. " + " ".join(said))
    return TypedColumns(kinds), said + notices


def _kind_of(column: Any, keep: bool) -> str:
    from pandas.api import types

    present = column.dropna()
    if types.is_complex_dtype(column):
        raise _LeftOut("complex numbers")
    if types.is_object_dtype(column) and present.map(_is_nested).any():
        raise _LeftOut("lists or records in a cell")
    if types.is_datetime64_any_dtype(column):
        return "ISO8601"
    if types.is_bool_dtype(column) or isinstance(column.dtype, types.CategoricalDtype):
        return "category"
    if types.is_float_dtype(column) or types.is_timedelta64_dtype(column):
        return NUMBER
    texts = as_text(present).dropna()
    if len(texts) and texts.str.fullmatch(_COMPACT_DATE).all():
        return "%Y%m%d"
    if types.is_numeric_dtype(column):
        return NUMBER
    counts = texts.value_counts()
    words = counts[counts.index.str.lower() != "none"]
    kind = _date_format(words) or _number_kind(words)
    if kind is not None:
        return kind
    many = max(_FEWEST_DISTINCT, _MOSTLY_DISTINCT * len(texts))
    if len(counts) < many and not 1 < len(counts) == len(column):
        return "category"
    if not keep and texts.str.count(r"\S+").mean() < _WORDS_OF_TEXT:
        raise _LeftOut("text that differs in most rows (keep: --keep)")
    return "text"


def _is_nested(value: object) -> bool:
    return isinstance(value, list | tuple | dict | set | np.ndarray)


def _number_kind(counts: Any) -> str | None:
    """The kind that reads most entries as numbers, None for no such column."""
    import pandas

    texts = pandas.Series(list(counts.index), dtype=object)
    # Codes, as regions of the post: a number has no zero in front.
    if texts.str.fullmatch(r"\d{2,}").all() and texts.str.match("0").any():
        return None
    right = {
        kind: counts[_read(texts, kind).notna().to_numpy()].sum()
        for kind in (NUMBER, DECIMAL_COMMA)
    }
    kind = max(right, key=lambda kind: right[kind])
    some_odd = right[kind] >= _MOSTLY * counts.sum() and len(counts) >= _FEWEST_DISTINCT
    return kind if right[kind] == counts.sum() > 0 or some_odd else None


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
        # Two digits of a year, times of a day, months, or both orders of day and month.
        mark = next(
            (c for c in "/.-" if likely.str.count(re.escape(c)).max() == 2), "/"
        )
        forms += [mark.join(("%m", "%d", year)) for year in ("%Y", "%y")]
        forms += ["%H:%M", "%H:%M:%S", "%m/%Y"]
    forms += [
        f.translate(str.maketrans("md", "dm")) for f in forms if "%m" in f and "%d" in f
    ]
    if likely.str.contains(r"^\d+\.\d+\.").all():
        forms.sort(key=lambda form: not form.startswith("%d"))
    weights = counts[texts].to_numpy()
    right = [weights[_read(texts, form).notna().to_numpy()].sum() for form in forms]
    best = int(np.argmax(right))
    return forms[best] if right[best] >= _MOSTLY * counts.sum() else None


def _names_the_rows(name: str, column: Any) -> bool:
    """Whether these are distinct whole numbers that count or name the rows."""
    values = column.dropna()
    if str(values.dtype).startswith("timedelta") or len(values) < _FEWEST_DISTINCT:
        return False
    values = _read(values, NUMBER).dropna()
    least, most = values.min(), values.max()
    if values.nunique() < _MOSTLY_UNIQUE * len(values) or (values % 1 != 0).any():
        return False
    digits = {len(f"{abs(value):.0f}") for value in (least, most)}
    long = len(digits) == 1 and digits.pop() >= _DIGITS_OF_NAME
    in_turn = most - least == len(values) - 1 and values.nunique() == len(values)
    named = _NAME_OF_ID.search(name) and values.nunique() == len(values)
    return bool(in_turn or named or (long and not _NAME_OF_TIME.search(name)))


def _notices(name: str, column: Any, kind: str, values: Any) -> list[str]:
    """What was taken for what, where a reader of the file may see it otherwise."""
    texts, said = as_text(column), []
    if kind == "category":
        words = texts[texts.str.lower() == "none"].value_counts()
        said = [
            f"{word!r} of {name!r} taken as a category ({counted(int(n), 'cell')})."
            for word, n in words.items()
        ]
    elif kind in (NUMBER, DECIMAL_COMMA):
        odd = ~texts.str.fullmatch(r"[+-]?[\d.]*(?:e[+-]?\d+)?").astype(bool)
        for place in np.flatnonzero(odd & values.notna() & texts.notna())[:1]:
            text, value = texts.iloc[place], values.iloc[place]
            said = [f"{name!r} read as numbers: {text!r} is {value:.12g}."]
    elif kind == "text":
        said = [f"{name!r} taken as text."]
    else:
        said = [f"{name!r} read as dates ({kind})."]
        ordered = "%m" in kind and "%d" in kind and not kind.startswith("%Y")
        if ordered and values.dt.day.max() <= 12:
            said[0] += " No day above 12 settles the order of day and month."
    lost = texts[values.isna()].dropna()
    if len(lost):
        said.append(
            f"{counted(len(lost), 'cell')} of {name!r} taken as missing: "
            f"{quoted(lost.unique(), limit=3)}."
        )
    return said
