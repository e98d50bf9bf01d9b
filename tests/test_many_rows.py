"""Everything that has an index, where graph and lists are made at once."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from knngraph import (
    KNNGraphClassifier,
    KNNGraphClassifierCV,
    KNNGraphTransformer,
    knn_adjacency,
)
from knngraph.baselines import HNSWKNNClassifier
from knngraph.graph import order as of_nodes
from knngraph.index import build
from knngraph.index.exact import ExactIndex
from knngraph.index.hnsw import HNSWIndex
from knngraph.inspection import neighborhood_fidelity

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::knngraph.exceptions.LookupAgreementWarning",
    ),
    pytest.mark.usefixtures("few_are_many"),
]


@pytest.fixture
def few_are_many(monkeypatch):
    """Some hundred rows are many."""
    monkeypatch.setattr(build, "FEWEST_POINTS", 700)
    monkeypatch.setattr(of_nodes, "RANDOM_HEAD", 200)


@pytest.fixture
def only_inserted(monkeypatch):
    """A call after which no number of rows is many."""
    return lambda: monkeypatch.setattr(build, "FEWEST_POINTS", 10**9)


def made(n, seed, copies=0):
    random = np.random.default_rng(seed)
    centers = np.random.default_rng(0).normal(scale=2.0, size=(30, 6))
    cluster = random.integers(30, size=n)
    X = centers[cluster] + random.normal(size=(n, 6))
    y = cluster % 4
    if copies:
        X, y = np.concatenate([X, X[:copies]]), np.concatenate([y, y[:copies]])
    return X, np.array(list("abcd"))[y]


X, y = made(1500, 1, copies=60)
Q, y_of_Q = made(400, 2)


def test_every_inference_answers_as_well(only_inserted):
    settings = {"random_state": 0, "support": "local", "metric": "euclidean"}
    model = KNNGraphClassifier(inference="cascade", **settings).fit(X, y)
    assert isinstance(model._model.rows.index, HNSWIndex)
    only_inserted()
    inserted = KNNGraphClassifier(inference="cascade", **settings).fit(X, y)
    for inference in ("lookup", "adaptive", "cascade"):
        for walk in ("hnsw", "medoids"):
            ways = {"inference": inference, "walk": walk, "ef": 16}
            score = model.set_params(**ways).score(Q, y_of_Q)
            assert score > inserted.set_params(**ways).score(Q, y_of_Q) - 0.02
    assert_array_equal(model.kneighbors(X[:50])[1][:, 0], np.arange(50))
    assert abs(model.loo_score_ - inserted.loo_score_) < 0.01


@pytest.mark.parametrize("metric", ["learned", "auto", "trees", "cosine"])
def test_left_out_rows_follow_the_nodes(metric, only_inserted):
    one = KNNGraphClassifier(metric=metric, inference="adaptive", support="local")
    one.fit(X, y)
    only_inserted()
    other = KNNGraphClassifier(metric=metric, inference="adaptive", support="local")
    other.fit(X, y)
    assert one.metric_ == other.metric_
    assert abs(one.score(None, y) - other.score(None, y)) < 0.01
    assert np.mean(one.predict(Q) == other.predict(Q)) > 0.97


def test_exact_support_is_exact(only_inserted):
    one = KNNGraphClassifier(support="exact", metric="euclidean").fit(X, y)
    neighbors = one._model.rows.neighbors
    points = one._model.training.points
    exact, _ = ExactIndex(points).nearest(points, 5)
    assert_array_equal(neighbors.ids[:, :4], exact[:, 1:])
    only_inserted()
    other = KNNGraphClassifier(support="exact", metric="euclidean").fit(X, y)
    assert_array_equal(one.labels_, other.labels_)
    np.testing.assert_allclose(one.margin_, other.margin_, atol=1e-9)


def test_a_seed_and_none_build_alike_with_any_number_of_threads():
    settings = {"support": "local", "metric": "euclidean", "inference": "cascade"}
    models = [
        KNNGraphClassifier(n_jobs=n_jobs, random_state=seed, **settings).fit(X, y)
        for n_jobs, seed in [(1, 3), (2, 3), (3, 3), (1, None), (2, None)]
    ]
    dumps = [pickle.dumps((m._model.rows, m.predict_proba(Q))) for m in models]
    assert dumps[0] == dumps[1] == dumps[2]
    assert dumps[3] == dumps[4]
    parts = [model._model.rows.index.parts() for model in models]
    # A seed orders the nodes; it builds no other way.
    shapes = {part.links.shape for part in parts}
    assert len(shapes) == 1


def test_the_order_of_the_rows_changes_nothing():
    shuffled = np.random.default_rng(0).permutation(len(X))
    settings = {"support": "local", "metric": "euclidean", "random_state": 0}
    one = KNNGraphClassifier(**settings).fit(X, y)
    other = KNNGraphClassifier(**settings).fit(X[shuffled], y[shuffled])
    assert_array_equal(one.labels_[shuffled], other.labels_)
    # The median and the mean of the columns round differently.
    assert np.mean(one.predict(Q) == other.predict(Q)) > 0.995


def test_chosen_settings():
    model = KNNGraphClassifierCV(
        metric="euclidean", support="local", neighbor_counts=[8, 16], random_state=0
    )
    assert model.fit(X, y).score(Q, y_of_Q) > 0.6
    assert pickle.loads(pickle.dumps(model)).score(Q, y_of_Q) == model.score(Q, y_of_Q)


def test_plain_search_by_hnsw(only_inserted):
    one = HNSWKNNClassifier(random_state=0).fit(X, y)
    assert isinstance(one.index_, HNSWIndex)
    only_inserted()
    other = HNSWKNNClassifier(random_state=0).fit(X, y)
    assert np.mean(one.predict(Q) == other.predict(Q)) > 0.99


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_lists_of_a_plain_graph_take_no_links(mode, monkeypatch):
    monkeypatch.delattr(build, "link_rows")
    graph = knn_adjacency(X, 7, mode=mode, algorithm="hnsw", n_jobs=2)
    exact = knn_adjacency(X, 7, mode=mode, algorithm="exact")
    by_length = [np.sort(g.data.reshape(-1, 7), axis=1) for g in (graph, exact)]
    assert np.isclose(*by_length, rtol=1e-4, atol=1e-6).mean() > 0.99
    again = knn_adjacency(X, 7, mode=mode, algorithm="hnsw")
    assert (graph != again).nnz == 0


def test_lists_that_miss_too_much_are_searched(monkeypatch):
    monkeypatch.setattr("knngraph.adjacency.recall_of_lists", lambda *_: 0.5)
    graph = knn_adjacency(X, 7, algorithm="hnsw")
    exact = knn_adjacency(X, 7, algorithm="exact")
    assert graph.multiply(exact).sum() > 0.99 * exact.nnz


@pytest.mark.parametrize("method", ["knn", "learned"])
def test_graph_for_other_estimators(method, only_inserted):
    settings = {"method": method, "algorithm": "hnsw", "n_neighbors": 8}
    one = KNNGraphTransformer(**settings)
    graph = one.fit_transform(X)
    assert one.recall_ > 0.99
    only_inserted()
    other = KNNGraphTransformer(**settings)
    expected = other.fit_transform(X)
    assert abs(graph - expected).sum() < 0.03 * abs(expected).sum()
    new = one.transform(Q)
    assert abs(new - other.transform(Q)).sum() < 0.03 * abs(new).sum()


def test_fidelity_is_that_of_the_graph_of_a_fit():
    found = neighborhood_fidelity(
        X, k=[10], ef=[16, 64], n_queries=150, metric="cosine"
    )
    assert found.n_points >= 700
    assert found.overlap[1, 0] > 0.97


@pytest.mark.usefixtures("engine")
def test_rows_come_and_go():
    model = KNNGraphClassifier(
        inference="adaptive", support="local", metric="euclidean", random_state=0
    ).fit(X[:1200], y[:1200])
    model.partial_fit(X[1200:1300], y[1200:1300])
    assert_array_equal(model.kneighbors(X[1200:1300])[1][:, 0], np.arange(1200, 1300))
    training = model._model.training
    assert_array_equal(training.points[:200], by_hash(model)[:200])
    model.forget(np.arange(50))
    found = model.kneighbors(X[50:100])[1][:, 0]
    assert_array_equal(found, np.arange(50))
    fresh = KNNGraphClassifier(
        inference="adaptive", support="local", metric="euclidean", random_state=0
    ).fit(X[50:1300], y[50:1300])
    assert np.mean(model.predict(Q) == fresh.predict(Q)) > 0.98


def by_hash(model):
    """The nodes in random order."""
    from knngraph.graph.training_set import row_hashes

    points = model._model.training.points
    return points[np.argsort(row_hashes(points, model._model.settings.seed))]


@pytest.mark.parametrize("change", ["grown", "removed"])
def test_what_is_built_anew_is_that_of_a_fresh_fit(change):
    settings = {"support": "local", "metric": "euclidean", "random_state": 0}
    rows, labels = made(2600, 5)
    n_before, kept = (
        (1000, slice(0, 2600)) if change == "grown" else (2600, slice(0, 1500))
    )
    model = KNNGraphClassifier(inference="adaptive", **settings)
    model.fit(rows[:n_before], labels[:n_before])
    if change == "grown":
        model.partial_fit(rows[n_before:], labels[n_before:])
    else:
        model.forget(np.arange(1500, 2600))
    model.predict(Q)
    found = model._model.rows
    index = build.build_graph(found.training.points, found.neighbors.ids.shape[1])
    assert (found.neighbors.ids == index.ids).mean() > 0.99
    assert_array_equal(found.index.parts().links.shape, index.index.parts().links.shape)
    fresh = KNNGraphClassifier(inference="adaptive", **settings)
    fresh.fit(rows[kept], labels[kept])
    assert np.mean(model.predict(Q) == fresh.predict(Q)) > 0.98


def test_condensed_files_and_predictors(tmp_path):
    model = KNNGraphClassifier(
        ef="auto", support="local", metric="euclidean", random_state=0
    ).fit(X, y)
    answers = model.predict(Q)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict(Q), answers)
    one, other = (m._model.rows.index.parts() for m in (model, again))
    assert one.links.tobytes() == other.links.tobytes()
    predictor = model.to_predictor()
    assert_array_equal(predictor.predict(Q), answers)
    small = model.condense(tolerance=0.05)
    assert small.score(Q, y_of_Q) > model.score(Q, y_of_Q) - 0.1


HOSTILE = {
    "near copies": lambda random: (
        np.repeat(random.normal(size=(300, 4)), 5, axis=0)
        + 1e-6 * random.normal(size=(1500, 4))
    ),
    "outliers": lambda random: random.standard_cauchy(size=(1500, 4)) ** 3,
    "one column": lambda random: random.normal(size=(1500, 1)),
    "a line": lambda random: np.arange(1500.0)[:, None] * np.ones(3),
    "few values": lambda random: random.integers(12, size=(3000, 3)).astype(float),
    "one far cluster": lambda random: (
        random.normal(size=(1500, 3)) + 1e4 * (np.arange(1500) < 20)[:, None]
    ),
    "many columns": lambda random: random.normal(size=(900, 300)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_rows(kind, only_inserted):
    rows = HOSTILE[kind](np.random.default_rng(3))
    labels = (rows[:, 0] > np.median(rows[:, 0])).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = KNNGraphClassifier(support="local", metric="euclidean")
        model.fit(rows, labels)
        again = KNNGraphClassifier(support="local", metric="euclidean", n_jobs=2)
        again.fit(rows, labels).set_params(inference="cascade")
        model.set_params(inference="cascade")
        assert_array_equal(again.predict_proba(rows), model.predict_proba(rows))
        only_inserted()
        inserted = KNNGraphClassifier(support="local", metric="euclidean")
        inserted.fit(rows, labels)
        for inference in ("lookup", "adaptive", "cascade"):
            scores = [
                m.set_params(inference=inference).score(rows, labels)
                for m in (model, inserted)
            ]
            assert scores[0] > scores[1] - 0.03
