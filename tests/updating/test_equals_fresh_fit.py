"""After any adds and removals a model answers like one fitted on the same rows."""

import pickle
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from tests.updating.fresh import (
    INFERENCES,
    WIDE,
    Rows,
    assert_same_answers,
    assert_same_attributes,
    fit_anew,
    no_map,
)

CLASSES = np.array(["a", "b", "c"])
_LIKE_FRESH = "operations on changing models: answers are those of a fresh fit"
QUICK = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow],
}


def draw_rows(random, n_rows, existing=None):
    """Overlapping classes; some rows on a grid, some copies of existing rows."""
    codes = random.integers(0, 3, n_rows)
    X = random.normal(size=(n_rows, 3)) + codes[:, None]
    X = np.where(random.random(n_rows)[:, None] < 0.3, X.round(), X)
    if existing is not None:
        copies = random.random(n_rows) < 0.3
        X[copies] = existing[random.integers(0, len(existing), copies.sum())]
    return X, CLASSES[codes]


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["add", "forget", "look", "lookup", "adaptive", "pickle"]),
        st.integers(1, 12),
    ),
    min_size=1,
    max_size=10,
)


def carry_out(model, rows, operations, random, queries):
    """Change the model and the plain rows alike."""
    for operation, size in operations:
        if operation == "add":
            X, y = draw_rows(random, size, rows.X)
            model.partial_fit(X, y)
            rows.add(X, y)
        elif operation == "forget":
            size = min(size, len(rows.y) - 1)
            gone = random.choice(len(rows.y), size, replace=False)
            model.forget(gone)
            rows.forget(gone)
        elif operation == "pickle":
            model = pickle.loads(pickle.dumps(model))
        elif operation == "look":
            assert model.graph_.shape == (len(rows.y), len(rows.y))
        else:
            model.set_params(inference=operation).predict(queries)
    return model


@settings(max_examples=25, **QUICK)
@given(
    seed=st.integers(0, 2**32 - 1),
    n_rows=st.integers(1, 60),
    metric=st.sampled_from(["euclidean", "trees"]),
    bandwidth=st.sampled_from(["median", "neighbors", 1.5]),
    query_bandwidth=st.sampled_from(["neighbors", "local", 0.7]),
    operations=OPERATIONS,
)
def test_exact_search_to_the_last_bit(
    seed, n_rows, metric, bandwidth, query_bandwidth, operations, tried
):
    random = np.random.default_rng(seed)
    rows = Rows(*draw_rows(random, n_rows))
    model = KNNGraphClassifier(
        metric=metric,
        max_neighbors=8,
        bandwidth=bandwidth,
        query_bandwidth=query_bandwidth,
        ef=WIDE,
        random_state=0,
    )
    with mock.patch("knngraph.metric.place.choose_map", no_map):
        model.partial_fit(rows.X, rows.y, classes=CLASSES)
    queries = np.concatenate([draw_rows(random, 20)[0], rows.X[:5]])
    model = carry_out(model, rows, operations, random, queries).refresh()
    present = np.isin(CLASSES, rows.y)
    fresh = fit_anew(model, rows.X, rows.y)
    if present.all():
        assert_same_attributes(model, fresh)
        assert_same_answers(model, fresh, queries)
    else:
        # A class without rows stays, and wins nowhere.
        assert_array_equal(model.predict(queries), fresh.predict(queries))
        assert model.predict_proba(queries)[:, ~present].max() < 0.1
    tried[_LIKE_FRESH] += len(operations)


