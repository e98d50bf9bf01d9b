"""What a cascade resolves, and what it answers."""

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
from knngraph.index.medoids import early_steps
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.calibration import sharpen
from knngraph.inference.cascade import (
    CascadeRule,
    all_agree,
    search_and_resolve,
    stored_margin,
)
from knngraph.inference.cascade_rule import (
    choose_rule,
    evaluate_left_out,
    lowest_margin,
)
from knngraph.inference.near_votes import near_votes
from knngraph.inference.probabilities import favor
from knngraph.inference.query_model import search

ONES = np.ones(4, dtype=int)


def around(queries, training, k):
    return ExactIndex(training.points).nearest(queries.astype(np.float32), k)


def test_margin_is_that_of_votes_that_fall_with_distance(random):
    X = random.normal(size=(80, 3))
    X[40:60] = X[:20]  # copies, some of them with other labels
    y = random.integers(3, size=80)
    training = build_training_set(X.astype(np.float32), y, 3)
    queries = random.normal(size=(30, 3))
    ids, squared = around(queries, training, 9)
    codes = random.integers(3, size=30)
    margin = stored_margin(training, ids, squared, codes, 5.0)
    for q in range(30):
        distances = np.sqrt(((training.points - queries[q]) ** 2).sum(axis=1))
        near = np.argsort(distances)[:9]
        weights = np.exp(
            5.0 * (distances[near[0]] - distances[near]) / distances[near[8]]
        )
        shares = np.zeros(3)
        for node, weight in zip(near, weights):
            on_node = y[training.node_of_row == node]
            shares += weight * np.bincount(on_node, minlength=3) / len(on_node)
        shares /= shares.sum()
        own = shares[codes[q]]
        shares[codes[q]] = -np.inf
        assert margin[q] == pytest.approx(own - shares.max(), abs=1e-5)


def test_sharp_margins_are_those_of_the_nearest():
    training = build_training_set(
        np.array([[0.0], [1.0], [1.1], [1.2]], dtype=np.float32),
        np.array([0, 1, 1, 1]),
        2,
    )
    ids, squared = around(np.array([[0.2]]), training, 4)
    margins = [
        stored_margin(training, ids, squared, np.array([0]), sharpness).item()
        for sharpness in (0.0, 3.0, 24.0)
    ]
    assert margins[0] == pytest.approx(-0.5)
    assert margins == sorted(margins)
    assert margins[2] > 0.99


def test_nodes_of_one_class_agree():
    X = np.arange(12.0)[:, None]
    y = np.repeat([0, 1], 6)
    training = build_training_set(X.astype(np.float32), y, 2)
    ids, squared = around(np.array([[1.2], [9.9], [5.4]]), training, 4)
    codes = np.array([0, 0, 0])
    assert all_agree(training, ids, codes).tolist() == [True, False, False]
    margin = stored_margin(training, ids, squared, codes, 8.0)
    assert_allclose(margin[:2], [1.0, -1.0])
    assert -1.0 < margin[2] < 1.0


@pytest.mark.parametrize("threshold", [-1.0, 0.3, 1.0, 1.1, np.inf])
@pytest.mark.parametrize("n_neighbors", [1, 9])
def test_resolved_where_nodes_agree_or_the_margin_is_large(
    n_neighbors, threshold, random
):
    X = random.normal(size=(80, 2)).astype(np.float32)
    X[70:] = X[:10]
    training = build_training_set(X, (X[:, 0] > 0).astype(int), 2)
    index, stored = ExactIndex(training.points), random.integers(2, size=70)
    queries = random.normal(size=(60, 2)).astype(np.float32)
    problem = QueryProblem(n_neighbors, 1.0, 0.3, 0.02)
    rule = CascadeRule(2, threshold, 8.0)
    ids, squared, agreed, resolved = search_and_resolve(
        index, training, stored, rule, queries, problem, ef=1, n_threads=2
    )
    expected = index.nearest(queries, n_neighbors)
    assert_array_equal(ids, expected[0])
    assert_array_equal(squared, expected[1])
    if threshold > 1.0:  # the candidates vote on all
        assert not agreed.any()
        assert not resolved.any()
        return
    codes, k = stored[ids[:, 0]], max(1, n_neighbors // 2)
    assert_array_equal(agreed, all_agree(training, ids[:, :2], codes))
    margin = stored_margin(training, ids[:, :k], squared[:, :k], codes, 8.0)
    assert_array_equal(resolved, agreed | (margin >= threshold))
    assert agreed.any()
    assert resolved.all() == (threshold == -1.0)


def test_a_left_out_row_does_not_disagree_with_itself():
    X = np.array([[0.0], [0.0], [1.0], [2.0]], dtype=np.float32)
    training = build_training_set(X, np.array([0, 1, 0, 0]), 2)
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), 3
    )
    pairs = np.arange(training.n_pairs)
    reached = np.zeros(len(pairs), dtype=np.intp)
    problem = QueryProblem(6, 3.0, 0.3, 0.02)
    agree, margins = evaluate_left_out(
        training, neighbors, problem, pairs, reached, [3], [3.0, 8.0]
    )
    margin = margins[:, 1]
    # Without the row of class 1 all others are of class 0.
    without_other = training.pair_code[pairs] == 1
    assert margin[without_other].tolist() == [1.0]
    assert agree[:, 0].tolist() == without_other.tolist()
    assert (margin[~without_other] < 1.0).all()


