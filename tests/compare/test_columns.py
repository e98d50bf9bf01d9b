"""Every column is numbers, categories, or left out with a reason."""

import datetime

import numpy as np
import pandas
import pytest

from knngraph.compare.columns import (
    describe_preparation,
    make_preparation,
    prepared_input,
    sort_columns,
)
from knngraph.compare.table import TableProblem

N = 30
RANDOM = np.random.default_rng(0)


def sort_with(values, name="x", **options):
    """Sort one column beside a number that stays."""
    frame = pandas.DataFrame({"other": RANDOM.normal(size=N), name: values})
    return sort_columns(frame, **options)


@pytest.mark.parametrize(
    "values",
    [
        RANDOM.integers(0, 5, N),
        RANDOM.normal(size=N).astype(np.float32),
        pandas.array([1, 2, None] * 10, dtype="Int64"),
        [str(v) for v in RANDOM.normal(size=N)],
        pandas.date_range("2024-01-01", periods=N, tz="Europe/Paris"),
        [f"2024-01-{i + 1:02d}" for i in range(N)],
        [f"2024-01-{i + 1:02d}T10:00:00Z" for i in range(N)],
        pandas.to_timedelta(np.arange(N), unit="h"),
    ],
)
def test_numbers(values):
    columns = sort_with(values)
    assert columns.number_names == ["other", "x"]
    assert columns.category_names == []


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b", None] * 10,
        [True, False] * 15,
        pandas.array([True, None, False] * 10, dtype="boolean"),
        pandas.Categorical(["a", "b", "c"] * 10),
        pandas.Categorical([1, 2, 3] * 10),
        ["1", "x"] * 15,
    ],
)
def test_categories(values):
    columns = sort_with(values)
    assert columns.number_names == ["other"]
    assert columns.category_names == ["x"]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([None] * N, "all values missing"),
        ([3] * N, "constant"),
        (["a", None] * 15, "constant"),
        ([True] * N, "constant"),
        (np.arange(5, 5 + N), "numbers the rows"),
        ([f"name {i}" for i in range(N)], "text that differs in most rows"),
        ([[1, 2]] * N, "lists or records"),
        (np.arange(N) * 1j, "complex"),
    ],
)
def test_left_out(values, why):
    columns = sort_with(values)
    assert columns.number_names == ["other"]
    assert columns.category_names == []
    (notice,) = columns.notices
    assert why in notice
    assert "'x'" in notice


def test_an_id_by_its_name():
    values = RANDOM.permutation(1000)[:N]
    assert "numbers the rows" in sort_with(values, "customer_id").notices[0]
    assert sort_with(values, "price").number_names == ["other", "price"]


def test_the_user_knows_better():
    assert sort_with(np.arange(N), keep=["x"]).number_names == ["other", "x"]
    texts = [f"name {i}" for i in range(N)]
    assert sort_with(texts, keep=["x"]).category_names == ["x"]
    codes = np.arange(N) % 3
    assert sort_with(codes, as_categories=["x"]).category_names == ["x"]


def test_odd_entries_among_numbers_are_missing():
    columns = sort_with([*map(str, range(5, 2 * N + 3, 2)), "unknown"])
    assert np.isnan(columns.numbers[:, 1]).tolist() == [False] * (N - 1) + [True]
    assert "'unknown'" in columns.notices[0]


def test_infinite_numbers_are_missing():
    columns = sort_with([np.inf, -np.inf, *RANDOM.normal(size=N - 2)])
    assert np.isnan(columns.numbers[:2, 1]).all()
    assert "2 infinite values of 'x'" in columns.notices[0]


def test_dates_are_days():
    columns = sort_with(
        [None, datetime.datetime(1970, 1, 3, 12)]
        + [datetime.datetime(1970, 1, 1)] * (N - 2)
    )
    assert np.isnan(columns.numbers[0, 1])
    assert columns.numbers[1:3, 1].tolist() == [2.5, 0.0]


def test_nothing_left():
    frame = pandas.DataFrame({"x": [1] * N, "y": [None] * N})
    with pytest.raises(TableProblem, match=r"no column is left.*'x': constant"):
        sort_columns(frame)


def test_preparation_by_hand():
    frame = pandas.DataFrame(
        {"size": [1.0, np.nan, 3.0, 2.0], "kind": ["a", "b", None, "b"]}
    )
    columns = sort_columns(frame)
    rows = make_preparation(columns).fit_transform(prepared_input(columns))
    deviation = np.std([1, 2, 3, 2])  # the median, 2, in the place of the missing
    expected = [
        [-1 / deviation, 1, 0],
        [0, 0, 1],
        [1 / deviation, 0, 1],  # the most frequent, b
        [0, 0, 1],
    ]
    np.testing.assert_allclose(rows, expected)
    said = " ".join(describe_preparation(columns))
    for part in ("median", "StandardScaler", "OneHotEncoder", "(1 cell)"):
        assert part in said


def test_unknown_and_rare_categories():
    many = [f"c{i % 60}" for i in range(400)]
    columns = sort_columns(pandas.DataFrame({"kind": many}))
    assert "60 categories" in columns.notices[0]
    preparation = make_preparation(columns)
    rows = prepared_input(columns)
    assert preparation.fit_transform(rows).shape == (400, 50)
    # The column of the rare takes what was never seen.
    unseen = preparation.transform(np.array([["new"]], dtype=object))
    assert unseen.tolist() == [[0.0] * 49 + [1.0]]


def test_a_fold_without_any_value_of_a_column():
    frame = pandas.DataFrame({"x": [1.0, 2.0, np.nan, np.nan], "y": [0.0, 1, 2, 3]})
    columns = sort_columns(frame)
    rows = prepared_input(columns)
    prepared = make_preparation(columns).fit(rows[2:]).transform(rows)
    assert prepared.shape == (4, 2)
    assert np.isfinite(prepared).all()
