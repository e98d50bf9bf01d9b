"""What a user gets: `KNNGraphClassifier(inference="adaptive")` compares rows by what
the labels say, where that wins on held-out rows, and a lookup stays as it was."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.datasets import make_classification

import knngraph.inference.adaptive as adaptive
import knngraph.inference.candidates as candidates
from knngraph import KNNGraphClassifier
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import QueryProblem, candidate_votes
from knngraph.inference.leave_one_out import leave_one_out
from knngraph.lens import BlindLenses, Lens
from knngraph.metric.choose_lens import choose_lens
from tests.reference import neighbors_sigma, query_votes

PROBLEM = QueryProblem(12, 1.0, 0.3, 0.02)


def worded(n, seed, n_useless=10):
    """Two columns that tell three classes, and others that tell nothing."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2 + n_useless))
    y = np.digitize(X[:, 0] + np.sin(2.0 * X[:, 1]), [-0.6, 0.6])
    return X, y


@pytest.fixture(scope="module")
def worded_model():
    X, y = worded(600, seed=0)
    return KNNGraphClassifier(inference="adaptive", ef=300, random_state=0).fit(X, y)


def some_lens(points, seed=0):
    directions = np.random.default_rng(seed).normal(size=(points.shape[1], 2))
    return Lens.over(points, directions, floor=0.3)


def as_map(lens):
    """The linear map whose distances the lens has."""
    square = lens.floor * np.eye(len(lens.directions))
    return np.linalg.cholesky(square + lens.directions @ lens.directions.T)


def test_candidates_and_votes_are_those_of_mapped_rows():
    X, y = worded(160, seed=1, n_useless=3)
    X = X.astype(np.float32)
    X[40:80] = X[:40]  # copies, some of them with other labels
    training = build_training_set(X[:150], y[:150], 3)
    lens = some_lens(training.points)
    # The lens sees all rows, so that it misses none.
    n_nodes = training.n_nodes
    problem = QueryProblem(n_nodes, 1.5, 0.3, 0.02, lens)
    ids, squared = candidates.search_candidates(
        ExactIndex(training.points), X[150:], problem
    )
    linear = as_map(lens)
    away = cdist(X[150:] @ linear, training.points @ linear, "sqeuclidean")
    assert_array_equal(ids, np.argsort(away, axis=1, kind="stable"))
    assert_allclose(squared, np.sort(away, axis=1), rtol=1e-4)
    votes = candidate_votes(training, ids, squared, problem)
    expected = [
        query_votes(X[:150] @ linear, y[:150], [0, 1, 2], q, n_nodes, sigma=1.5)
        for q in X[150:] @ linear
    ]
    assert_allclose(votes, expected, atol=1e-5)


def test_twice_as_many_rows_are_searched(random):
    points = random.normal(size=(200, 4)).astype(np.float32)
    queries = random.normal(size=(20, 4)).astype(np.float32)
    lens = some_lens(points)
    ids, squared = candidates.search_candidates(
        ExactIndex(points), queries, QueryProblem(12, 1.0, 0.3, 0.02, lens)
    )
    linear = as_map(lens)
    for query, found, distances in zip(queries, ids, squared):
        around = np.argsort(((points - query) ** 2).sum(axis=1))[:24]
        away = (((points[around] - query) @ linear) ** 2).sum(axis=1)
        order = np.argsort(away)[:12]
        assert_array_equal(found, around[order])
        assert_allclose(distances, away[order], rtol=1e-4)


def test_bandwidth_is_that_of_mapped_rows():
    X, y = worded(130, seed=2, n_useless=2)
    X[100:] = X[:30]  # copies count as rows at distance zero
    training = build_training_set(X.astype(np.float32), y, 3)
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_counts(), 120
    )
    lens = some_lens(training.points)
    everyone = QueryProblem(60, 0.0, 0.3, 0.02, lens)
    expected = neighbors_sigma(X @ as_map(lens), 60)
    assert_allclose(
        candidates.problem_bandwidth(everyone, neighbors), expected, rtol=1e-4
    )


