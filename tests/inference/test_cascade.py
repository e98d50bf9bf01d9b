"""What a cascade trusts, and what it answers."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import train_test_split

from knngraph import KNNGraphClassifier
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import QueryProblem, candidate_votes
from knngraph.inference.calibration import sharpen
from knngraph.inference.cascade import stored_margin, unanimous
from knngraph.inference.deciding import left_out_margin, lowest_margin
from tests.inference.reference import query_votes

ONES = np.ones(4, dtype=int)


def around(queries, training, k):
    return ExactIndex(training.points).nearest(queries.astype(np.float32), k)


def test_margin_is_that_of_a_smaller_problem(random):
    X = random.normal(size=(80, 3))
    X[40:60] = X[:20]  # copies, some of them with other labels
    y = random.integers(3, size=80)
    training = build_training_set(X.astype(np.float32), y, 3)
    queries = random.normal(size=(30, 3))
    ids, squared = around(queries, training, 9)
    codes = random.integers(3, size=30)
    problem = QueryProblem(18, 0.8, 0.3, 0.02)
    margin = stored_margin(training, ids, squared, problem, codes)
    votes = np.array([query_votes(X, y, range(3), q, 9, sigma=0.8) for q in queries])
    own = votes[np.arange(30), codes]
    votes[np.arange(30), codes] = -np.inf
    assert_allclose(margin, own - votes.max(axis=1), atol=1e-6)


def test_where_all_agree_nothing_is_solved():
    X = np.arange(12.0)[:, None]
    y = np.repeat([0, 1], 6)
    training = build_training_set(X.astype(np.float32), y, 2)
    ids, squared = around(np.array([[1.2], [9.9], [5.4]]), training, 4)
    codes = np.array([0, 0, 0])
    assert unanimous(training, ids, codes).tolist() == [True, False, False]
    problem = QueryProblem(8, 2.0, 0.3, 0.02)
    margin = stored_margin(training, ids, squared, problem, codes)
    assert_allclose(margin[:2], [1.0, -1.0])
    assert -1.0 < margin[2] < 1.0


def test_a_left_out_row_does_not_disagree_with_itself():
    X = np.array([[0.0], [0.0], [1.0], [2.0]], dtype=np.float32)
    training = build_training_set(X, np.array([0, 1, 0, 0]), 2)
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_counts(), 3
    )
    pairs = np.arange(training.n_pairs)
    reached = np.zeros(len(pairs), dtype=np.intp)
    margin = left_out_margin(
        training, neighbors, QueryProblem(6, 3.0, 0.3, 0.02), pairs, reached
    )
    # Without the row of class 1 all others are of class 0.
    without_other = training.pair_code[pairs] == 1
    assert margin[without_other].tolist() == [1.0]
    assert (margin[~without_other] < 1.0).all()


def test_margin_of_a_query_does_not_depend_on_the_others(random):
    points = random.normal(size=(300, 4)).astype(np.float32)
    training = build_training_set(points, random.integers(2, size=300), 2)
    ids, squared = around(random.normal(size=(100, 4)), training, 16)
    codes = random.integers(2, size=100)
    problem = QueryProblem(32, 1.0, 0.3, 0.02)
    together = stored_margin(training, ids, squared, problem, codes, n_threads=2)
    alone = [
        stored_margin(
            training, ids[i : i + 1], squared[i : i + 1], problem, codes[i:][:1]
        )
        for i in range(100)
    ]
    assert_array_equal(together, np.concatenate(alone))


def test_everyone_is_believed_where_nothing_is_lost():
    margin = np.array([0.2, 0.9, 0.5, 0.7])
    assert lowest_margin(margin, np.zeros(4, int), ONES, 0.0) == -1.0


def test_a_loss_at_the_top_believes_nobody():
    margin = np.array([0.9, 0.8, 0.7, 0.6])
    assert lowest_margin(margin, np.array([-1, 0, 0, 0]), ONES, 0.3) == np.inf


def test_the_standard_error_is_in_the_bound():
    margin = np.array([0.9, 0.8, 0.7, 0.6])
    gain = np.array([0, 0, -1, 0])
    # One of four lost, plus sqrt(1) / 4.
    assert lowest_margin(margin, gain, ONES, 0.499) == 0.8
    assert lowest_margin(margin, gain, ONES, 0.5) == -1.0


def test_gains_make_up_for_losses():
    margin = np.array([0.9, 0.8, 0.7, 0.6])
    gain = np.array([1, -1, 0, 0])
    # Level after two, with sqrt(2) / 4 = 0.354.
    assert lowest_margin(margin, gain, ONES, 0.36) == -1.0
    # After one: -1/4 + 1/4, within any tolerance.
    assert lowest_margin(margin, gain, ONES, 0.0) == 0.9


def test_equal_margins_stand_or_fall_together():
    margin = np.array([0.9, 0.8, 0.8, 0.8])
    gain = np.array([0, 0, 0, -1])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2]):
        assert lowest_margin(margin[order], gain[order], ONES, 0.1) == 0.9


def test_copies_weigh_more():
    margin = np.array([0.9, 0.8])
    gain = np.array([0, -1])
    # 1 of 100 rows and sqrt(1) / 100, or 99 of 100.
    assert lowest_margin(margin, gain, np.array([99, 1]), 0.02) == -1.0
    assert lowest_margin(margin, gain, np.array([1, 99]), 0.5) == 0.9


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
    assert report["ef"] == model.ef_ >= 16
    assert report["n_queries"] == len(X_test) == len(short)
    assert report["short_share"] == short.mean()
    assert 0.5 < short.mean() < 1.0
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
    fitted, problem = model._model, model._reading().problem
    decisions, codes = fitted.decisions, fitted.stored.codes
    labels = np.empty(fitted.training.n_nodes, dtype=int)
    labels[fitted.training.node_of_row] = split[2]  # digits have no copies
    queries = fitted.space.map_rows(X_test)
    ids, squared = fitted.index.nearest(queries, 16, ef=model.ef_)
    stored = codes[ids[:, 0]]
    near = ids[:, : decisions.n_unanimous]
    settled = (labels[near] == stored[:, None]).all(axis=1)
    assert fitted.lens is None  # so that nothing is ordered anew
    votes = np.array(
        [
            candidate_votes(fitted.training, i[None], s[None], problem)[0]
            for i, s in zip(ids, squared)
        ]
    )
    own = votes[np.arange(len(ids)), stored]
    votes[np.arange(len(ids)), stored] = 0.0
    margin = np.where(settled, 1.0, own - votes.max(axis=1))
    clear = np.abs(margin - decisions.threshold) > 1e-6
    assert clear.sum() > 0.9 * len(clear)
    assert 0.3 < settled.mean() < 0.95
    short = model.inference_report(X_test)["short_way"]
    assert_array_equal(short[clear], (margin >= decisions.threshold)[clear])


def test_nothing_is_decided_where_unanimous_rows_are_wrong_too():
    # Every label contradicts its own neighborhood as a whole: the stored one is never
    # as good as the vote.
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 2))
    y = random.integers(2, size=400)
    model = KNNGraphClassifier(
        inference="cascade", cascade_tolerance=0.0, random_state=0
    ).fit(X, y)
    assert model.inference_report(X)["short_share"] < 0.2


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


def test_one_row_is_decided():
    model = KNNGraphClassifier(inference="cascade").fit([[1.0, 2.0]], ["a"])
    assert model.decided_.tolist() == [True]
    assert model.predict([[0.0, 0.0]]).tolist() == ["a"]