@settings(max_examples=15, **QUICK)
@given(seed=st.integers(0, 2**32 - 1), operations=OPERATIONS)
def test_local_support_up_to_rounding_of_distances(seed, operations, tried):
    # The graph measures a distance in single precision, a list that takes a new
    # row in is measured in double.
    random = np.random.default_rng(seed)
    # Off the grid: which of several equally far nodes is listed is open.
    rows = Rows(random.normal(size=(60, 3)), CLASSES[random.integers(0, 3, 60)])
    model = KNNGraphClassifier(
        metric="euclidean",
        max_neighbors=8,
        support="local",
        bandwidth=1.5,
        ef=WIDE,
        random_state=0,
    ).fit(rows.X, rows.y)
    queries = random.normal(size=(20, 3))
    for operation, size in operations:
        if operation == "forget":
            gone = random.choice(len(rows.y), min(size, len(rows.y) - 1), False)
            model.forget(gone)
            rows.forget(gone)
        elif operation == "add":
            X, y = random.normal(size=(size, 3)), CLASSES[random.integers(0, 3, size)]
            X[0] = rows.X[0]
            model.partial_fit(X, y)
            rows.add(X, y)
        else:
            model.set_params(inference="lookup").predict(queries)
    model.refresh()
    fresh = fit_anew(model, rows.X, rows.y)
    assert_allclose(model.density_, fresh.density_, atol=1e-6)
    assert_allclose(model.graph_.toarray(), fresh.graph_.toarray(), atol=1e-4)
    assert_array_equal(model.labels_, fresh.labels_)
    for inference in ("lookup", "adaptive"):
        model.set_params(inference=inference)
        fresh.set_params(inference=inference)
        assert_array_equal(model.predict(queries), fresh.predict(queries))
    tried[_LIKE_FRESH] += len(operations)


@settings(max_examples=15, **QUICK)
@given(
    seed=st.integers(0, 2**32 - 1),
    class_weight=st.sampled_from([None, "balanced"]),
    operations=OPERATIONS,
)
def test_local_support_without_a_refresh(seed, class_weight, operations, tried):
    # With every shared number given, what is solved, voted and listed again must be
    # all that has changed: near weights and copies too.
    random = np.random.default_rng(seed)
    # Large enough that no step is a twentieth of the rows.
    n_rows = 300
    weights = random.choice([0.5, 1.0, 2.0], n_rows)
    rows = Rows(random.normal(size=(n_rows, 3)), CLASSES[random.integers(0, 3, n_rows)])
    rows.X[:30] = rows.X[30:60]
    fixed = {"penalty_min": 0.3, "penalty_max": 0.3, "bandwidth": 1.5, "nugget": 0.05}
    model = KNNGraphClassifier(
        metric="euclidean",
        max_neighbors=8,
        support="local",
        query_bandwidth=1.0,
        vote="labels",
        class_weight=class_weight,
        ef=WIDE,
        random_state=0,
        **fixed,
    ).fit(rows.X, rows.y, sample_weight=weights)
    queries = random.normal(size=(20, 3))
    for operation, size in operations:
        if operation == "forget":
            gone = random.choice(len(rows.y), size, False)
            model.forget(gone)
            rows.forget(gone)
            weights = np.delete(weights, gone)
        elif operation == "add":
            X, y = random.normal(size=(size, 3)), CLASSES[random.integers(0, 3, size)]
            X[0] = rows.X[random.integers(len(rows.y))]
            came = random.choice([0.5, 1.0, 2.0], size)
            model.partial_fit(X, y, sample_weight=came)
            rows.add(X, y)
            weights = np.concatenate([weights, came])
        elif operation == "pickle":
            model = pickle.loads(pickle.dumps(model))
        else:
            inference = "adaptive" if operation == "adaptive" else "lookup"
            model.set_params(inference=inference).predict(queries)
    space = model._model.space
    with mock.patch("knngraph.metric.place.fit_space", return_value=space):
        fresh = clone(model).fit(rows.X, rows.y, sample_weight=weights)
    assert_allclose(model.graph_.toarray(), fresh.graph_.toarray(), atol=1e-4)
    assert_allclose(model.label_distribution_, fresh.label_distribution_, atol=1e-3)
    for inference in ("lookup", "adaptive"):
        model.set_params(inference=inference)
        fresh.set_params(inference=inference)
        assert_array_equal(model.predict(queries), fresh.predict(queries))
    tried[_LIKE_FRESH] += len(operations)