def test_left_out_rows_are_seen_through_the_lens_that_is_blind_to_them():
    X, y = worded(90, seed=3, n_useless=2)
    training = build_training_set(X.astype(np.float32), y, 3)
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_counts(), 24
    )
    lenses = tuple(some_lens(training.points, seed) for seed in range(4))
    pairs = np.arange(training.n_pairs)
    blind = BlindLenses(lenses[:3], np.where(pairs < 60, pairs % 3, -1))
    problem = QueryProblem(12, 1.0, 0.3, 0.02, lenses[3], blind)
    ids, squared = candidates.leave_one_out_candidates(
        training, neighbors, pairs, problem
    )
    votes, shares = adaptive.candidate_shares(
        training, ids, squared, problem, left_out=pairs
    )
    assert_allclose(shares.sum(axis=1), 1.0)
    for pair in pairs:
        lens = lenses[pair % 3 if pair < 60 else 3]
        alone = QueryProblem(12, 1.0, 0.3, 0.02, lens)
        one = np.array([pair])
        found = candidates.leave_one_out_candidates(training, neighbors, one, alone)
        assert_array_equal(ids[pair], found[0][0])
        expected = candidate_votes(training, *found, alone, left_out=one)
        assert_array_equal(votes[pair], expected[0])


def test_a_lens_is_kept_where_columns_differ_in_worth(worded_model):
    X, y = worded(2000, seed=10)
    assert worded_model.query_metric_ == "learned"
    plain = KNNGraphClassifier(
        inference="adaptive", query_metric="same", ef=300, random_state=0
    ).fit(*worded(600, seed=0))
    assert plain.query_metric_ == "same"
    assert worded_model.score(X, y) > plain.score(X, y) + 0.05  # 0.83 and 0.72
    lens = worded_model._model.lens
    worth = np.sqrt((lens.directions**2).sum(axis=1))
    assert worth[:2].min() > 2 * worth[2:].max()


def test_left_out_rows_do_not_flatter_the_lens(worded_model):
    # Labels that no column tells: a lens that has seen them would seem to know.
    X, y = worded(2000, seed=11)
    assert abs(worded_model.loo_score_ - worded_model.score(X, y)) < 0.05


def test_a_lens_that_is_worth_nothing_is_rarely_kept_and_costs_nothing():
    kept = 0
    for seed in range(6):
        random = np.random.default_rng(seed)
        centers = 3.0 * random.normal(size=(30, 4))
        codes = np.arange(900) % 30
        labels = random.integers(2, size=30)[codes]
        settings = {"inference": "adaptive", "random_state": 0}
        X = centers[codes] + random.normal(size=(900, 4))
        model = KNNGraphClassifier(**settings).fit(X, labels)
        if model.query_metric_ == "learned":
            kept += 1
            plain = KNNGraphClassifier(**settings, query_metric="same").fit(X, labels)
            queries = centers[codes] + random.normal(size=(900, 4))
            lost = plain.score(queries, labels) - model.score(queries, labels)
            assert lost < 0.01
    assert kept <= 3


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (np.ones((80, 3)), np.arange(80) % 2),
        (np.random.default_rng(0).normal(size=(80, 3)), np.zeros(80, dtype=int)),
        (np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2),
        (np.random.default_rng(0).normal(size=(80, 1001)), np.arange(80) % 2),
    ],
    ids=["rows all the same", "one class", "few rows", "many features"],
)
def test_nothing_to_choose(X, y):
    training = build_training_set(X.astype(np.float32), y, int(y.max()) + 1)
    assert choose_lens(training, PROBLEM) is PROBLEM


