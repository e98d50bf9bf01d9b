"""Cards of whatever people have: names, labels, cells and texts of every kind."""

import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from knngraph import KNNGraphClassifier, to_predictor
from knngraph.inspection import ExplanationDisplay, explain_table, risk_coverage
from tests.commands.pages import Page

LONG = "a very long word ".replace(" ", "-") * 600  # 10,200 characters
STRANGE = {
    "empty": "",
    "a space": " ",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202egnippilf\u202c",
    "controls": "a\x00b\x1b[31mc\r\nd\x85",
    "combining": "Z\u0351\u036b\u0343" * 200,
    "emoji": "👩‍👩‍👧‍👦🏳️‍🌈",
    "mathematics": "$x_{a}^{b$ \\frac{",
    "long": LONG,
}
UNPAIRED = "x\ud800y"  # no file can hold it
# Of rows, of classes and of columns, beside texts.
NAMES = {
    **STRANGE,
    "None": None,
    "NaN": float("nan"),
    "a tuple": ("a", 1),
    "bytes": b"\xff<b>",
    "a date": pd.Timestamp("2024-02-30".replace("30", "29")),
    "missing": pd.NA,
}


def model(**settings):
    settings = {"inference": "adaptive", "metric": "euclidean"} | settings
    return KNNGraphClassifier(random_state=0, **settings)


def two_groups(n=40, n_columns=3, seed=0):
    y = np.arange(n) % 2
    X = np.random.default_rng(seed).normal(size=(n, n_columns)) + 3.0 * y[:, None]
    return X, y


def check_shown(said, **how):
    """Every view of an explanation is there, and its page does nothing."""
    page = Page(said.to_html(**how))
    page.check_harmless()
    assert len(page.text) < 300_000
    said.to_html(**how).encode("utf-8")
    str(said).encode("utf-8")
    assert len(str(said)) < 20_000
    assert said._repr_html_().startswith("<iframe sandbox ")
    if UNPAIRED not in said.to_card().probabilities:  # pandas refuses it
        said.to_frame()
    return page


@pytest.mark.parametrize("kind", NAMES)
def test_names_of_rows_and_columns(kind):
    X, y = two_groups()
    # Names of one frame are texts, or none of them is.
    others = ["other", "kind"] if kind in STRANGE else [1, 2]
    frame = pd.DataFrame(X).astype(object)
    frame[2] = np.resize(["a", "b"], len(y))
    for axis, taken in enumerate(([NAMES[kind]] * 40, [NAMES[kind], *others])):
        frame = frame.set_axis(
            pd.Index(taken, tupleize_cols=False, dtype=object), axis=axis
        )
    encoding = make_column_transformer(
        (StandardScaler(), [0, 1]), (OneHotEncoder(), [2])
    )
    fitted = make_pipeline(encoding, model()).fit(frame, y)
    for said in explain_table(fitted, frame[:2], training=frame):
        page = check_shown(said, given=NAMES[kind])
        assert "Rows behind the answer" in page.texts
    if kind in STRANGE:
        by_name = model().fit(X, y, ids=[f"{STRANGE[kind]} {i}" for i in range(len(y))])
        (said,) = by_name.explain(X[:1])
        check_shown(said, title=STRANGE[kind])


@pytest.mark.parametrize("label", [*STRANGE.values(), UNPAIRED], ids=repr)
def test_labels(label):
    X, y = two_groups()
    labels = np.where(y == 0, label, "other")
    classifier = model().fit(X, labels)
    (said,) = classifier.explain(X[:1])
    assert said.predicted == label
    check_shown(said, given=label)
    check_shown(to_predictor(classifier).explain(X[:1])[0])
    wrong = np.random.default_rng(0).permutation(labels)
    (said,) = model().fit(X, wrong).explain(X[:1])  # doubt names other labels
    check_shown(said)


@pytest.mark.parametrize(
    "labels",
    [[True, False], [-1, 2**40], [0.0, 1e9], ["1", "1 "]],
    ids=str,
)
def test_labels_that_are_no_words(labels):
    X, y = two_groups()
    classifier = model().fit(X, np.array(labels)[y])
    check_shown(classifier.explain(X[:1])[0], given=labels[0])


@pytest.mark.parametrize("kind", STRANGE)
def test_texts(kind):
    words = np.resize(["go away now", "come here please"], 40)
    texts = [f"{text} {STRANGE[kind]} {i}" for i, text in enumerate(words)]
    fitted = make_pipeline(TfidfVectorizer(), model(metric="cosine"))
    fitted.fit(texts, np.arange(40) % 2)
    for given in (texts, pd.Series(texts), np.array(texts, dtype=object)):
        (said,) = explain_table(fitted, texts[:1], training=given)
        check_shown(said)


