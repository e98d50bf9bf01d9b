"""Hard data for every public estimator: the right answer, or a clear refusal."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.multioutput import MultiOutputClassifier

from knngraph import KNNGraphClassifier
from knngraph.exceptions import KNNGraphWarning
from knngraph.missing import fit_missing
from tests.commands.pages import Page
from tests.hostile import (
    ALL_ESTIMATORS,
    CASES,
    GRAPHS,
    PREDICT_OPTIONS,
    REFUSALS,
    TRANSFORMERS,
    clusters,
)

EXPLAINED = ("graph local", "graph auto", "graph trees")
_COMPARED = "answers to hard data, compared with the right ones"
_FINITE = "answers to hard data, finite and of known classes"


def labels_of_nearest(X, y, queries):
    """Label of the nearest row, by extended precision and one row at a time."""
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=np.longdouble)
    queries = queries.toarray() if hasattr(queries, "toarray") else queries
    labels = []
    for query in np.asarray(queries, dtype=np.longdouble):
        squared = ((X - query) ** 2).sum(axis=1)
        nearest = np.asarray(y)[squared == squared.min()]
        values, counts = np.unique(nearest, return_counts=True)
        labels.append(values[counts.argmax()])
    return np.array(labels)


def _as_numbers(rows):
    dense = rows.toarray() if hasattr(rows, "toarray") else rows
    return pd.DataFrame(dense).astype(float).to_numpy()


# Scores of ten thousand classes, left out, and maps of so many columns.
_MINUTES = "10000 classes", "a billion sparse columns"


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"a billion sparse columns"}))
def test_the_table_holds_the_right_answers(name):
    data = CASES[name].make()
    if name == "100000 sparse columns":
        data = data.mapped(lambda rows: rows[:, rows.sum(axis=0).nonzero()[0]])
    if name.startswith("gaps"):
        data = data.mapped(_as_numbers)
        data = data.mapped(fit_missing(data.X)[0].filled)
    expected = labels_of_nearest(data.X, data.y, data.queries)
    np.testing.assert_array_equal(data.answers, expected)


def votes_of_graph(graph, y):
    """Labels and shares that the weights of a transformed graph vote for."""
    classes, codes = np.unique(y, return_inverse=True)
    shares = np.zeros((graph.shape[0], len(classes)))
    rows = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr))
    np.add.at(shares, (rows, codes[graph.indices]), graph.data)
    total = shares.sum(axis=1, keepdims=True)
    return classes[shares.argmax(axis=1)], shares / np.where(total > 0, total, 1.0)


def check_novelty(who, model, data):
    """Scores are numbers and p-values shares, whatever the rows."""
    scores, pvalues = model.novelty_score(data.queries), model.novelty_pvalue(data.X)
    assert np.isfinite(scores).all(), who
    assert (scores >= 0.0).all(), who
    assert ((pvalues > 0.0) & (pvalues <= 1.0)).all(), who
    assert len(model.is_novel(data.queries, 0.5)) == len(scores), who
    return scores


def check_sets(who, model, data, shares):
    """Sets hold the likeliest class and grow as alpha falls, whatever the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KNNGraphWarning)  # of few rows
        small, large = (model.predict_set(data.queries, alpha) for alpha in (0.4, 0.1))
        by_class = model.predict_set(data.queries, 0.4, per_class=True)
    rows, first = np.arange(len(shares)), shares.argmax(axis=1)
    for sets in (small, by_class):
        assert sets.shape == shares.shape, who
        assert sets[rows, first].all(), who
    assert (large | ~small).all(), who
    return small


