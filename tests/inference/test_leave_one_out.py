"""Left-out rows, against models that never saw them."""

from dataclasses import fields

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs

import knngraph.inference.adaptive as adaptive
import knngraph.inference.leave_one_out as leaving
from knngraph import KNNGraphClassifier
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import (
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
)
from knngraph.inference.leave_one_out import (
    VoteWeights,
    leave_one_out,
    leave_one_out_grid,
)

PROBLEMS = [
    QueryProblem(12, 2.0, 0.3, 0.02),
    QueryProblem(5, 2.0, 1.0, 0.02),
    QueryProblem(12, 0.7, 0.3, 0.2),
    QueryProblem(5, 0.0, 0.1, 0.0),
]


@pytest.fixture(scope="module")
def rows():
    """Overlapping classes; copies with the same label and with another."""
    X, y = make_blobs(90, centers=3, n_features=3, cluster_std=3.0, random_state=1)
    X = np.concatenate([X, X[:15], X[:5]]).astype(np.float32)
    y = np.concatenate([y, y[:10], (y[10:15] + 1) % 3, y[:5]])
    return X, y


def exact_neighbors(training, k):
    return nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), k
    )


def honest_votes(X, y, row, problem):
    """Votes at a row of a training set that does not hold it."""
    rest = np.arange(len(X)) != row
    training = build_training_set(X[rest], y[rest], 3)
    ids, squared = ExactIndex(training.points).nearest(
        X[row : row + 1], problem.n_neighbors
    )
    return candidate_votes(training, ids, squared, problem)[0]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_votes_of_an_honest_refit(problem, rows):
    X, y = rows
    training = build_training_set(X, y, 3)
    left_out = leave_one_out(training, exact_neighbors(training, 20), problem)
    honest = np.array([honest_votes(X, y, row, problem) for row in range(len(X))])
    own_share = honest[np.arange(len(X)), y]
    pair = training.pair_of_row
    assert_allclose(left_out.own_share[pair], own_share, atol=1e-4)
    right = honest.argmax(axis=1) == y
    assert_array_equal(left_out.right[pair], right)
    assert 0.3 < right.mean() < 0.95
    assert_allclose(left_out.score, right.mean())


def test_the_score_of_a_fitted_model(rows):
    X, y = (np.concatenate([part[:25], part[90:105]]) for part in rows)
    settings = {
        "inference": "adaptive",
        "metric": "euclidean",
        "ef": 100,
        "random_state": 0,
    }
    model = KNNGraphClassifier(**settings).fit(X, y)
    hits = []
    for row in range(len(X)):
        rest = np.arange(len(X)) != row
        honest = KNNGraphClassifier(
            query_bandwidth=model.query_bandwidth_, **settings
        ).fit(X[rest], y[rest])
        hits.append(honest.predict(X[row : row + 1])[0] == y[row])
    assert_allclose(model.loo_score_, np.mean(hits))


@pytest.mark.parametrize("sample", [slice(None), slice(3, 40, 2)])
def test_a_grid_is_many_single_settings(sample, rows, monkeypatch):
    training = build_training_set(*rows, 3)
    neighbors = exact_neighbors(training, 20)
    pairs = np.arange(training.n_pairs)[sample]
    right, own_share = leave_one_out_grid(training, neighbors, PROBLEMS, pairs)
    monkeypatch.setattr(leaving, "_QUERIES_PER_CHUNK", 7)
    again = leave_one_out_grid(training, neighbors, PROBLEMS, pairs, n_threads=3)
    assert_array_equal(again[0], right)
    assert_array_equal(again[1], own_share)
    for setting, problem in enumerate(PROBLEMS):
        alone = leave_one_out(training, neighbors, problem)
        assert_array_equal(right[setting], alone.right[pairs])
        assert_array_equal(own_share[setting], alone.own_share[pairs])


def test_blocks_change_nothing(rows, monkeypatch):
    training = build_training_set(*rows, 3)
    neighbors = exact_neighbors(training, 20)
    monkeypatch.setattr(leaving, "CALIBRATION_ROWS", 10)
    whole = leave_one_out(training, neighbors, PROBLEMS[0])
    monkeypatch.setattr(adaptive, "_VOTES_PER_BLOCK", 30)
    done = []
    pieces = leave_one_out(
        training, neighbors, PROBLEMS[0], n_threads=2, advance=done.append
    )
    assert len(done) > 5
    assert sum(done) == training.n_pairs
    assert_array_equal(pieces.own_share, whole.own_share)
    assert pieces.exponent == whole.exponent
    assert pieces.score == whole.score


@pytest.mark.parametrize(("block", "n_sampled"), [(10**6, 25), (75, 25), (30, 10)])
def test_calibration_is_on_so_many_rows(block, n_sampled, rows, monkeypatch):
    training = build_training_set(*rows, 3)
    neighbors = exact_neighbors(training, 20)
    seen = []

    def keep(votes, codes, counts):
        seen.append((votes, codes, counts))
        return 1.0

    monkeypatch.setattr(leaving, "fit_exponent", keep)
    monkeypatch.setattr(leaving, "CALIBRATION_ROWS", 25)
    # No more votes are held for it than for any other block.
    monkeypatch.setattr(adaptive, "_VOTES_PER_BLOCK", block)
    leave_one_out(training, neighbors, PROBLEMS[0])
    ((votes, codes, counts),) = seen
    assert votes.shape == (n_sampled, 3)
    assert_array_equal(codes, training.pair_code[:n_sampled])
    assert_array_equal(counts, training.pair_weight[:n_sampled])


def test_a_single_row_has_nothing_to_learn_from():
    model = KNNGraphClassifier(inference="adaptive").fit([[1.0], [1.0]], [0, 0])
    assert model.loo_score_ == 1.0
    assert model.predict([[5.0]]).tolist() == [0]


@pytest.mark.parametrize("block", [30, 10**6])
def test_shares_are_kept_as_they_are_found(block, rows, random, monkeypatch):
    training = build_training_set(*rows, 3)
    neighbors = exact_neighbors(training, 20)
    wanted = np.sort(random.choice(training.n_pairs, 25, replace=False))
    monkeypatch.setattr(leaving, "CALIBRATION_ROWS", 10)
    monkeypatch.setattr(adaptive, "_VOTES_PER_BLOCK", block)
    for problem in PROBLEMS[:2]:
        weights = VoteWeights(wanted, problem.n_neighbors)
        cached = leave_one_out(training, neighbors, problem, weights=weights)
        plain = leave_one_out(training, neighbors, problem)
        for field in fields(plain):
            assert_array_equal(getattr(cached, field.name), getattr(plain, field.name))
        pairs = random.permutation(wanted)[:15]
        ids, squared = leave_one_out_candidates(
            training, neighbors, pairs, problem.n_neighbors
        )
        shares = np.zeros(ids.shape)
        candidate_votes(training, ids, squared, problem, left_out=pairs, shares=shares)
        place = np.searchsorted(wanted, pairs)
        m = ids.shape[1]
        assert_array_equal(weights.ids[place, :m], ids)
        own = ids == training.pair_node[pairs, None]
        n_rows = np.maximum(training.node_weights()[ids] - own, 1)
        assert_array_equal(weights.per_row[place, :m], shares / n_rows)