def test_lookups_are_those_without_a_lens(worded_model):
    X, y = worded(600, seed=0)
    queries = worded(300, seed=12)[0]
    plain = KNNGraphClassifier(query_metric="same", ef=300, random_state=0).fit(X, y)
    worded_model.set_params(inference="lookup")
    try:
        assert_array_equal(worded_model.predict(queries), plain.predict(queries))
        assert_array_equal(worded_model.labels_, plain.labels_)
        assert (worded_model.graph_ != plain.graph_).nnz == 0
    finally:
        worded_model.set_params(inference="adaptive")


@pytest.mark.parametrize("inference", ["adaptive", "cascade"])
def test_batches_threads_and_order_change_nothing(inference):
    X, y = worded(600, seed=0)
    queries = worded(120, seed=13)[0]
    settings = {"inference": inference, "random_state": 0}
    model = KNNGraphClassifier(**settings).fit(X, y)
    assert model.query_metric_ == "learned"
    expected = model.predict_proba(queries)
    one_by_one = np.concatenate([model.predict_proba(q[None]) for q in queries])
    assert_array_equal(one_by_one, expected)
    threads = KNNGraphClassifier(**settings, n_jobs=2).fit(X, y)
    assert_array_equal(threads.predict_proba(queries), expected)
    order = np.random.default_rng(0).permutation(len(X))
    turned = KNNGraphClassifier(**settings).fit(X[order], y[order])
    assert_array_equal(turned.predict_proba(queries), expected)
    predictor = model.to_predictor()
    assert_array_equal(predictor.predict_proba(queries), expected)
    assert predictor(queries[0]) == model.predict(queries[:1])[0]


def test_rows_that_come_and_go_are_seen_through_their_own_lens():
    X, y = worded(500, seed=0)
    queries = worded(100, seed=14)[0]
    settings = {"inference": "adaptive", "ef": 500, "random_state": 0}
    changed = KNNGraphClassifier(**settings).fit(X[:300], y[:300])
    changed.partial_fit(X[300:], y[300:]).forget(np.arange(50))
    fresh = KNNGraphClassifier(**settings).fit(X[50:], y[50:])
    assert changed.query_metric_ == fresh.query_metric_ == "learned"
    assert_array_equal(changed.predict(queries), fresh.predict(queries))
    assert_allclose(
        changed.predict_proba(queries), fresh.predict_proba(queries), atol=1e-3
    )


def test_the_nugget_and_trust_of_a_fit_are_learned_through_it(worded_model):
    model = worded_model._model
    problem = worded_model._reading().problem
    neighbors = nearest_others(
        ExactIndex(model.training.points),
        model.training.points,
        model.training.node_counts(),
        64,
    )
    seen = leave_one_out(model.training, neighbors, problem)
    # The lens has seen these labels, the blind ones of the fit have not.
    assert seen.score > worded_model.loo_score_ - 0.02


def test_units_and_sparse_rows():
    from scipy import sparse

    X, y = worded(500, seed=0)
    X[np.abs(X) < 0.5] = 0.0
    queries = X[:50] + 0.01
    dense = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    scaled = KNNGraphClassifier(inference="adaptive", random_state=0).fit(1024 * X, y)
    assert_array_equal(scaled.predict(1024 * queries), dense.predict(queries))
    assert_allclose(scaled.query_bandwidth_, 1024 * dense.query_bandwidth_, rtol=1e-3)
    rows = sparse.csr_array(X)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(rows, y)
    assert model.query_metric_ == "learned"
    assert model.score(rows, y) > 0.7


def test_many_classes_are_mixed_into_few_targets():
    X, y = make_classification(
        600,
        12,
        n_informative=4,
        n_redundant=0,
        n_classes=16,
        n_clusters_per_class=1,
        class_sep=2.0,
        random_state=0,
    )
    settings = {"inference": "adaptive", "random_state": 0}
    model = KNNGraphClassifier(**settings).fit(X[:450], y[:450])
    plain = KNNGraphClassifier(**settings, query_metric="same").fit(X[:450], y[:450])
    assert model.query_metric_ == "learned"
    assert model.score(X[450:], y[450:]) > plain.score(X[450:], y[450:])
