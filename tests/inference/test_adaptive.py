"""The problem at a query, against scipy's non-negative least squares."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from knngraph import KNNGraphClassifier
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    search_candidates,
)
from tests.reference import neighbors_sigma, query_votes


@pytest.fixture(scope="module")
def uneven_digits(digits):
    """Digits of which no two are equally far from a third."""
    noise = np.random.default_rng(0).normal(scale=0.1, size=digits[0].shape)
    return digits[0] + noise, digits[1]


@pytest.fixture(scope="module")
def hard_digits(uneven_digits):
    """Four hundred digits and eighty copies, half of them with another label."""
    X, y = uneven_digits[0][:400], uneven_digits[1][:400]
    y_of_copies = np.concatenate([y[:40], (y[40:80] + 1) % 10])
    return np.concatenate([X, X[:80]]), np.concatenate([y, y_of_copies])


@pytest.fixture(scope="module")
def queries(uneven_digits):
    """Rows not trained on, and training rows: plain, copied, of two labels."""
    X = uneven_digits[0]
    return np.concatenate([X[400:440], X[300:305], X[30:50]])


def expected_votes(X, y, queries, m, **problem):
    return np.array(
        [query_votes(X, y, np.unique(y), query, m, **problem) for query in queries]
    )


def votes_of(model, queries):
    """The votes behind the probabilities of a model."""
    options = model._options()
    read = model._query_model(options)
    ids, squared = search_candidates(
        read.index, read.space.map_rows(queries), read.problem, ef=options.ef
    )
    return candidate_votes(read.training, ids, squared, read.problem)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"max_neighbors": 9, "query_nugget": 1.0, "query_penalty": 0.3},
        {"query_penalty": 0.0},
        {"query_nugget": 0.01},
        {"query_bandwidth": 17.0},
        {"query_bandwidth": "local"},
    ],
    ids=str,
)
def test_votes_recomputed(settings, hard_digits, queries):
    X, y = hard_digits
    # An `ef` as large as the data finds exact candidates.
    model = KNNGraphClassifier(
        inference="adaptive",
        metric="euclidean",
        ef=400,
        vote="labels",
        random_state=0,
        **settings,
    ).fit(X, y)
    m = model.max_neighbors
    if model.query_bandwidth == "neighbors":
        assert_allclose(model.query_bandwidth_, neighbors_sigma(X, m), rtol=1e-6)
    expected = expected_votes(
        X,
        y,
        queries,
        m,
        sigma=model.query_bandwidth_,
        nugget=model.query_nugget,
        penalty=model.query_penalty,
    )
    # Single-precision distances under a nugget of a hundredth: four digits.
    assert_allclose(votes_of(model, queries), expected, atol=2e-4)
    powers = (expected + 0.05 / 10) ** model._model.stored_rule.calibration.adaptive
    assert_allclose(
        model.predict_proba(queries),
        powers / powers.sum(axis=1, keepdims=True),
        atol=2e-3,
    )
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 1e-3
    assert clear.sum() > 40
    winners = model.classes_[expected.argmax(axis=1)]
    assert_array_equal(model.predict(queries)[clear], winners[clear])


def test_bandwidth_in_units_of_the_data(digits):
    # So tiny that rows are scaled on the way to single precision.
    tiny = 1e-15
    X, y = digits[0][:200], digits[1][:200]
    plain = KNNGraphClassifier(inference="adaptive", metric="euclidean", random_state=0)
    one = clone(plain).set_params(query_bandwidth=20.0)
    other = clone(plain).set_params(query_bandwidth=20.0 * tiny)
    shares = one.fit(X, y).predict_proba(digits[0][200:260])
    scaled = other.fit(X * tiny, y).predict_proba(digits[0][200:260] * tiny)
    assert other._model.space.scale != 1.0
    assert_allclose(scaled, shares, atol=0.02)
    measured = plain.fit(X * tiny, y)
    assert_allclose(measured.query_bandwidth_, tiny * neighbors_sigma(X, 32), rtol=1e-5)


def small_training(random, n=30):
    points = random.normal(size=(n, 2)).astype(np.float32)
    return build_training_set(points, np.arange(n) % 3, 3)


def rows_of(training):
    """Rows of pairs, where there are no copies, and their classes."""
    return training.points[training.pair_node].astype(np.float64), training.pair_code


@pytest.mark.parametrize("distance", [0.0, 10.0, 1e3, 1e6])
def test_a_far_query_is_answered_relative_to_its_nearest(distance, random):
    training = small_training(random)
    query = np.array([[distance, 0.5 * distance]], dtype=np.float32)
    ids, squared = ExactIndex(training.points).nearest(query, 8)
    votes = candidate_votes(training, ids, squared, QueryProblem(8, 1.0, 0.3, 0.02))
    X, y = rows_of(training)
    expected = query_votes(X, y, np.arange(3), query[0].astype(np.float64), 8, 1.0)
    assert_allclose(votes[0], expected, atol=1e-5)


@pytest.mark.parametrize("query_bandwidth", ["neighbors", "local"])
@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_far_queries_are_answered(inference, query_bandwidth, digits):
    X, y = digits[0][:300], digits[1][:300]
    model = KNNGraphClassifier(
        inference=inference, query_bandwidth=query_bandwidth, ef=16, random_state=0
    ).fit(X, y)
    queries = X[:20] * np.logspace(1, 6, 20)[:, None]
    shares = model.predict_proba(queries)
    assert np.isfinite(shares).all()
    assert_allclose(shares.sum(axis=1), 1.0)
    assert_array_equal(model.predict(queries), model.classes_[shares.argmax(axis=1)])


def test_a_copy_of_a_training_row_is_a_legal_query(digits):
    X, y = digits[0][:300], digits[1][:300]
    model = KNNGraphClassifier(
        inference="adaptive", query_nugget=1e-6, random_state=0
    ).fit(X, y)
    # Next to no nugget: the row itself explains itself.
    assert_array_equal(model.predict(X), y)
    assert votes_of(model, X)[np.arange(300), y].min() > 0.97


def test_copies_count():
    # Two rows at the same distance; three rows of class 0 lie on the first.
    points = np.array([[-1.0], [-1.0], [-1.0], [1.0]], dtype=np.float32)
    training = build_training_set(points, np.array([0, 0, 0, 1]), 2)
    ids, squared = ExactIndex(training.points).nearest(np.zeros((1, 1), np.float32), 2)
    votes = candidate_votes(training, ids, squared, QueryProblem(2, 1.0, 0.3, 0.0))
    # By hand: (1 + 0.3 / rows) w_a + e^-2 w_b = 1 for both.
    weights = np.linalg.solve([[1.1, np.exp(-2)], [np.exp(-2), 1.3]], [1.0, 1.0])
    assert_allclose(votes[0], weights / weights.sum(), atol=1e-6)


def test_conflicting_copies_split_their_vote():
    points = np.zeros((4, 1), dtype=np.float32)
    training = build_training_set(points, np.array([0, 0, 0, 1]), 2)
    ids, squared = ExactIndex(training.points).nearest(points[:1], 1)
    problem = QueryProblem(1, 1.0, 0.3, 0.02)
    assert_allclose(candidate_votes(training, ids, squared, problem), [[0.75, 0.25]])
    # One row of the pair (node 0, class 0) left out.
    left_out = np.array([0])
    votes = candidate_votes(training, ids, squared, problem, left_out=left_out)
    assert_allclose(votes, [[2 / 3, 1 / 3]])


def test_no_candidates_no_votes():
    training = build_training_set(np.zeros((1, 1), np.float32), np.array([0]), 2)
    ids = np.full((2, 3), -1)
    votes = candidate_votes(
        training, ids, np.zeros((2, 3)), QueryProblem(3, 1.0, 0.3, 0.02)
    )
    assert_array_equal(votes, np.zeros((2, 2)))


def test_all_candidates_at_no_distance_with_a_local_bandwidth():
    training = build_training_set(np.zeros((1, 1), np.float32), np.array([1]), 2)
    votes = candidate_votes(
        training, np.array([[0]]), np.zeros((1, 1)), QueryProblem(1, 0.0, 0.3, 0.02)
    )
    assert_array_equal(votes, [[0.0, 1.0]])


def test_a_heavy_penalty_leaves_the_nearest(random):
    training = small_training(random)
    queries = random.normal(size=(20, 2)).astype(np.float32)
    ids, squared = ExactIndex(training.points).nearest(queries, 10)
    votes = candidate_votes(training, ids, squared, QueryProblem(10, 0.05, 0.3, 0.999))
    assert_array_equal(votes.argmax(axis=1), training.pair_code[ids[:, 0]])
    assert_allclose(votes.sum(axis=1), 1.0)


def test_candidates_of_left_out_rows():
    points = np.array([[0.0], [0.0], [1.0], [3.0], [7.0]], dtype=np.float32)
    training = build_training_set(points, np.array([0, 0, 1, 0, 1]), 2)
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), 3
    )
    pairs = np.arange(training.n_pairs)
    ids, squared = leave_one_out_candidates(training, neighbors, pairs, 2)
    assert ids.shape == (4, 2)
    expected = {0.0: [0.0, 1.0], 1.0: [0.0, 3.0], 3.0: [1.0, 0.0], 7.0: [3.0, 1.0]}
    for pair in pairs:
        own = training.points[training.pair_node[pair], 0]
        assert training.points[ids[pair], 0].tolist() == expected[own]
        assert_allclose(np.sqrt(squared[pair]), np.abs(np.subtract(expected[own], own)))
