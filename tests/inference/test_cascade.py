"""What a cascade trusts, and what it answers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split

from knngraph import KNNGraphClassifier
from knngraph.inference.calibration import sharpen
from knngraph.inference.cascade import SURROUNDINGS, lowest_trust, query_trust

ONES = np.ones(4, dtype=int)


def test_trust_by_hand():
    support = np.array([0.8, 0.6, 0.9, 0.5])
    codes = np.array([0, 0, 1, 0])
    ids = np.array([[0, 1, 2], [2, 0, 1], [3, -1, -1], [1, 3, -1]])
    # Nodes of another class count for nothing, nodes that are not there at all
    # do not count.
    second, third = 1 / np.sqrt(2), 1 / np.sqrt(3)
    expected = [
        (0.9 + 0.8 * second) / (1 + second + third),
        0.95 / (1 + second + third),
        0.75,
        (0.8 + 0.75 * second) / (1 + second),
    ]
    assert_allclose(query_trust(support, codes, ids), expected)


def test_trust_of_a_query_does_not_depend_on_the_others(random):
    support = random.random(500).astype(np.float32)
    codes = random.integers(2, size=500)
    ids = random.integers(500, size=(100, SURROUNDINGS))
    together = query_trust(support, codes, ids)
    alone = [query_trust(support, codes, row[None])[0] for row in ids]
    assert_array_equal(together, alone)


def test_everyone_is_trusted_where_nothing_is_lost():
    trust = np.array([0.2, 0.9, 0.5, 0.7])
    assert lowest_trust(trust, np.zeros(4, int), ONES, 0.0) == 0.2


def test_a_loss_at_the_top_trusts_nobody():
    trust = np.array([0.9, 0.8, 0.7, 0.6])
    assert lowest_trust(trust, np.array([-1, 0, 0, 0]), ONES, 0.3) == np.inf


def test_the_standard_error_is_in_the_bound():
    trust = np.array([0.9, 0.8, 0.7, 0.6])
    gain = np.array([0, 0, -1, 0])
    # One of four lost, plus three quarters of sqrt(1) / 4.
    assert lowest_trust(trust, gain, ONES, 0.437) == 0.8
    assert lowest_trust(trust, gain, ONES, 0.438) == 0.6


def test_gains_make_up_for_losses():
    trust = np.array([0.9, 0.8, 0.7, 0.6])
    gain = np.array([1, -1, 0, 0])
    # Level after two, with three quarters of sqrt(2) / 4 = 0.265.
    assert lowest_trust(trust, gain, ONES, 0.27) == 0.6
    # After one: -1/4 + 3/16, within any tolerance.
    assert lowest_trust(trust, gain, ONES, 0.0) == 0.9


def test_equal_trust_stands_or_falls_together():
    trust = np.array([0.9, 0.8, 0.8, 0.8])
    gain = np.array([0, 0, 0, -1])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2]):
        assert lowest_trust(trust[order], gain[order], ONES, 0.1) == 0.9


def test_copies_weigh_more():
    trust = np.array([0.9, 0.8])
    gain = np.array([0, -1])
    # 1 of 100 rows and three quarters of sqrt(1) / 100, or 99 of 100.
    assert lowest_trust(trust, gain, np.array([99, 1]), 0.018) == 0.8
    assert lowest_trust(trust, gain, np.array([1, 99]), 0.5) == 0.9


@pytest.fixture(scope="module")
def split(digits):
    return train_test_split(*digits, test_size=0.4, stratify=digits[1], random_state=0)


@pytest.fixture(scope="module")
def model(split):
    """Trained on 1078 digits; tests switch its inference back."""
    X, _, y, _ = split
    return KNNGraphClassifier(inference="cascade", random_state=0).fit(X, y)


def switched(model, **params):
    """The same fitted state, read otherwise."""
    other = clone(model).set_params(**params)
    other.__dict__.update({k: v for k, v in vars(model).items() if k.endswith("_")})
    other._model = model._model
    return other


def test_short_and_long_way(model, split):
    X_test = split[1]
    report = model.inference_report(X_test)
    short = report["short_way"]
    assert report["inference"] == "cascade"
    assert report["ef"] == model.ef_ >= SURROUNDINGS
    assert report["n_queries"] == len(X_test) == len(short)
    assert report["short_share"] == short.mean()
    assert 0.5 < short.mean() < 0.99
    lookup = switched(model, inference="lookup", ef=model.ef_)
    adaptive = switched(model, inference="adaptive")
    answers, shares = model.predict(X_test), model.predict_proba(X_test)
    assert_array_equal(answers[short], lookup.predict(X_test)[short])
    assert_array_equal(answers[~short], adaptive.predict(X_test)[~short])
    assert_array_equal(shares[~short], adaptive.predict_proba(X_test)[~short])
    # The stored shares, with an exponent of the rows that are decided.
    fitted = model._model
    nodes, _ = fitted.index.nearest(fitted.space.map_rows(X_test), 1, ef=model.ef_)
    stored = fitted.stored.distribution(model.label_distribution_, nodes[short, 0])
    assert_allclose(shares[short], sharpen(stored, fitted.calibration.decided))
    assert (adaptive.predict(X_test) != lookup.predict(X_test)).any()


def test_short_way_by_hand(model, split):
    X_test = split[1]
    queries = model._model.space.map_rows(X_test)
    decisions, codes = model._model.decisions, model._model.stored.codes
    ids, _ = model._model.index.nearest(queries, SURROUNDINGS, ef=model.ef_)
    trust = np.array(
        [
            sum(
                (0.5 + 0.5 * decisions.support[i]) / np.sqrt(rank)
                for rank, i in enumerate(row, start=1)
                if codes[i] == codes[row[0]]
            )
            for row in ids
        ]
    )
    trust /= sum(1 / np.sqrt(rank) for rank in range(1, SURROUNDINGS + 1))
    clear = np.abs(trust - decisions.threshold) > 1e-6
    assert_array_equal(
        model.inference_report(X_test)["short_way"][clear],
        (trust >= decisions.threshold)[clear],
    )


def test_reports_of_the_other_two(model, split):
    X_test = split[1][:30]
    report = switched(model, inference="lookup").inference_report(X_test)
    assert report["short_share"] == 1.0
    assert report["ef"] == 1
    report = switched(model, inference="adaptive").inference_report(X_test)
    assert report["short_share"] == 0.0
    assert report["ef"] == 64


def test_as_accurate_as_adaptive(model, split):
    _, X_test, _, y_test = split
    score = model.score(X_test, y_test)
    best = switched(model, inference="adaptive").score(X_test, y_test)
    assert best > 0.97
    assert score > best - 0.01


def test_decided_rows(model, split):
    X, _, y, _ = split
    assert model.decided_.shape == y.shape
    assert model.decided_.dtype == bool
    # The nearest other row of a decided one is of its class.
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = squared.argmin(axis=1)
    agree = model.labels_[nearest] == y
    assert agree[model.decided_].mean() > 0.98
    assert agree[~model.decided_].mean() < 0.9
    assert_allclose(
        model.decided_.mean(), model.inference_report(X)["short_share"], atol=0.1
    )


def test_a_larger_tolerance_decides_more():
    X, y = make_moons(500, noise=0.3, random_state=0)
    shares = [
        KNNGraphClassifier(
            inference="cascade", cascade_tolerance=tolerance, random_state=0
        )
        .fit(X, y)
        .inference_report(X)["short_share"]
        for tolerance in (0.0, 0.01, 0.1, 1.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.95
    assert shares[-1] == 1.0


def test_the_support_of_a_node_is_its_left_out_share():
    # Two rows far from all others, of two classes: each, left out, gets none.
    X = np.array([[0.0], [0.1], [50.0], [50.1], [50.2], [50.3]])
    y = np.array([0, 1, 1, 1, 1, 1])
    model = KNNGraphClassifier(inference="cascade", query_bandwidth=1.0).fit(X, y)
    support = model._model.decisions.support[model._model.training.node_of_row]
    assert_allclose(support, [0, 0, 1, 1, 1, 1], atol=1e-6)


def test_one_row_is_decided():
    model = KNNGraphClassifier(inference="cascade").fit([[1.0, 2.0]], ["a"])
    assert model.decided_.tolist() == [True]
    assert model.predict([[0.0, 0.0]]).tolist() == ["a"]