def check_answers(who, model, data, labels, shares, scores, sets):
    """One search says what all methods say, whatever the rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", KNNGraphWarning)  # of few rows
        found = model.answer(data.queries, 0.4)
    assert_array_equal(found.labels, labels, err_msg=who)
    assert_array_equal(found.probabilities, shares, err_msg=who)
    assert_array_equal(found.novelty_score, scores, err_msg=who)
    assert_array_equal(found.sets, sets, err_msg=who)


def check_card(who, model, data, labels):
    """The card of an answer is a page that does nothing, whatever the rows."""
    (said,) = model.explain(data.queries[:1])
    assert said.predicted == labels[0], who
    page = Page(said.to_html(given=data.answers[0]))
    page.check_harmless()
    assert "Rows behind the answer" in page.texts, who


def check_valid(who, labels, shares, y):
    assert np.isfinite(shares).all(), who
    assert (shares >= 0.0).all(), who
    assert set(labels) <= set(np.asarray(y).tolist()), who
    assert len(labels) == len(shares), who


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.slow if case in _MINUTES else ())
        for case in CASES
    ],
)
def test_right_or_refused(case, tried):
    wanted = CASES[case]
    data = wanted.make()
    wrong = []
    for name in ALL_ESTIMATORS:
        if name not in wanted.only:
            continue
        model = ALL_ESTIMATORS[name](**(wanted.settings or {}).get(name, {}))
        with warnings.catch_warnings():
            # Few rows are hard to search, and methods may warn of it.
            warnings.simplefilter("ignore", KNNGraphWarning)
            warnings.filterwarnings("ignore", message="The number of unique classes")
            message = (wanted.refused or {}).get(name)
            try:
                model.fit(data.X, data.y)
                assert message is None or name in wanted.valid, name
            except (ValueError, TypeError) as refusal:
                if not message or not re.search(
                    message, " ".join(str(refusal).split())
                ):
                    raise
                tried["inputs refused with the reason"] += 1
                continue
            for who, labels, shares in all_answers(name, model, data):
                check_valid(who, labels, shares, data.y)
                if name in wanted.valid:
                    tried[_FINITE] += len(labels)
                    continue
                if list(labels) != list(data.answers):
                    wrong.append((who, np.mean(labels == data.answers)))
                tried[_COMPARED] += len(labels)
    assert not wrong


def all_answers(name, model, data):
    """Name, labels and shares of all that a fitted estimator answers."""
    if name in TRANSFORMERS:
        yield (name, *votes_of_graph(model.transform(data.queries), data.y))
        return
    for inference, settings in (
        PREDICT_OPTIONS.items() if name in GRAPHS else [("", {})]
    ):
        model.set_params(**settings)
        shares = model.predict_proba(data.queries)
        assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-9, err_msg=name)
        labels = model.predict(data.queries)
        yield f"{name} {inference}", labels, shares
        if name in GRAPHS:
            predictor = model.to_predictor()
            assert_array_equal(predictor.predict(data.queries), labels, err_msg=name)
            assert_array_equal(predictor.predict_proba(data.queries), shares)
            scores = check_novelty(name, model, data)
            sets = check_sets(name, model, data, shares)
            assert_array_equal(check_sets(name, predictor, data, shares), sets)
            assert_array_equal(predictor.novelty_score(data.queries), scores)
            said = labels, shares, scores, sets
            check_answers(name, model, data, *said)
            check_answers(name, predictor, data, *said)
            if inference in ("adaptive", "cascade") and name in EXPLAINED:
                check_card(name, model, data, labels)
            yield f"predictor of {name} {inference}", labels, shares
    if name == "graph exact":
        small = model.set_params(inference="lookup").condense()
        shares = small.predict_proba(data.queries)
        check_novelty("condensed", small, data)
        yield "condensed", small.predict(data.queries), shares


# Those that come in parts must be cut: every kind of number, order and array.
_IN_PARTS = [
    "plain",
    "offset 1e8",
    "offset -3e9",
    "scale 1e-30",
    "scale 1e30",
    "scale 1e-300",
    "scale 1e300",
    "subnormal",
    "mixed scales",
    "constant columns",
    "one feature",
    "sorted by class",
    "an isolated row, alone in its class",
    "all rows equal",
    "one class",
    "20 copies with conflicting labels",
    "reversed",
    "memory-mapped",
    "float32",
    "CSR",
    "gaps",
    "gaps, offset 1e8",
    "gaps, CSR",
]


@pytest.mark.parametrize("name", ["graph local", "graph trees"])
@pytest.mark.parametrize("case", _IN_PARTS)
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.KNNGraphWarning")
def test_right_where_rows_come_in_parts_and_some_go(case, name, tried):
    if name in CASES[case].valid:
        return
    data = CASES[case].make()
    half = data.X.shape[0] // 2
    model = GRAPHS[name](ef=256)
    model.partial_fit(data.X[:half], data.y[:half], classes=np.unique(data.y))
    model.partial_fit(data.X, data.y).forget(np.arange(half))
    for inference in ("lookup", "adaptive", "cascade"):
        model.set_params(inference=inference)
        check_valid(
            case, model.predict(data.queries), model.predict_proba(data.queries), data.y
        )
        assert_array_equal(model.predict(data.queries), data.answers, err_msg=inference)
        tried[_COMPARED] += len(data.answers)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0.0, 1.0, np.nan], "classes=.* contains NaN. Name every class once"),
        ([0, "a"], "classes=.* Mix of label input types .*Name every class once"),
        (3, "classes=3 is no list of classes"),
        ([[0, 1, 2, 3]], "classes=.* is no list of classes"),
        (["a", None], "classes=.* is no list of classes"),
        ([], "classes is empty: name every class"),
    ],
    ids=str,
)
def test_classes_refused_by_name(classes, message, tried):
    data = clusters()
    fresh, fitted = KNNGraphClassifier(), KNNGraphClassifier(ef=16, random_state=0)
    fitted.fit(data.X, data.y)
    for model in (fresh, fitted):
        with pytest.raises((ValueError, TypeError), match=message):
            model.partial_fit(data.X, data.y, classes=classes)
        tried["inputs refused with the reason"] += 1
    assert not hasattr(fresh, "n_features_in_")


def test_several_outputs_are_refused_for_rows_that_come_later():
    data = clusters()
    fresh, fitted = KNNGraphClassifier(), KNNGraphClassifier(ef=16, random_state=0)
    fitted.fit(data.X, data.y)
    two = np.column_stack([data.y, data.y])
    for model in (fresh, fitted):
        for y in (two, sparse.csr_matrix(two), sparse.csr_matrix(two[:, :1])):
            with pytest.raises(ValueError, match="MultiOutputClassifier"):
                model.partial_fit(data.X, y, classes=np.unique(data.y))
    # What the message names works.
    several = MultiOutputClassifier(fitted).fit(data.X, two)
    assert_array_equal(several.predict(data.X)[:, 1], fitted.predict(data.X))


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_by_name(case, tried):
    if case == "labels as bytes" and sklearn.__version__.startswith("1.6."):
        pytest.skip("scikit-learn takes them, with a warning, before 1.7")
    wanted = REFUSALS[case]
    data = clusters()
    for name in ALL_ESTIMATORS:
        if name not in wanted.only:
            continue
        model = ALL_ESTIMATORS[name]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KNNGraphWarning)
            if wanted.queries is not None:
                model.fit(data.X, data.y)
                ask = model.transform if name in TRANSFORMERS else model.predict
                if name in GRAPHS:
                    for method in ("novelty_score", "predict_set", "answer", "explain"):
                        with pytest.raises((ValueError, TypeError)) as refusal:
                            getattr(model, method)(wanted.queries(data.queries))
                        message = " ".join(str(refusal.value).split())
                        assert re.search(wanted.message, message), (method, message)
                with pytest.raises((ValueError, TypeError)) as refusal:
                    ask(wanted.queries(data.queries))
            else:
                with pytest.raises((ValueError, TypeError)) as refusal:
                    model.fit(wanted.X(data.X), wanted.y(data.y))
                assert not hasattr(model, "n_features_in_"), name
        message = " ".join(str(refusal.value).split())
        assert re.search(wanted.message, message), (name, message)
        tried["inputs refused with the reason"] += 1