def test_margin_of_a_query_does_not_depend_on_the_others(random):
    points = random.normal(size=(300, 4)).astype(np.float32)
    training = build_training_set(points, random.integers(2, size=300), 2)
    ids, squared = around(random.normal(size=(100, 4)), training, 16)
    codes = random.integers(2, size=100)
    together = stored_margin(training, ids, squared, codes, 8.0)
    alone = [
        stored_margin(training, ids[i : i + 1], squared[i : i + 1], codes[i:][:1], 8.0)
        for i in range(100)
    ]
    assert_array_equal(together, np.concatenate(alone))


def test_all_are_resolved_where_nothing_is_lost():
    margin = np.array([0.2, 0.9, 0.5, 0.7])
    assert lowest_margin(margin, np.zeros(4, int), ONES, 0.0) == -1.0


def test_a_loss_at_the_top_resolves_none():
    margin = np.array([0.9, 0.8, 0.7, 0.6])
    assert lowest_margin(margin, np.array([-1, 0, 0, 0]), ONES, 0.3) == np.inf


def test_the_standard_error_is_in_the_bound():
    margin = np.array([0.9, 0.8, 0.7, 0.6])
    gain = np.array([0, 0, -1, 0])
    # One of four lost, plus 1.5 sqrt(1) / 4.
    assert lowest_margin(margin, gain, ONES, 0.624) == 0.8
    assert lowest_margin(margin, gain, ONES, 0.625) == -1.0


def test_gains_make_up_for_losses():
    margin = np.array([0.9, 0.8, 0.7, 0.6])
    gain = np.array([1, -1, 0, 0])
    # Level after two, with 1.5 sqrt(2) / 4 = 0.530; after one -1/4 + 1.5/4.
    assert lowest_margin(margin, gain, ONES, 0.54) == -1.0
    assert lowest_margin(margin, gain, ONES, 0.52) == 0.9
    assert lowest_margin(margin, gain, ONES, 0.12) == np.inf


def test_equal_margins_stand_or_fall_together():
    margin = np.array([0.9, 0.8, 0.8, 0.8])
    gain = np.array([0, 0, 0, -1])
    for order in ([0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 1, 2]):
        assert lowest_margin(margin[order], gain[order], ONES, 0.1) == 0.9


def test_copies_weigh_more():
    margin = np.array([0.9, 0.8])
    gain = np.array([0, -1])
    # 1 of 100 rows and 1.5 sqrt(1) / 100, or 99 of 100.
    assert lowest_margin(margin, gain, np.array([99, 1]), 0.03) == -1.0
    assert lowest_margin(margin, gain, np.array([1, 99]), 0.5) == 0.9


@pytest.fixture(scope="module")
def split(digits):
    return train_test_split(*digits, test_size=0.4, stratify=digits[1], random_state=0)


@pytest.fixture(scope="module")
def model(split):
    """Trained on 1078 digits; tests read it otherwise through `switched`."""
    X, _, y, _ = split
    return KNNGraphClassifier(
        inference="cascade", metric="euclidean", random_state=0
    ).fit(X, y)


def switched(model, **params):
    """The same fitted state, read otherwise."""
    other = clone(model).set_params(**params)
    other.__dict__.update({k: v for k, v in vars(model).items() if k.endswith("_")})
    other._learned = model._learned
    return other


# Only these searches may end early.
EARLY = {"walk": "medoids"}
SEARCHES = [
    {"walk": "hnsw"},
    EARLY,
    {"walk": "medoids", "ef": 17},
    {"walk": "hnsw", "ef": 100},
]


