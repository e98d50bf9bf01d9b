"""From a file and options to columns, classes and a pipeline."""

import numpy as np
import pandas
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from knngraph.tables.load import TableOptions, load_table, pipeline_for
from knngraph.tables.table import TableProblem


@pytest.fixture
def path(tmp_path):
    random = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "price": [f"${v:,.2f}" for v in random.uniform(0, 5000, 90)],
            "kind": random.choice(["None", "a", "b"], 90),
            "name": [f"n{i}" for i in range(90)],
            "label": ["good", "bad", "good"] * 30,
        }
    )
    frame.loc[[3, 5], "price"] = None
    frame.loc[4, "label"] = None
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def test_rows_with_a_class(path):
    table = load_table(TableOptions(path, "label"))
    assert table.frame.columns.tolist() == ["price", "kind"]
    assert table.raw.columns.tolist() == ["price", "kind", "name", "label"]
    assert table.rows.tolist() == [*range(4), *range(5, 90)]
    assert table.labels[:4].tolist() == ["good", "bad", "good", "good"]
    assert table.frame["price"].isna().sum() == 2
    assert table.columns.transform(table.raw).equals(table.frame)


def test_a_sample_of_rows(path):
    table = load_table(TableOptions(path, "label", sample=20, drop=["kind"]))
    assert len(table.frame) == len(table.rows) == len(table.codes) == 20
    assert table.frame.columns.tolist() == ["price"]
    everything = pandas.read_csv(path)
    assert table.raw["name"].tolist() == everything["name"][table.rows].tolist()
    assert "A random sample of 20 rows out of 89" in " ".join(table.notices)


@pytest.mark.parametrize("estimator", [LogisticRegression(), RandomForestClassifier()])
def test_pipelines_of_typed_and_of_raw_rows(path, estimator):
    table = load_table(TableOptions(path, "label"))
    typed = pipeline_for(estimator).fit(table.frame, table.labels)
    raw = pipeline_for(estimator, table.columns).fit(table.raw, table.labels)
    assert typed.predict_proba(table.frame).shape == (89, 2)
    assert set(raw.predict(table.raw)) <= {"good", "bad"}


def test_rows_that_would_not_fit_are_refused(path, monkeypatch):
    # 89 rows of one number and of one category that may become 40.
    monkeypatch.setattr("knngraph.tables.load._LARGEST_BYTES", 8 * 89 * 41 - 1)
    with pytest.raises(TableProblem, match=r"89 rows of 41 numbers.*--sample"):
        load_table(TableOptions(path, "label"))
    monkeypatch.setattr("knngraph.tables.load._LARGEST_BYTES", 8 * 89 * 41)
    load_table(TableOptions(path, "label"))
