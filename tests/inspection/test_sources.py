"""Columns of the user behind encoded columns."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from knngraph.inspection.sources import SEVERAL, ColumnSources, column_sources

N_ROWS = 40
LABELS = np.arange(N_ROWS) % 2


@pytest.fixture
def numbers():
    values = np.random.default_rng(0).normal(size=(N_ROWS, 3))
    values[:5, 0] = np.nan
    values[:, 2] = 1.0
    # One name starts with another, and a third is that of an encoded column.
    return pd.DataFrame(values, columns=["age", "age_x", "city_Rome"])


@pytest.fixture
def table(numbers):
    cities = np.array(["Rome", "Oslo", "x"])[np.arange(N_ROWS) % 3]
    days = pd.date_range("2020-01-01", periods=N_ROWS)
    return numbers.assign(city=cities, city_x=cities[::-1], day=days)


def followed(steps, frame):
    """Pairs of encoded column and source, for every column that comes out."""
    encoded = frame
    for step in steps:
        encoded = step.fit(encoded, LABELS).transform(encoded)
    sources = column_sources(steps, frame.columns, encoded.shape[1])
    return [
        (name, None if i == SEVERAL else sources.columns[i])
        for name, i in zip(sources.encoded, sources.sources)
    ]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (StandardScaler(), ["age", "age_x", "city_Rome"]),
        (SimpleImputer(add_indicator=True), ["age", "age_x", "city_Rome", "age"]),
        (VarianceThreshold(), ["age", "age_x"]),
        (make_pipeline(SimpleImputer(), SelectKBest(k=1)), None),
        (
            make_pipeline(SimpleImputer(), PolynomialFeatures(interaction_only=True)),
            [None, "age", "age_x", "city_Rome", None, None, None],
        ),
        (make_pipeline(SimpleImputer(), PCA(2)), [None, None]),
        (
            make_pipeline(SimpleImputer(), make_union(PCA(1), StandardScaler())),
            [None, "age", "age_x", "city_Rome"],
        ),
        (
            FunctionTransformer(np.abs, feature_names_out="one-to-one"),
            ["age", "age_x", "city_Rome"],
        ),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore:Features .* are constant")
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_numbers(numbers, step, expected):
    found = [source for _, source in followed([step], numbers)]
    if expected is None:
        chosen = step[1].get_support() if hasattr(step[1], "scores_") else None
        expected = list(np.array(numbers.columns)[chosen])
    assert found == expected


def test_several_columns_of_one(numbers):
    filled = numbers.fillna(0.0)
    for step in (
        SplineTransformer(3),
        KBinsDiscretizer(2, strategy="uniform"),
    ):
        found = followed([step], filled[["age", "age_x"]])
        assert {source for _, source in found} == {"age", "age_x"}
        assert all(name.startswith(f"{source}_") for name, source in found)
        assert [s for _, s in found] == sorted(s for _, s in found)


@pytest.mark.parametrize(
    "step", [OneHotEncoder(), OrdinalEncoder(), TargetEncoder(random_state=0)]
)
def test_categories(table, step):
    found = followed([step], table[["city", "city_x"]])
    sources = [source for _, source in found]
    assert sources == sorted(sources)
    assert set(sources) == {"city", "city_x"}


def test_a_column_transformer_in_every_way_to_name_columns(table):
    def encoded(number_columns, category_columns, **options):
        step = ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(), StandardScaler()),
                    number_columns,
                ),
                ("categories", OneHotEncoder(), category_columns),
                ("gone", "drop", ["day"]),
            ],
            **options,
        )
        return followed([step], table)

    expected = [
        "age",
        "age_x",
        *["city"] * 3,
        *["city_x"] * 3,
    ]
    for number_columns, category_columns in [
        (["age", "age_x"], ["city", "city_x"]),
        (slice("age", "age_x"), slice(3, 5)),
        ([0, 1], [False, False, False, True, True, False]),
        (slice(None, "age_x"), make_column_selector(pattern="^city$|^city_x$")),
    ]:
        found = [source for _, source in encoded(number_columns, category_columns)]
        assert found == expected
    rest = encoded(
        ["age"], ["city"], remainder="passthrough", verbose_feature_names_out=False
    )
    assert [source for _, source in rest] == [
        "age",
        *["city"] * 3,
        "age_x",
        "city_Rome",
        "city_x",
    ]


def test_a_pipeline_of_a_column_transformer_and_a_scaler(table):
    first = ColumnTransformer(
        [
            ("c", OneHotEncoder(sparse_output=False), ["city"]),
            ("p", PCA(1), ["age_x"]),
            ("of two", PCA(1), ["age_x", "city_Rome"]),
        ]
    )
    found = followed([first, StandardScaler()], table)
    # All that is made of one column is of that column.
    assert [source for _, source in found] == ["city", "city", "city", "age_x", None]
    assert found[4][0] == "of two__pca0"


def test_the_words_of_a_text(table):
    words = ColumnTransformer([("w", TfidfVectorizer(), "city")])
    found = followed([words], table)
    assert {source for _, source in found} == {"city"}


def test_samplers_and_passthrough_change_no_column(numbers):
    class Sampler(BaseEstimator):
        def fit_resample(self, X, y):
            return X, y

    steps = ["passthrough", Sampler(), None]
    assert column_sources(steps, numbers.columns, 3).sources.tolist() == [0, 1, 2]


def test_steps_that_do_not_say_leave_the_encoded_columns(numbers):
    class Silent(TransformerMixin, BaseEstimator):
        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return np.asarray(X)[:, :2]

    found = followed([Silent()], numbers)
    assert found == [("encoded column 0", None), ("encoded column 1", None)]
    # Beside others they hide no more than their own columns.
    parts = ColumnTransformer(
        [("s", Silent(), ["age", "age_x"]), ("n", StandardScaler(), ["age_x"])]
    )
    assert [source for _, source in followed([parts], numbers)] == [None, None, "age_x"]


def test_sums_keep_the_whole():
    sources = ColumnSources(
        ("a", "b"), ("a1", "p", "b1", "a2"), np.array([0, -1, 1, 0])
    )
    values = np.random.default_rng(0).dirichlet(np.ones(4), size=5)
    sums = sources.summed(values)
    assert sources.unresolved == ("p",)
    assert sources.names == ("a", "b", "p")
    np.testing.assert_allclose(sums[:, 0], values[:, 0] + values[:, 3])
    np.testing.assert_allclose(sums[:, 2], values[:, 1])
    np.testing.assert_allclose(sums.sum(axis=1), 1.0)


class TestSkrub:
    """Steps that take columns by their names."""

    @pytest.fixture(autouse=True)
    def _skrub(self):
        self.skrub = pytest.importorskip("skrub")

    def test_table_vectorizer(self, table):
        found = followed([self.skrub.TableVectorizer()], table)
        sources = [source for _, source in found]
        assert [s for s in sources if s != "day"] == [
            "age",
            "age_x",
            "city_Rome",
            *["city"] * 3,
            *["city_x"] * 3,
        ]
        assert sources.count("day") == sum(name.startswith("day_") for name, _ in found)

    def test_the_steps_of_a_tabular_pipeline(self, table):
        from sklearn.linear_model import LogisticRegression

        steps = self.skrub.tabular_pipeline(LogisticRegression())[:-1]
        encoded = steps.fit(table, LABELS).transform(table)
        sources = column_sources(
            [step for _, step in steps.steps], table.columns, encoded.shape[1]
        )
        assert not sources.unresolved
        # The indicator of missing ages comes last.
        assert sources.sources[-1] == 0
        assert set(sources.sources) == set(range(6))

    def test_steps_that_choose_columns(self, table):
        select = self.skrub.SelectCols(["age", "city_x"])
        assert followed([select], table) == [("age", "age"), ("city_x", "city_x")]
        drop = self.skrub.DropCols(["age", "day"])
        assert [s for _, s in followed([drop], table)] == [
            "age_x",
            "city_Rome",
            "city",
            "city_x",
        ]
        assert [s for _, s in followed([self.skrub.Cleaner()], table)] == list(table)

    def test_apply_to_cols(self, table):
        encoder = OneHotEncoder(sparse_output=False)
        step = self.skrub.ApplyToCols(encoder, cols=["city", "city_x"])
        found = followed([step], table)
        # Releases of skrub differ in the order.
        kept = ["age", "age_x", "city_Rome", "day"]
        encoded = ["city"] * 3 + ["city_x"] * 3
        assert sorted(source for _, source in found) == sorted(kept + encoded)
        assert all(name.startswith(source) for name, source in found)
