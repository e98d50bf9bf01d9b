"""How rows to be forgotten are named, and that nothing of them is left."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError

from knngraph import KNNGraphClassifier
from knngraph.updating.change import REBUILD_SHARE
from tests.updating.fresh import WIDE, assert_same_answers


def classifier(**parameters):
    settings = {"metric": "euclidean", "ef": WIDE, "random_state": 0}
    return KNNGraphClassifier(**settings | parameters)


@pytest.mark.parametrize(
    "indices",
    [
        [1, 5, 239],
        [5, 1, -1],
        (1, 5, 5, 239, -1),
        np.array([1, 5, 239], dtype=np.uint8),
        np.isin(np.arange(240), [1, 5, 239]),
        np.isin(np.arange(240), [1, 5, 239]).tolist(),
    ],
    ids=["list", "negative", "twice", "unsigned", "mask", "list of bools"],
)
def test_ways_to_name_rows(blobs, indices):
    X, y = blobs
    model = classifier().fit(X, y).forget(indices)
    by_number = classifier().fit(X, y).forget([239]).forget(1).forget(4)
    assert_same_answers(model, by_number, X)
    assert_array_equal(model.suspect_labels().given.shape, (237,))


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([240], ValueError, "indices holds 240, .* 240 rows: .* from -240 to 239"),
        ([0, -241], ValueError, "indices holds -241"),
        ([True, False], ValueError, "mask of 2 values"),
        ([1.0], TypeError, "integers or a mask"),
        (["1"], TypeError, "integers or a mask"),
        ([[1], [2]], ValueError, r"one-dimensional, got an array of shape \(2, 1\)"),
        (np.arange(240), ValueError, "all 240 rows"),
        (np.ones(240, dtype=bool), ValueError, "all 240 rows"),
    ],
)
def test_what_is_refused_changes_nothing(blobs, indices, error, message):
    model = classifier().fit(*blobs)
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.forget(indices)
    assert all(vars(model)[name] is value for name, value in before.items())


def test_nothing_to_forget(blobs):
    model = classifier().fit(*blobs)
    before = dict(vars(model))
    model.forget([]).forget(np.zeros(240, dtype=bool))
    assert vars(model) == before


def test_before_fit():
    with pytest.raises(NotFittedError):
        classifier().forget(0)


def test_rows_close_up(blobs):
    X, y = blobs
    model = classifier().fit(X[:100], y[:100]).partial_fit(X[100:], y[100:])
    model.forget([0, 150])
    kept = np.delete(np.arange(240), [0, 150])
    rows = [explanation.row for explanation in model.explain(X[[1, 149, 151]])]
    assert_array_equal(kept[rows], [1, 149, 151])
    assert_array_equal(
        model.suspect_labels().given, y[kept[model.suspect_labels().rows]]
    )


def test_a_class_without_rows_stays_and_may_come_back(blobs):
    X, y = blobs
    model = classifier().fit(X, y).forget(y == 2)
    assert_array_equal(model.classes_, [0, 1, 2, 3])
    for inference in ("lookup", "adaptive", "cascade"):
        assert 2 not in model.set_params(inference=inference).predict(X)
    model.partial_fit(X[y == 2], y[y == 2])
    assert 2 in model.predict(X)


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
@pytest.mark.parametrize("ef", [None, 1, "auto"])
@pytest.mark.filterwarnings("ignore::knngraph.exceptions.LookupAgreementWarning")
def test_no_search_ends_at_a_forgotten_row(inference, ef):
    # One class is forgotten: an answer from it would show.
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 3))
    y = np.repeat(["gone", "stays"], [80, 320])
    model = classifier(inference=inference, ef=ef, support="local").fit(X, y)
    model.forget(np.arange(80))
    assert (
        model._model.rows.index.n_places > model._model.rows.index.n_points
    )  # marked only
    queries = np.concatenate([X, random.normal(size=(200, 3))])
    assert set(model.predict(queries)) == {"stays"}
    assert model.predict_proba(queries)[:, 0].max() < 0.05
    assert model.graph_.shape == (320, 320)
    assert set(model.labels_) == {"stays"}


@pytest.mark.usefixtures("engine")
def test_the_index_is_built_anew_from_the_documented_share_on(blobs):
    X, y = blobs
    model = classifier().fit(X, y)
    few = int(REBUILD_SHARE * len(y))
    model.forget(np.arange(few))
    assert model._model.rows.index.n_places == len(y)
    model.forget(0)
    assert model._model.rows.index.n_places == len(y) - few - 1
    assert_same_answers(model, classifier().fit(X, y).forget(np.arange(few + 1)), X)


def test_copies_of_a_row_go_one_by_one():
    X = np.repeat([[0.0, 0.0], [3.0, 3.0], [6.0, 0.0]], 3, axis=0)
    y = np.array([0, 0, 1, 1, 1, 0, 2, 2, 2])
    model = classifier().fit(X, y)
    assert model.predict([[0.0, 0.0]]) == [0]
    model.forget([0, 1])
    assert model.predict([[0.0, 0.0]]) == [1]
    assert model._model.training.n_nodes == 3
    model.forget(0)
    assert model._model.training.n_nodes == 2
    assert model.predict([[0.0, 0.0]]) == [1]  # of the next node
    model.partial_fit([[0.0, 0.0]], [2])
    assert model.predict([[0.0, 0.0]]) == [2]
