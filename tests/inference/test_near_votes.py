"""Votes of the nearest nodes, and the probabilities that are read from them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_classification, make_moons
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split

import knngraph.inference.node_votes as of_nodes
from knngraph import KNNGraphClassifier
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.near_votes import SHARPNESS, near_votes
from knngraph.inference.node_votes import (
    near_votes_left_out,
    node_votes,
    node_votes_left_out,
)
from knngraph.inference.probabilities import favor
from knngraph.sparse_rows import as_dense

K = 7


def by_hand(X, y, query, n_classes, factors=None):
    """Shares at a query in a vote of its nearest distinct rows."""
    rows, place = np.unique(X, axis=0, return_inverse=True)
    place = place.ravel()
    away = np.sqrt(((rows - query) ** 2).sum(axis=1))
    near = np.argsort(away, kind="stable")[:K]
    weights = np.exp(SHARPNESS * (away[near[0]] - away[near]) / away[near[-1]])
    votes = np.zeros(n_classes)
    for node, weight in zip(near, weights):
        votes += (
            weight
            * np.bincount(y[place == node], minlength=n_classes)
            / ((place == node).sum())
        )
    votes = votes if factors is None else votes * factors
    return votes / votes.sum()


@pytest.fixture
def rows(random):
    """90 rows of three classes, some of them copies with another label."""
    X = random.normal(size=(90, 3)).astype(np.float32)
    X[60:80] = X[:20]
    return X, random.integers(3, size=90)


def searched(X, y, k=12):
    training = build_training_set(X, y, 3)
    index = ExactIndex(training.points)
    weights = training.node_weights()
    return training, nearest_others(index, training.points, weights, k)


@pytest.mark.parametrize("factors", [None, np.array([1.0, 4.0, 0.5])])
def test_votes_fall_with_distance(factors, rows, random):
    X, y = rows
    training, _ = searched(X, y)
    if factors is not None:
        training = build_training_set(X, y, 3)
        object.__setattr__(training, "class_weight", factors)
    queries = random.normal(size=(20, 3)).astype(np.float32)
    found = ExactIndex(training.points).nearest(queries, K)
    votes = near_votes(training, *found)
    for query, shares in zip(queries, votes):
        assert_allclose(shares, by_hand(X, y, query, 3, factors), atol=1e-5)
    alone = [near_votes(training, found[0][[q]], found[1][[q]])[0] for q in range(20)]
    assert_array_equal(votes, alone)
    assert_array_equal(votes, near_votes(training, *found, n_threads=3))


def test_a_list_may_end_early(rows):
    training, _ = searched(*rows)
    ids, squared = np.array([[3, 5, -1], [-1, -1, -1]]), np.ones((2, 3))
    votes = near_votes(training, ids, squared)
    assert_array_equal(votes[0], near_votes(training, ids[:1, :2], squared[:1, :2])[0])
    assert_array_equal(votes[1], 0.0)


def test_votes_around_nodes(rows, monkeypatch):
    X, y = rows
    training, neighbors = searched(X, y)
    votes = node_votes(training, neighbors, K)
    for point, shares in zip(training.points, votes):
        assert_allclose(shares, by_hand(X, y, point, 3), atol=1e-5)
    assert_array_equal(node_votes(training, neighbors, K, slice(9, 30)), votes[9:30])
    monkeypatch.setattr(of_nodes, "DENSE_DISTRIBUTION_LIMIT", 9)
    monkeypatch.setattr(of_nodes, "queries_per_block", lambda n: 16)
    sparse = node_votes(training, neighbors, K)
    assert sparse.format == "csr"
    assert_array_equal(as_dense(sparse), votes)
    # As many numbers as may be dense, and no nodes at all.
    assert isinstance(node_votes(training, neighbors, K, slice(3, 6)), np.ndarray)
    assert node_votes(training, neighbors, K, slice(5, 5)).shape == (0, 3)


def test_a_left_out_row_votes_nowhere(rows):
    X, y = rows
    training, neighbors = searched(X, y)
    pairs = np.arange(training.n_pairs)
    row_of_pair, _ = training.rows_of_pairs()
    at_query = near_votes_left_out(training, neighbors, pairs, K)
    nodes = training.pair_node[pairs]
    alone = training.left_weights(pairs) == 0.0
    reached = np.where(alone, neighbors.ids[nodes, 0], nodes)
    at_node = node_votes_left_out(training, neighbors, reached, pairs, K)
    for pair, row in enumerate(row_of_pair):
        others = np.delete(X, row, axis=0), np.delete(y, row)
        expected = by_hand(*others, X[row], 3)
        assert_allclose(at_query[pair], expected, atol=1e-5)
        expected = by_hand(*others, training.points[reached[pair]], 3)
        assert_allclose(at_node[pair], expected, atol=1e-5)


def test_a_class_that_is_behind_is_raised():
    shares = np.array([[0.5, 0.25, 0.25], [0.1, 0.5, 0.4], [0.5, 0.5, 0.0]])
    raised = favor(shares.copy(), np.array([0, 0, 1]))
    assert_array_equal(raised[0], shares[0])
    assert_allclose(raised[1], np.array([0.5, 0.5, 0.4]) / 1.4)
    assert_allclose(raised[2], [0.5, 0.5, 0.0])
    assert_array_equal(raised.argmax(axis=1), [0, 0, 1])


@pytest.mark.parametrize("kind", ["overlap", "moons", "classes"])
def test_short_answers_rank_as_adaptive_ones(kind):
    if kind == "moons":
        X, y = make_moons(1500, noise=0.35, random_state=1)
    else:
        X, y = make_classification(
            1500,
            8,
            n_informative=5,
            n_classes=2 if kind == "overlap" else 4,
            flip_y=0.1,
            random_state=3,
        )
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)

    def figures(inference):
        model.set_params(inference=inference)
        shares = model.predict_proba(X_test)
        areas = [roc_auc_score(y_test == c, shares[:, c]) for c in model.classes_]
        assert_array_equal(shares.argmax(axis=1), model.predict(X_test))
        return np.mean(areas), log_loss(y_test, shares), shares

    area, loss, _ = figures("adaptive")
    for inference, behind in (("cascade", 0.005), ("lookup", 0.04)):
        short, its_loss, shares = figures(inference)
        assert short > area - behind
        assert its_loss < loss + 4 * behind
        if inference == "cascade":
            agreed = model.inference_report(X_test)["resolved"]
            assert agreed.mean() > 0.3
            # Not a handful of numbers.
            assert len(np.unique(shares[agreed].round(6))) > 0.2 * agreed.sum()


def test_probabilities_after_a_change_are_those_of_the_rows_there(random):
    X, y = make_moons(500, noise=0.3, random_state=1)
    model = KNNGraphClassifier(random_state=0).fit(X[:400], y[:400])
    model.partial_fit(X[400:], y[400:])
    around = model._model.node_votes
    rows = model._model.rows
    assert_array_equal(around, node_votes(rows.training, rows.neighbors, 16))
    queries = X + random.normal(scale=0.05, size=X.shape)
    predictor = model.to_predictor()
    assert_array_equal(predictor.predict_proba(queries), model.predict_proba(queries))