@pytest.mark.parametrize("params", SEARCHES, ids=str)
def test_a_query_is_resolved_or_answered_by_its_candidates(params, model, split):
    X_test = split[1]
    model = switched(model, **params)
    report = model.inference_report(X_test)
    resolved = report["resolved"]
    assert report["inference"] == "cascade"
    assert report["ef"] == model.ef_ >= 16
    assert report["n_queries"] == len(X_test) == len(resolved)
    assert report["resolved_share"] == resolved.mean()
    assert 0.5 < resolved.mean() < 1.0
    answers, shares = model.predict(X_test), model.predict_proba(X_test)
    # The rest is answered as adaptive inference answers: where the candidates are
    # the same, by the same votes and exponent, to the bit.
    adaptive = switched(model, inference="adaptive", **{"ef": model.ef_} | params)
    unresolved = np.flatnonzero(~resolved)
    found = found_by(model, X_test)
    expected = found_by(adaptive, X_test)
    same = (found.ids == expected.ids).all(axis=1)[found.open]
    if params == EARLY:
        # A search that goes on from where it might have ended finds as much.
        assert same.mean() > 0.9
        squared = found.squared[found.open]
        assert_allclose(squared, expected.squared[found.open], rtol=0.05)
    else:
        assert same.all()
    same = np.intersect1d(found.open[same], unresolved)
    assert len(same)
    assert_array_equal(answers[same], adaptive.predict(X_test)[same])
    assert_array_equal(shares[same], adaptive.predict_proba(X_test)[same])
    # The stored label of the nearest node, and, where the nearest nodes agree, the
    # votes of the 16 nearest that the search has met, with the exponent of such rows.
    fitted = model._model
    stored = fitted.stored
    nodes = node_of_answer(model, X_test)
    expected = model.classes_[stored.codes[nodes[resolved]]]
    assert_array_equal(answers[resolved], expected)
    calibration = fitted.stored_rule.calibration
    fit = calibration.agreed, calibration.agreed_floor
    agreed = np.setdiff1d(np.arange(len(X_test)), found.open)
    assert resolved[agreed].all()
    votes = near_votes(
        fitted.training, found.ids[agreed, :16], found.squared[agreed, :16]
    )
    expected = favor(sharpen(votes, *fit), stored.codes[nodes[agreed]])
    assert_allclose(shares[agreed], expected)
    # Where a margin resolves a query, its candidates vote on the probabilities; its
    # class is raised to the first of theirs.
    by_margin = np.intersect1d(found.open, np.flatnonzero(resolved))
    votes = adaptive.predict_proba(X_test)[by_margin]
    codes = stored.codes[nodes[by_margin]]
    assert_allclose(shares[by_margin], favor(votes, codes), atol=0.05)
    assert_allclose(shares.sum(axis=1), 1.0)
    lookup = switched(model, inference="lookup", ef=100)
    assert (adaptive.predict(X_test) != lookup.predict(X_test)).any()


def found_by(model, X):
    """What the search for the queries finds."""
    options = model._options()
    read = model._query_model(options)
    return search(read, options, read.space.map_rows(X))


def node_of_answer(model, X):
    """The node that the search of the model ends at, which is the nearest."""
    options = model._options()
    read = model._query_model(options)
    queries = read.space.map_rows(X)
    nodes = search(read, options, queries).nodes
    exact, _ = ExactIndex(read.training.points).nearest(queries, 1)
    assert (nodes == exact[:, 0]).mean() > 0.98
    return nodes


def test_an_early_end_is_one_where_the_nearest_nodes_agree(model, split):
    X_test = split[1]
    model = switched(model, walk="medoids")
    options = model._options()
    assert options.ef == 16  # the least: more would forbid an early end
    read = model._query_model(options)
    n_agree, codes = read.rule.n_agree, read.stored.codes
    queries = read.space.map_rows(X_test)
    ids, _, early = read.index.nearest_unless_agreed(
        queries,
        32,
        n_agree=n_agree,
        stored=codes,
        node_classes=read.training.node_classes(),
        ef=64,
        early_ef=16,
    )
    assert 0.2 < early.mean() < 1.0
    near = ids[early, :n_agree]
    labels = read.training.node_classes()[near]
    assert (labels == codes[near[:, :1]]).all()
    assert model.inference_report(X_test)["resolved"][early].all()