@pytest.mark.parametrize("seed", range(3))
def test_a_fit_of_the_users_own_answers_the_same(seed):
    # It centers anew: up to rounding of the rows to single precision.
    random = np.random.default_rng(seed)
    X, codes = random.normal(size=(300, 3)), random.integers(0, 3, 300)
    X += codes[:, None]
    plain = KNNGraphClassifier(metric="euclidean", ef=WIDE, random_state=0)
    model = clone(plain).fit(X[:150], codes[:150])
    model.partial_fit(X[150:], codes[150:])
    gone = random.choice(300, 100, replace=False)
    model.forget(gone)
    fresh = clone(plain)
    fresh.fit(np.delete(X, gone, axis=0), np.delete(codes, gone))
    queries = random.normal(size=(200, 3)) + 1
    for inference in INFERENCES:
        model.set_params(inference=inference)
        fresh.set_params(inference=inference)
        assert_array_equal(model.predict(queries), fresh.predict(queries))


def test_a_model_that_tunes_itself_keeps_its_settings():
    random = np.random.default_rng(5)
    X, codes = random.normal(size=(120, 3)), random.integers(0, 2, 120)
    X += codes[:, None]
    model = KNNGraphClassifierCV(metric="euclidean", ef=WIDE, random_state=0)
    model.fit(X[:80], codes[:80])
    chosen = dict(model.best_params_)
    model.partial_fit(X[80:], codes[80:]).forget([0, 1, 2])
    assert model.best_params_ == chosen
    plain = KNNGraphClassifier(
        inference="adaptive",
        metric="euclidean",
        ef=WIDE,
        random_state=0,
        **chosen,
    ).fit(X[3:], codes[3:])
    queries = random.normal(size=(100, 3))
    assert_array_equal(model.predict(queries), plain.predict(queries))


def test_trees_stay(blobs):
    X, y = blobs
    model = KNNGraphClassifier(metric="trees", ef=WIDE, random_state=0)
    forest = model.fit(X[:120], y[:120])._model.space.trees
    n_nodes = model._model.training.n_nodes
    # Copies land on the nodes of their rows, whatever their label; others do not.
    model.partial_fit(X[:100], y[99::-1])
    assert model._model.training.n_nodes == n_nodes
    model.partial_fit(X[120:], y[120:])
    assert model._model.training.n_nodes == n_nodes + len(X) - 120
    model.forget(np.arange(120))
    assert model._model.space.trees is forest
    distances, _ = model.kneighbors(X, 1)
    assert (distances[:100] == 0.0).all()
    assert (distances[120:] == 0.0).all()


def test_a_learned_map_stays(blobs):
    X, y = blobs
    model = KNNGraphClassifier(
        metric="learned", inference="adaptive", ef=WIDE, random_state=0
    ).fit(X[:120], y[:120])
    linear = model._model.space.linear
    model.partial_fit(X[120:], y[120:])
    assert_array_equal(model._model.space.linear, linear)
    # On rows mapped by hand a plain model says the same.
    plain = KNNGraphClassifier(
        inference="adaptive", metric="euclidean", ef=WIDE, random_state=0
    )
    mapped = (X - model._model.space.center) @ linear
    assert_array_equal(model.predict(X), plain.fit(mapped, y).predict(mapped))


def test_exact_and_local_support_change_places(monkeypatch):
    monkeypatch.setattr("knngraph.classifier.EXACT_SUPPORT_LIMIT", 80)
    random = np.random.default_rng(2)
    rows = Rows(*draw_rows(random, 60))
    queries = draw_rows(random, 20)[0]
    model = KNNGraphClassifier(
        metric="euclidean", ef=WIDE, max_neighbors=8, random_state=0
    )
    model.fit(rows.X, rows.y)
    more = draw_rows(random, 60)
    model.partial_fit(*more)
    rows.add(*more)
    assert not model._model.rows.exact
    model.forget(np.arange(50))
    rows.forget(np.arange(50))
    assert model._model.rows.exact
    fresh = fit_anew(model, rows.X, rows.y)
    assert_same_attributes(model, fresh)
    assert_same_answers(model, fresh, queries)