def test_one_long_text_does_not_widen_the_others():
    texts = [f"word{i % 7} tale{i % 2}" for i in range(2000)]
    texts[5] = "word5 " * 50_000
    fitted = make_pipeline(TfidfVectorizer(), model(metric="cosine"))
    fitted.fit(texts, np.arange(2000) % 2)
    (said,) = explain_table(fitted, texts[:1], training=texts)
    check_shown(said)
    (said,) = explain_table(fitted, texts[5:6], training=texts)
    check_shown(said)


def test_thousands_of_columns():
    X, y = two_groups(n_columns=2000)
    names = [f"<i>column</i> {j}" for j in range(2000)]
    classifier = model().fit(pd.DataFrame(X, columns=names), y)
    (said,) = classifier.explain(pd.DataFrame(X[:1], columns=names))
    page = check_shown(said)
    assert re.search(r"30 more columns of 199\d", page.text)
    (said,) = explain_table(classifier, pd.DataFrame(X[:1], columns=names))
    check_shown(said, image_shape=(40, 50))
    with pytest.raises(ValueError, match="2500 numbers, but a row has 2000 columns"):
        said.to_html(image_shape=(50, 50))


@pytest.mark.parametrize("metric", ["auto", "trees", "euclidean"])
def test_gaps_and_huge_numbers(metric):
    X, y = two_groups(60, 4)
    X[:, 3] = np.resize([1e300, -1e300, 5e-324], 60)
    X[::4, 0] = np.nan
    classifier = model(metric=metric)
    if metric == "euclidean":
        classifier = make_pipeline(SimpleImputer(), classifier)
    classifier.fit(X, y)
    rows = np.vstack([X[:2], np.full((1, 4), np.nan)])
    for said in explain_table(classifier, rows, training=X):
        page = check_shown(said)
        assert "nan" not in page.text
        check_shown(said, image_shape=(2, 2))
    with pytest.raises(ValueError, match="inf"):
        explain_table(classifier, np.array([[1.0, np.inf, 0.0, 0.0]]))


def test_cells_that_are_no_pixels():
    X, y = two_groups()
    frame = pd.DataFrame(X, columns=list("abc")).assign(c=np.resize(["x", "y"], 40))
    columns = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["c"])
    )
    fitted = make_pipeline(columns, model()).fit(frame, y)
    (said,) = explain_table(fitted, frame[:1], training=frame)
    with pytest.raises(ValueError, match=r"image_shape=.*'x' .*column 'c'"):
        said.to_html(image_shape=(1, 3))


@pytest.mark.parametrize("title", ["", STRANGE["right to left"], LONG, 5, None])
def test_titles(title):
    X, y = two_groups()
    (said,) = model().fit(X, y).explain(X[:1])
    check_shown(said, title=title)


def test_frames_of_other_libraries_and_no_rows():
    X, y = two_groups()
    for rows in (X, pl.DataFrame(X, schema=["a", "b", "c"])):
        classifier, none = model().fit(rows, y), rows[:0]
        with pytest.raises(ValueError, match="0 sample"):
            classifier.explain(none)
        with pytest.raises(ValueError, match="0 sample"):
            explain_table(classifier, none)
        for method in ("predict_set", "answer", "novelty_score", "is_novel"):
            with pytest.raises(ValueError, match="0 sample"):
                getattr(classifier, method)(none)


def test_frames_of_polars():
    X, y = two_groups()
    frame = pl.DataFrame(X, schema=["a", "b", "c"])
    classifier = model().fit(frame, y)
    (said,) = explain_table(classifier, frame[:1], training=frame)
    page = check_shown(said)
    assert {"a", "b", "c"} <= set(page.texts)
    assert said.voters[0].values == frame.row(said.voters[0].neighbor.row)


def test_a_picture_of_strange_names():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = two_groups()
    for name in STRANGE.values():
        labels = np.where(y == 0, name, f"not {name}")
        frame = pd.DataFrame(X, columns=[f"{name} {j}" for j in range(3)])
        (said,) = explain_table(model().fit(frame, labels), frame[:1], training=frame)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # of letters without a font
            display = ExplanationDisplay(explanation=said).plot()
            display.figure_.canvas.draw()
        plt.close(display.figure_)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "confidence", "message"),
    [
        ([0, 1], [0], [1.0, 1.0], "y_pred"),
        ([0, 1], [0, 1], [np.nan, 1.0], "confidence"),
        ([0, 1], [0, 1], ["sure", "not"], "confidence"),
        ([[0, 1]], [0, 1], [1.0, 1.0], "y_true"),
        ([], [], [], "at least one row; got 0 rows"),
        (["a", "b"], [0, 1], [1.0, 1.0], "y_pred"),
        ([0, 1], [0, 1], [[1.0], [1.0]], "confidence"),
    ],
    ids=str,
)
def test_risk_of_what_does_not_belong_together(y_true, y_pred, confidence, message):
    with pytest.raises(ValueError, match=message):
        risk_coverage(y_true, y_pred, confidence)
