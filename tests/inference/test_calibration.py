"""From votes to probabilities."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

import knngraph.inference.query_model as query_model
from knngraph import KNNGraphClassifier
from knngraph.graph.neighbors import nearest_others
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import candidate_votes, leave_one_out_candidates
from knngraph.inference.calibration import (
    fit_exponent,
    fit_exponent_and_floor,
    sharpen,
)

# How well greedy searches do on these few rows is not the question here.
pytestmark = pytest.mark.filterwarnings(
    "ignore::knngraph.exceptions.LookupAgreementWarning"
)


def test_sharpened_by_hand():
    # (0.7 + 0.025)^2 and (0.3 + 0.025)^2.
    expected = np.array([0.725**2, 0.325**2])
    assert_allclose(sharpen(np.array([[0.7, 0.3]]), 2.0)[0], expected / expected.sum())


def test_the_order_of_the_votes_stays(random):
    votes = random.dirichlet(np.ones(4), size=50)
    for exponent in (0.1, 1.0, 7.0):
        shares = sharpen(votes, exponent)
        assert_array_equal(shares.argsort(axis=1), votes.argsort(axis=1))
        assert_allclose(shares.sum(axis=1), 1.0)
        assert shares.min() > 0.0


def loss_with_one_more(votes, codes, weights, exponent, floor=0.05):
    # One more row: spread over the votes of all rows, and over all classes.
    n, k = votes.shape
    return log_loss(
        np.concatenate([codes, np.tile(np.arange(k), n)]),
        sharpen(np.concatenate([votes, votes.repeat(k, axis=0)]), exponent, floor),
        sample_weight=np.concatenate(
            [weights, (weights / weights.sum() / k).repeat(k)]
        ),
    )


def test_the_exponent_minimises_the_log_loss(random):
    votes = random.dirichlet(np.ones(3), size=400)
    counts = random.integers(1, 4, size=400)
    for power in (0.4, 1.0, 3.0):
        truth = sharpen(votes, power)
        codes = (truth.cumsum(axis=1) < random.random((400, 1))).sum(axis=1)
        exponent = fit_exponent(votes, codes, counts)

        def loss(e, codes=codes):
            return loss_with_one_more(votes, codes, counts, e)

        grid = np.geomspace(0.1, 10.0, 60)
        assert loss(exponent) <= min(map(loss, grid)) + 1e-5
        # The classes were drawn with this very power.
        assert_allclose(exponent, power, rtol=0.35)


def test_the_floor_minimises_the_log_loss_too(random):
    votes = random.dirichlet(np.full(4, 0.3), size=2000)
    for floor in (0.05, 1.0):
        truth = sharpen(votes, 2.0, floor)
        codes = (truth.cumsum(axis=1) < random.random((2000, 1))).sum(axis=1)
        found = fit_exponent_and_floor(votes, codes, np.ones(2000))
        assert found[1] == floor
        assert_allclose(found[0], 2.0, rtol=0.2)
    # Few rows show neither.
    assert fit_exponent_and_floor(votes[:5], codes[:5], np.ones(5)) == (1.0, 0.05)


@pytest.mark.parametrize("n", [20, 5000])
def test_votes_that_are_right_are_sharpened_as_far_as_n_rows_say(n):
    votes = np.tile([0.9, 0.1], (n, 1))
    right = fit_exponent(votes, np.zeros(n, dtype=int), np.ones(n, dtype=int))
    # With one more row in both classes: n + 1/2 right and 1/2 wrong.
    assert_allclose(right, np.log(2 * n + 1) / np.log(0.925 / 0.125), rtol=0.01)


def test_exponents_end_at_ten_and_a_tenth():
    votes, rows = np.tile([0.55, 0.45], (5000, 1)), np.arange(5000)
    assert_allclose(fit_exponent(votes, 0 * rows, np.ones(5000)), 10.0, rtol=0.02)
    assert_allclose(fit_exponent(votes, rows % 2, np.ones(5000)), 0.1, rtol=0.02)


def test_votes_that_are_right_half_of_the_time_are_flattened():
    votes = np.tile([0.9, 0.1], (20, 1))
    half = fit_exponent(votes, np.arange(20) % 2, np.ones(20, dtype=int))
    assert half < 0.11


def test_few_rows_leave_votes_as_they_are():
    # Two rows of two classes, each wrong about the other, say nothing of a third.
    votes = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    codes = np.array([1, 0])
    assert fit_exponent(votes, codes, np.array([1, 1])) == 1.0
    assert fit_exponent(votes, codes, np.array([4, 5])) == 1.0
    assert fit_exponent(votes, codes, np.array([5, 5])) < 0.11


def test_the_exponent_of_a_fit_is_that_of_left_out_rows(digits):
    X, y = digits[0][:400], digits[1][:400]
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    training = model._model.training
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), 32
    )
    pairs = np.arange(training.n_pairs)
    problem = model._query_model(model._options()).problem
    ids, squared = leave_one_out_candidates(training, neighbors, pairs, 32)
    votes = candidate_votes(training, ids, squared, problem, left_out=pairs)
    losses = [
        loss_with_one_more(votes, training.pair_code, training.pair_weight, e)
        for e in np.array([0.7, 0.9, 0.99, 1.0, 1.01, 1.1, 1.4])
        * model._model.stored_rule.calibration.adaptive
    ]
    assert min(losses) > losses[3] - 1e-6
    assert_allclose(model.loo_score_, (votes.argmax(1) == training.pair_code).mean())


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
def test_no_class_is_impossible_because_a_few_rows_are_right(inference):
    # Every left-out wine that agrees with its neighbors is one of their kind.
    X, y = load_wine(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = KNNGraphClassifier(inference=inference, random_state=0).fit(X[::2], y[::2])
    found = model.predict_proba(X[1::2])
    assert found.min() > 1e-6
    assert log_loss(y[1::2], found) < 0.5


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
def test_log_loss_of_held_out_rows(load):
    X, y = load(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.4, stratify=y, random_state=0
    )
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    peer = KNeighborsClassifier(weights="distance").fit(X, y)
    loss = log_loss(y_test, model.predict_proba(X_test))
    assert loss < 0.7 * log_loss(y_test, peer.predict_proba(X_test))


@pytest.mark.parametrize("inference", ["lookup", "adaptive", "cascade"])
@pytest.mark.parametrize("self_weight", [0.5, 1.0])
@pytest.mark.parametrize("vote", ["reliability", "labels"])
def test_probabilities_and_classes_agree(inference, self_weight, vote, random):
    # Rows on a grid, labels at random, copies: ties wherever they can be.
    X = random.integers(4, size=(200, 2)).astype(float)
    X[100:] += 0.5
    y = random.integers(3, size=200)
    queries = np.concatenate([X, random.normal(2.0, 2.0, size=(200, 2)), X + 0.25])
    model = KNNGraphClassifier(
        inference=inference,
        self_weight=self_weight,
        label_weight=0.0,
        cascade_tolerance=0.05,
        vote=vote,
        random_state=0,
    ).fit(X, y)
    shares = model.predict_proba(queries)
    assert_allclose(shares.sum(axis=1), 1.0)
    top = np.sort(shares, axis=1)
    if vote == "labels":
        assert (top[:, -1] - top[:, -2] < 1e-9).any()  # there are ties
    assert_array_equal(model.classes_[shares.argmax(axis=1)], model.predict(queries))


def test_ties_of_single_rows_keep_the_stored_class(random):
    # Two rows that vote for each other: half and half, each with its own label.
    X = np.repeat(np.arange(20.0) * 100.0, 2)[:, None]
    X[1::2] += 0.5
    y = np.tile([1, 0, 0, 1], 10)
    model = KNNGraphClassifier(
        self_weight=1.0, label_weight=0.0, max_neighbors=1, ef=40, random_state=0
    ).fit(X, y)
    shares = model.predict_proba(X)
    # Thirty others are far away, and more of them on one side of the row.
    assert_allclose(shares.sum(axis=1), 1.0)
    assert_array_equal(model.predict(X), y)
    assert_array_equal(model.classes_[shares.argmax(axis=1)], y)


def test_votes_that_differ_in_the_last_digit(digits, monkeypatch):
    X, y = digits[0][:100], (digits[1][:100] > 4).astype(int)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    close = np.array([np.nextafter(0.5, 0.0), 0.5])
    monkeypatch.setattr(
        query_model, "candidate_votes", lambda _, ids, *a, **k: close[None]
    )
    # This exponent makes both shares one number.
    flat = replace(model._model.left_out, exponent=0.1)
    vars(model._model)["left_out"] = flat
    assert np.ptp(sharpen(close[None], 0.1)) == 0.0
    assert model.predict(X[:1]).tolist() == [1]
    assert model.predict_proba(X[:1]).argmax() == 1
