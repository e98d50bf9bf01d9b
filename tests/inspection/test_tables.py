"""Answers of pipelines in the columns of the table."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from knngraph import KNNGraphClassifier
from knngraph.inspection import explain_table, explain_training_rows
from knngraph.inspection.rows import cell_text


def make_table(n_rows=120, seed=0):
    """The label is in the city, and a little in the age."""
    random = np.random.default_rng(seed)
    city = random.choice(["Oslo", "Rome", "Bern"], n_rows)
    age = random.integers(18, 80, n_rows).astype(float)
    table = pd.DataFrame(
        {"age": age, "noise": random.normal(size=n_rows), "city": city},
        index=[f"r{i}" for i in range(n_rows)],
    )
    table.loc[table.index[5], "age"] = np.nan
    return table, np.where((city == "Oslo") ^ (age > 75), "yes", "no")


@pytest.fixture(scope="module")
def fitted():
    table, labels = make_table()
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "noise"]),
        (OneHotEncoder(), ["city"]),
    )
    classifier = KNNGraphClassifier(
        inference="adaptive", metric="euclidean", random_state=0
    )
    model = make_pipeline(columns, classifier)
    return model.fit(table.iloc[20:], labels[20:]), table, labels


def test_shares_are_summed_over_the_encoded_columns(fitted):
    model, table, _ = fitted
    answers = explain_table(model, table.iloc[:20], training=table.iloc[20:])
    plain = model[-1].explain(model[:-1].transform(table.iloc[:20]))
    assert [a.name for a in answers] == list(table.index[:20])
    for answer, said in zip(answers, plain):
        assert answer.columns == ("age", "noise", "city")
        assert answer.unresolved == ()
        for row, voter in zip(answer.voters, said.voters):
            sums = [*voter.shares[:2], voter.shares[2:].sum()]
            np.testing.assert_allclose(row.shares, sums)
            assert row.name == table.index[20 + voter.row]
            assert row.values == tuple(table.iloc[20 + voter.row])
        assert answer.relevance.sum() == pytest.approx(1.0)
        assert answer.explanation.predicted == said.predicted
        assert list(answer.probabilities) == sorted(
            answer.probabilities, key=answer.probabilities.get, reverse=True
        )


def test_text_and_frame(fitted):
    model, table, _ = fitted
    (answer,) = explain_table(model, table.iloc[[5]], training=table.iloc[20:])
    text = str(answer)
    assert text.startswith("row r5: class ")
    voter = answer.voters[0]
    assert f"{voter.name}" in text
    assert f"({voter.values[2]})" in text
    frame = answer.to_frame()
    assert frame.index.tolist() == [v.name for v in answer.voters]
    assert frame.columns.tolist() == [
        "label",
        "weight",
        "distance",
        "share of age",
        "share of noise",
        "share of city",
    ]
    np.testing.assert_allclose(frame.iloc[:, 3:].sum(axis=1), 1.0)


def test_without_the_training_table_rows_have_numbers(fitted):
    model, table, _ = fitted
    (answer,) = explain_table(model, table.iloc[[0]])
    assert answer.reached.values is None
    assert all(isinstance(v.name, int) for v in answer.voters)
    assert str(answer)


def test_training_rows_are_left_out(fitted):
    model, table, _ = fitted
    training = table.iloc[20:]
    answers = explain_training_rows(model, training, [3, 40])
    assert [a.name for a in answers] == ["r23", "r60"]
    for answer in answers:
        assert answer.name not in [v.name for v in answer.voters]
        assert answer.values == tuple(table.loc[answer.name])
        assert len(answer.others) == 3


def test_columns_of_no_one_source_stand_for_themselves():
    table, labels = make_table()
    model = make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(), PCA(1)), ["age", "noise"]),
            (OneHotEncoder(), ["city"]),
        ),
        KNNGraphClassifier(random_state=0),
    ).fit(table, labels)
    (answer,) = explain_table(model, table.iloc[[0]], training=table)
    assert answer.unresolved == ("pipeline__pca0",)
    assert answer.columns == ("age", "noise", "city", "pipeline__pca0")
    assert len(answer.values) == 3
    assert answer.relevance[:2].tolist() == [0.0, 0.0]
    assert "pipeline__pca0" in str(answer) or answer.relevance[3] < 0.005


def test_a_search_over_pipelines_arrays_and_a_bare_classifier():
    table, labels = make_table()
    numbers = table[["age", "noise"]].fillna(0.0)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), KNNGraphClassifier(random_state=0)),
        {"knngraphclassifier__query_nugget": [0.1, 1.0]},
        cv=2,
    ).fit(numbers, labels)
    assert explain_table(search, numbers[:1])[0].columns == ("age", "noise")
    bare = KNNGraphClassifier(random_state=0).fit(numbers.to_numpy(), labels)
    (answer,) = explain_table(bare, numbers.to_numpy()[7:8])
    assert answer.columns == ("x0", "x1")
    assert answer.name == 0
    assert answer.values == tuple(numbers.iloc[7])


def test_frames_of_polars():
    polars = pytest.importorskip("polars")
    table, labels = make_table()
    numbers = polars.DataFrame(table[["age", "noise"]].fillna(0.0).to_dict("list"))
    model = make_pipeline(StandardScaler(), KNNGraphClassifier(random_state=0))
    model.fit(numbers, labels)
    (answer,) = explain_table(model, numbers[3:4], training=numbers)
    assert answer.columns == ("age", "noise")
    assert answer.values == numbers.row(3)
    assert answer.reached.name == 3


def test_what_cannot_be_explained_is_refused(fitted):
    model, table, labels = fitted
    with pytest.raises(ValueError, match="the table that the model was fitted on"):
        explain_table(model, table.iloc[:1], training=table)
    numbers = table[["noise"]]
    other = make_pipeline(StandardScaler(), LogisticRegression()).fit(numbers, labels)
    with pytest.raises(TypeError, match="ends with LogisticRegression"):
        explain_table(other, numbers)


def test_a_tabular_pipeline_of_skrub(fitted):
    skrub = pytest.importorskip("skrub")
    _, table, labels = fitted
    table = table.assign(day=pd.date_range("2020-01-01", periods=120))
    model = skrub.tabular_pipeline(
        KNNGraphClassifier(inference="cascade", random_state=0)
    )
    model.fit(table, labels)
    (answer,) = explain_table(model, table.iloc[[9]], training=table)
    assert answer.columns == ("age", "noise", "city", "day")
    assert answer.relevance.sum() == pytest.approx(1.0)
    assert cell_text(answer.values[3]) == "2020-01-10"


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "missing"),
        (np.nan, "missing"),
        (pd.NA, "missing"),
        (pd.NaT, "missing"),
        (np.float32(0.5), "0.5"),
        (3, "3"),
        (1e300, "1e+300"),
        ("a b", "a b"),
        (pd.Timestamp("2020-02-01"), "2020-02-01"),
        (pd.Timestamp("2020-02-01 10:00"), "2020-02-01 10:00:00"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_cells_as_text(cell, text):
    assert cell_text(cell) == text
