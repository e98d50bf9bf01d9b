"""Every column is read as what it is, or left out with a reason."""

import datetime

import numpy as np
import pandas
import pytest

from knngraph.tables.columns import TypedColumns, find_columns
from knngraph.tables.table import TableProblem

N = 30
RANDOM = np.random.default_rng(0)
DAYS = pandas.date_range("2024-01-01", periods=N)
AMOUNTS = RANDOM.uniform(-9999, 9999, N).round(2)


def typed(values, name="x", **options):
    """Find and read one column beside a number that stays."""
    frame = pandas.DataFrame({"other": RANDOM.normal(size=N), name: values})
    columns, notices = find_columns(frame, **options)
    return columns, columns.transform(frame).get(name), " ".join(notices)


def german(value):
    return f"{value:,.2f} €".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.integers(0, 5, N),
        RANDOM.normal(size=N).astype(np.float32),
        pandas.array([1, 2, None] * 10, dtype="Int64"),
        [str(v) for v in RANDOM.normal(size=N)],
        pandas.to_timedelta(np.arange(N), unit="h"),
    ],
)
def test_numbers(values):
    columns, column, _ = typed(values)
    assert columns.kinds == {"other": "number", "x": "number"}
    assert column.dtype == np.float64


@pytest.mark.parametrize(
    "write",
    [
        lambda v: f"${v:,.2f}".replace("$-", "-$"),
        lambda v: f"{v:,.2f} USD",
        lambda v: f"£ {v:,.2f}",
        lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}",
        lambda v: f"{v:,.2f} %",
        lambda v: f"{v:,.2f}".replace("-", "\N{MINUS SIGN}"),
        lambda v: f"{v:,.2f}".replace(",", "'"),
        lambda v: f"{v:,.2f}".replace(",", "\N{NO-BREAK SPACE}"),
        lambda v: f"{v:.2f}".replace(".", ","),
        german,
    ],
)
def test_amounts_as_people_write_them(write):
    columns, column, said = typed([write(value) for value in AMOUNTS])
    assert columns.kinds["x"] in ("number", "decimal comma")
    np.testing.assert_array_equal(column, AMOUNTS)
    assert f"'x' read as numbers: {write(AMOUNTS[0])!r} is {AMOUNTS[0]:g}" in said


def test_separators_of_thousands_and_decimal_commas():
    # As pandas reads "1,234" where nothing says otherwise.
    assert typed(["1,234", "2,345,678", "7"] * 10)[1][1] == 2345678
    assert typed(["1,234", "2,34", "7"] * 10)[1][0] == 1.234
    assert typed(["1.234", "2.345.678", "7"] * 10)[1][0] == 1234


@pytest.mark.parametrize(
    ("form", "read"),
    [
        ("%Y-%m-%d", "ISO8601"),
        ("%Y-%m-%dT%H:%M:%SZ", "ISO8601"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%d.%m.%y", "%d.%m.%y"),
        ("%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M"),
        ("%d-%b-%Y", "%d-%b-%Y"),
        ("%B %d, %Y", "%B %d, %Y"),
        ("%Y%m%d", "%Y%m%d"),
        ("%m/%d/%y", "%m/%d/%y"),
    ],
)
def test_dates(form, read):
    values = [*DAYS.strftime(form)[:-1], None]
    columns, column, said = typed(values)
    assert columns.kinds["x"] == read
    assert column[:-1].tolist() == DAYS[:-1].tolist()
    assert column.isna().tolist() == [False] * (N - 1) + [True]
    assert f"'x' read as dates ({read})" in said


def test_times_of_a_day_and_months():
    columns, column, _ = typed([f"{i % 24}:{2 * i:02d}" for i in range(N)])
    assert columns.kinds["x"] == "%H:%M"
    assert column.dt.hour.tolist() == [i % 24 for i in range(N)]
    columns, column, _ = typed([f"{1 + i % 12:02d}/20{10 + i}" for i in range(N)])
    assert columns.kinds["x"] == "%m/%Y"
    assert column.dt.year.tolist() == [2010 + i for i in range(N)]


def test_days_and_months_that_nothing_tells_apart():
    days = [f"{1 + i % 12:02d}/{1 + i % 5:02d}/2024" for i in range(N)]
    columns, _, said = typed(days)
    assert columns.kinds["x"] == "%m/%d/%Y"
    assert "No day above 12 settles the order" in said
    columns, _, said = typed([day.replace("/", ".") for day in days])
    assert columns.kinds["x"] == "%d.%m.%Y"
    assert "No day above 12" in said


@pytest.mark.parametrize(
    "values",
    [
        pandas.date_range("2024-01-01", periods=N, tz="Europe/Paris"),
        [datetime.datetime(2024, 1, 1 + i) for i in range(N)],
        [20240101 + i for i in range(N)],
    ],
)
def test_dates_of_other_types(values):
    _, column, _ = typed(values)
    assert column.nunique() == N
    assert str(column.dtype).startswith("datetime64[")


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b", None] * 10,
        [True, False] * 15,
        pandas.array([True, None, False] * 10, dtype="boolean"),
        pandas.Categorical(["a", "b", "c"] * 10),
        pandas.Categorical([1, 2, 3] * 10),
        ["1", "x"] * 15,
        ["01234", "12345"] * 15,
    ],
)
def test_categories(values):
    columns, column, _ = typed(values)
    assert columns.kinds["x"] == "category"
    assert column.nunique() == len(set(values) - {None, pandas.NA})


