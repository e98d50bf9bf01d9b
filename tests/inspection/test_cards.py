"""Cards of answers, on every way to answer."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline

from knngraph import KNNGraphClassifier
from knngraph.inspection import explain_table, explain_training_rows
from knngraph.inspection.cards import answer_page, rows_beside
from knngraph.inspection.suspect_cards import suspects_page
from tests.commands.pages import Page


@pytest.fixture(scope="module")
def iris():
    table, labels = load_iris(return_X_y=True, as_frame=True)
    return table, np.array(["setosa", "versi<color>", "virginica"])[labels]


def test_the_way_of_a_stored_label(iris):
    table, labels = iris
    model = KNNGraphClassifier(ef=16, random_state=0).fit(table[::2], labels[::2])
    (answer,) = explain_table(model, table[71:72], training=table[::2])
    page = Page(answer_page("Flowers", [answer], given=["x & y"]))
    page.check_harmless()
    assert f"Row 71: {answer.explanation.predicted} (its label: x & y)" in page.text
    assert "stores the class" in page.text
    # The row reached comes first, and once.
    heads = [text for text in page.texts if text.startswith("row ")]
    assert heads[0] == f"row {answer.reached.name}"
    n_voters = min(8, len({v.name for v in answer.voters} | {answer.reached.name}))
    assert len(set(heads[:n_voters])) == n_voters


def test_the_vote_of_the_voters_and_the_rest():
    X, y = load_digits(return_X_y=True)
    X, y = X[:600], y[:600]
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    answers = explain_table(model, X[:30])
    answer = max(answers, key=lambda a: len(a.voters))
    page = Page(answer_page("Digits", [answer], remarks=["a remark"]))
    assert "2 more" in page.texts  # of ten classes
    assert f"{len(answer.voters) - 8} more rows have" in page.text
    assert "30 more columns of 54" in page.text
    assert page.texts.count("a remark") == 1


def test_a_column_without_a_source_has_shares_and_no_cells(iris):
    table, labels = iris
    model = make_pipeline(PCA(2), KNNGraphClassifier(inference="adaptive"))
    model.fit(table, labels)
    (answer,) = explain_table(model, table[:1], training=table)
    lines = rows_beside(answer.to_card(), answer.voters[:2], "Voters")
    assert "pca0" in lines
    assert lines.index("pca0") < lines.index("sepal length (cm)")


def test_suspects_and_the_words_for_them(iris):
    table, labels = iris
    labels = labels.copy()
    labels[[3, 60]] = "virginica", "setosa"
    model = KNNGraphClassifier(random_state=0).fit(table, labels)
    suspects = model.suspect_labels(20)
    explanations = explain_training_rows(model, table, suspects.rows)
    page = Page(suspects_page("Doubts", explanations, suspects, lead="of iris"))
    page.check_harmless()
    assert "Row 3: given virginica, rather setosa" in page.texts
    assert "Row 60: given setosa, rather versi<color>" in page.texts
    words = [t for t in page.texts if t.startswith("Row ") and ": given" in t]
    assert len(words) == 20
    for place, title in enumerate(words):
        if suspects.suggested[place] == suspects.given[place]:
            assert title.endswith(f"given {suspects.given[place]}")
        else:
            likelier = (
                suspects.suggested_probability[place] > suspects.probability[place]
            )
            assert (", rather " in title) == likelier
            assert (", perhaps " in title) != likelier


def test_names_of_rows_are_shown(iris):
    table, labels = iris
    named = pd.DataFrame(
        table.to_numpy(), columns=table.columns, index=[f"<i>{i}" for i in range(150)]
    )
    model = KNNGraphClassifier(ef=16, random_state=0).fit(named, labels)
    (answer,) = explain_table(model, named[5:6], training=named)
    page = Page(answer_page("Names", [answer]))
    assert any(text.startswith("Row <i>5: ") for text in page.texts)