@pytest.mark.parametrize("params", SEARCHES, ids=str)
def test_resolved_by_hand(params, model, split):
    X_test = split[1]
    model = switched(model, **params)
    options = model._options()
    read = model._query_model(options)
    rule, codes = read.rule, read.stored.codes
    labels = np.empty(read.training.n_nodes, dtype=int)
    labels[read.training.node_of_row] = split[2]  # digits have no copies
    queries = read.space.map_rows(X_test)
    ids, squared = read.index.nearest(queries, 16, ef=max(64, options.ef))
    stored = codes[ids[:, 0]]
    near = ids[:, : rule.n_agree]
    agree = (labels[near] == stored[:, None]).all(axis=1)
    distances = np.sqrt(squared)
    fall = rule.sharpness / distances[:, -1:]
    weights = np.exp(fall * (distances[:, :1] - distances))
    votes = np.zeros((len(ids), read.training.n_classes))
    for place in range(16):
        np.add.at(
            votes, (np.arange(len(ids)), labels[ids[:, place]]), weights[:, place]
        )
    votes /= votes.sum(axis=1, keepdims=True)
    own = votes[np.arange(len(ids)), stored]
    votes[np.arange(len(ids)), stored] = 0.0
    margin = np.where(agree, 1.0, own - votes.max(axis=1))
    clear = np.abs(margin - rule.threshold) > 1e-6
    assert clear.sum() > 0.9 * len(clear)
    assert 0.3 < agree.mean() < 0.95
    resolved = model.inference_report(X_test)["resolved"]
    assert_array_equal(resolved[clear], (margin >= rule.threshold)[clear])


def test_on_noise_only_what_the_vote_says_too_is_resolved():
    # Rows whose neighbors agree are wrong as often as others, and stored labels are
    # another draw than the vote.
    random = np.random.default_rng(0)
    X, queries = random.normal(size=(400, 2)), random.normal(size=(2000, 2))
    y = random.integers(2, size=400)
    model = KNNGraphClassifier(
        inference="cascade", cascade_tolerance=0.0, random_state=0
    ).fit(X, y)
    resolved = model.inference_report(queries)["resolved"]
    assert resolved.mean() < 0.5
    adaptive = switched(model, inference="adaptive").predict(queries)
    stored = switched(model, inference="lookup", ef=64).predict(queries)
    assert (stored != adaptive).mean() > 0.25
    assert (model.predict(queries) != adaptive)[resolved].mean() < 0.02


def test_reports_of_the_other_two(model, split):
    X_test = split[1][:30]
    report = switched(model, inference="lookup").inference_report(X_test)
    assert report["resolved_share"] == 1.0
    assert report["ef"] == 1
    report = switched(model, inference="adaptive").inference_report(X_test)
    assert report["resolved_share"] == 0.0
    assert report["ef"] == 64


def test_as_accurate_as_adaptive(model, split):
    _, X_test, _, y_test = split
    score = model.score(X_test, y_test)
    best = switched(model, inference="adaptive").score(X_test, y_test)
    assert best > 0.97
    assert score > best - 0.01


def test_resolved_rows(model, split):
    X, _, y, _ = split
    assert model.resolved_.shape == y.shape
    assert model.resolved_.dtype == bool
    # The nearest other row of a resolved one is of its class.
    squared = ((X[:, None] - X[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = squared.argmin(axis=1)
    agree = model.labels_[nearest] == y
    assert agree[model.resolved_].mean() > 0.98
    assert agree[~model.resolved_].mean() < 0.9
    assert_allclose(
        model.resolved_.mean(), model.inference_report(X)["resolved_share"], atol=0.1
    )


def test_a_larger_tolerance_resolves_more():
    X, y = make_moons(500, noise=0.3, random_state=0)
    shares = [
        KNNGraphClassifier(
            inference="cascade", cascade_tolerance=tolerance, random_state=0
        )
        .fit(X, y)
        .inference_report(X)["resolved_share"]
        for tolerance in (0.0, 0.01, 0.1, 1.0)
    ]
    assert shares == sorted(shares)
    assert shares[0] < 0.95
    assert shares[-1] == 1.0


def test_one_row_is_resolved():
    model = KNNGraphClassifier(inference="cascade").fit([[1.0, 2.0]], ["a"])
    assert model.resolved_.tolist() == [True]
    assert model.predict([[0.0, 0.0]]).tolist() == ["a"]


def test_the_rule_reckons_with_the_steps_that_the_search_takes():
    agree = np.ones((100, 3), dtype=bool)
    agree[95:] = False
    agree[95, 0] = True
    margin = np.ones((100, 3))
    margin[95:] = np.array([0.1, 0.6, 0.5, 0.5, 0.5])[:, None]
    gain = np.zeros(100)
    gain[95:97] = -1
    rest = np.ones(100, dtype=int), 32, 0.03
    few, many = early_steps(8191, 2), early_steps(8192, 2)
    # Four rows remain instead of one, for a shorter search, where it is shorter.
    assert choose_rule(agree, margin, gain, *rest, few).n_agree == 4
    assert choose_rule(agree, margin, gain, *rest, many).n_agree == 8
    assert choose_rule(agree, margin, gain, *rest) == choose_rule(
        agree, margin, gain, *rest, few
    )