def test_the_word_none_is_a_category():
    _, column, said = typed(["None", "mild", None] * 10)
    assert column.isna().sum() == 10
    assert (column == "None").sum() == 10
    assert "'None' of 'x' taken as a category (10 cells)" in said
    # And no number.
    _, column, said = typed(["None", "1.5", "2"] * 10)
    assert column.isna().sum() == 10
    assert "10 cells of 'x' taken as missing: 'None'" in said


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None] * N, "all values missing"),
        ([3] * N, "constant"),
        (["a", None] * 15, "constant"),
        ([True] * N, "constant"),
        (np.arange(5, 5 + N), "numbers that name the rows"),
        (RANDOM.choice(9 * 10**8, N, replace=False) + 10**8, "name the rows"),
        ([f"name {i}" for i in range(N)], "text that differs in most rows"),
        ([[1, 2]] * N, "lists or records"),
        (np.arange(N) * 1j, "complex"),
    ],
)
def test_left_out(values, why):
    columns, column, said = typed(values)
    assert list(columns.kinds) == ["other"]
    assert column is None
    assert why in said
    assert "'x'" in said


def test_numbers_that_are_distinct_and_no_names():
    some = RANDOM.permutation(1000)[:N]
    assert "name the rows" in typed(some, "customer_id")[2]
    assert typed(some, "price")[0].kinds["price"] == "number"
    seconds = 1_700_000_000 + 1000 * some
    assert typed(seconds, "timestamp")[0].kinds["timestamp"] == "number"


def test_names_of_rows_may_have_gaps_and_come_back():
    names = RANDOM.choice(9 * 10**8, 100, replace=False) + 10**8
    names = pandas.array(names, dtype="Int64")
    names[3], names[4] = None, names[5]
    frame = pandas.DataFrame({"other": RANDOM.normal(size=100), "x": names})
    columns, (said,) = find_columns(frame)
    assert list(columns.kinds) == ["other"]
    assert "numbers that name the rows" in said


def test_text_of_several_words_is_encoded():
    values = [f"the {i}th of many short texts" for i in range(N)]
    columns, column, said = typed(values)
    assert columns.kinds["x"] == "text"
    assert column.tolist() == values
    assert "'x' taken as text" in said


def test_the_user_knows_better():
    assert typed(np.arange(N), keep=["x"])[0].kinds["x"] == "number"
    texts = [f"name {i}" for i in range(N)]
    assert typed(texts, keep=["x"])[0].kinds["x"] == "text"
    columns, column, _ = typed(np.arange(N) % 3, as_categories=["x"])
    assert columns.kinds["x"] == "category"
    assert set(column) == {"0", "1", "2"}


def test_odd_entries_are_missing():
    _, column, said = typed([*map(str, range(5, 2 * N + 3, 2)), "unknown"])
    assert np.isnan(column).tolist() == [False] * (N - 1) + [True]
    assert "1 cell of 'x' taken as missing: 'unknown'" in said
    _, column, said = typed(["n/k", *DAYS.strftime("%d/%m/%Y")[1:]])
    assert column.isna().tolist() == [True] + [False] * (N - 1)
    assert "1 cell of 'x' taken as missing: 'n/k'" in said


def test_infinite_numbers_are_missing():
    _, column, said = typed([np.inf, -np.inf, *RANDOM.normal(size=N - 2)])
    assert np.isnan(column[:2]).all()
    assert "2 cells of 'x' taken as missing: 'inf', '-inf'" in said


def test_nothing_left():
    frame = pandas.DataFrame({"x": [1] * N, "y": [None] * N})
    with pytest.raises(TableProblem, match=r"no column is left.*constant: 'x'"):
        find_columns(frame)


def test_rows_of_another_table():
    columns = TypedColumns({"a": "number", "b": "%d/%m/%Y", "c": "category"})
    new = pandas.DataFrame({"c": [3.0, None], "more": 1, "b": ["02/01/2024", "?"]})
    with pytest.raises(TableProblem, match="no column 'a'; the model was fitted"):
        columns.transform(new)
    found = columns.transform(new.assign(a=["$1,000", "x"]))
    assert found.columns.tolist() == ["a", "b", "c"]
    assert found.iloc[0].tolist() == [1000, pandas.Timestamp(2024, 1, 2), "3"]
    assert found.iloc[1].isna().all()
