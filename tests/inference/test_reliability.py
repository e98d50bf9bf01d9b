"""The reliability of labels, against plain loops over rows."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import (
    load_digits,
    load_iris,
    make_blobs,
    make_moons,
)
from sklearn.model_selection import train_test_split

import knngraph.inference.reliability as reliability_module
from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import (
    LabelReliability,
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
    search_candidates,
)
from knngraph.inference.calibration import fit_exponent
from knngraph.inference.leave_one_out import VoteWeights, leave_one_out
from knngraph.inference.reliability import (
    DOUBTS,
    NUGGET_FACTORS,
    estimate_reliability,
    label_probability,
    reliable_votes,
    votes_per_neighbor,
    voting_pairs,
)
from tests.reference import reliable_leave_one_out, votes_by_reliability

PROBLEM = QueryProblem(12, 2.0, 0.3, 0.02)


@pytest.fixture(scope="module")
def rows():
    """Overlapping classes; copies with the same label and with another."""
    X, y = make_blobs(60, centers=3, n_features=3, cluster_std=3.0, random_state=1)
    X = np.concatenate([X, X[:12], X[:4]]).astype(np.float32)
    y = np.concatenate([y, y[:7], (y[7:12] + 1) % 3, y[:4]])
    return X, y


def wrong_labels(y, share, random, n_classes):
    """Labels of which a share is another class."""
    other = (y + random.integers(1, n_classes, size=len(y))) % n_classes
    return np.where(random.random(len(y)) < share, other, y)


def left_out_of(training, problem=PROBLEM):
    neighbors = nearest_others(
        ExactIndex(training.points), training.points, training.node_weights(), 20
    )
    all_pairs = np.arange(training.n_pairs)
    pairs = voting_pairs(training, neighbors, problem, all_pairs)
    weights = VoteWeights(pairs, problem.n_neighbors)
    left_out = leave_one_out(training, neighbors, problem, weights=weights)
    return neighbors, left_out, weights


def test_label_probability_by_hand():
    # Equal votes leave what is known beforehand: one label in five is wrong, and
    # each of the two other classes is given for half of those.
    equal = np.array([0.4])
    assert_allclose(label_probability(equal, equal, 0.2, 1.0, 3), 0.8 / 0.9)
    # Odds of the votes, floor included, times 4 to 1.
    odds = (0.3 + 0.025) ** 2 / (0.7 + 0.025) ** 2 * 4.0
    probability = label_probability(np.array([0.3]), np.array([0.7]), 0.2, 2.0, 2)
    assert_allclose(probability, odds / (1.0 + odds))


def test_label_probability_at_the_ends():
    own, rival = np.array([0.0, 0.5, 1.0]), np.array([1.0, 0.5, 0.0])
    assert_array_equal(label_probability(own, rival, 0.0, 3.0, 2), np.ones(3))
    assert_array_equal(label_probability(own, rival, 0.0, 3.0, 1), np.ones(3))
    probability = label_probability(own, rival, 0.4, 1.0, 5)
    assert (np.diff(probability) > 0).all()
    assert ((probability > 0) & (probability < 1)).all()


def test_an_unreliable_label_passes_its_vote_on():
    points = np.array([[-1.0], [1.0]], dtype=np.float32)
    training = build_training_set(points, np.array([0, 1]), 3)
    ids, squared = ExactIndex(points).nearest(np.zeros((1, 1), np.float32), 2)
    by_code = np.argsort(training.pair_code)
    own, rival = np.empty(2), np.empty(2, dtype=np.int32)
    own[by_code], rival[by_code] = [0.7, 1.0], [2, 0]
    reliability = LabelReliability(own, rival, doubt=0.2, nugget_factor=1.0)
    problem = QueryProblem(2, 1.0, 0.3, 0.02)
    votes = candidate_votes(training, ids, squared, problem, reliability=reliability)
    assert_allclose(votes, [[0.35, 0.5, 0.15]], atol=1e-4)


@pytest.mark.parametrize("class_weight", [None, (1.0, 4.0, 0.5)])
@pytest.mark.parametrize("noise", DOUBTS)
@pytest.mark.parametrize("factor", [1.0, 10.0 / 3.0])
def test_left_out_votes_recomputed(noise, factor, class_weight, rows):
    X, y = rows
    training = build_training_set(X, y, 3).with_class_weight(class_weight)
    neighbors, left_out, weights = left_out_of(training)
    pairs = np.arange(training.n_pairs)
    ids, squared = leave_one_out_candidates(
        training, neighbors, pairs, PROBLEM.n_neighbors
    )
    scaled = QueryProblem(12, 2.0, 0.3 * factor, 0.02)
    shares = np.zeros(ids.shape)
    plain = candidate_votes(
        training, ids, squared, scaled, left_out=pairs, shares=shares
    )
    of_neighbors = votes_per_neighbor(training, left_out, weights, pairs, ids, shares)
    votes = of_neighbors.count(noise, left_out.exponent, 3)
    expected = reliable_leave_one_out(
        X.astype(np.float64),
        y,
        3,
        12,
        2.0,
        0.3,
        factor,
        noise,
        left_out.exponent,
        class_weight=1.0 if class_weight is None else np.array(class_weight),
    )
    assert_allclose(votes[training.pair_of_row], expected, atol=1e-4)
    if noise == 0.0:
        assert_allclose(votes, plain, atol=1e-12)


@pytest.mark.parametrize("class_weight", [None, (1.0, 4.0, 0.5)])
@pytest.mark.parametrize("block", [10, 10**6])
def test_votes_of_reliable_labels_recomputed(block, class_weight, rows, monkeypatch):
    X, y = rows[0][:40], rows[1][:40].copy()
    X, y = np.concatenate([X, X[:6]]), np.concatenate([y, (y[:6] + 1) % 4])
    y[20] = 4  # the only one of its class
    weights = 1.0 if class_weight is None else np.array([*class_weight, 1.0, 2.0])
    training = build_training_set(X, y, 5)
    if class_weight is not None:
        training = training.with_class_weight(tuple(weights))
    neighbors, left_out, _ = left_out_of(training)
    pairs = np.arange(training.n_pairs)[::3][::-1]
    doubted = LabelReliability(
        np.full(training.n_pairs, np.nan), left_out.rival_code, 0.2, 10.0 / 3.0
    )
    left_out = replace(left_out, reliability=doubted, label_exponent=1.5, exponent=9.0)
    monkeypatch.setattr(reliability_module, "PAIRS_PER_BLOCK", block)
    votes = reliable_votes(training, neighbors, PROBLEM, left_out, pairs, n_threads=2)
    expected = reliable_leave_one_out(
        X.astype(np.float64),
        y,
        5,
        12,
        2.0,
        0.3,
        10.0 / 3.0,
        0.2,
        1.5,
        class_weight=weights,
        rivals_without=True,
    )
    row_of_pair, _ = training.rows_of_pairs()
    assert_allclose(votes, expected[row_of_pair[pairs]], atol=1e-4)


@pytest.mark.parametrize("factor", [None, 1.0, 10.0 / 3.0])
def test_labels_without_doubt_have_the_whole_vote(factor, rows):
    training = build_training_set(*rows, 3)
    neighbors, left_out, _ = left_out_of(training)
    pairs = np.arange(4, 50)
    problem = PROBLEM
    if factor is not None:
        own, rival = np.ones(training.n_pairs), left_out.rival_code
        reliability = LabelReliability(own, rival, 0.0, factor)
        left_out = replace(left_out, reliability=reliability)
        problem = replace(problem, nugget=factor * problem.nugget)
    votes = reliable_votes(training, neighbors, PROBLEM, left_out, pairs)
    found = leave_one_out_candidates(training, neighbors, pairs, problem.n_neighbors)
    expected = candidate_votes(training, *found, problem, left_out=pairs)
    assert_array_equal(votes, expected)


def test_pairs_that_vote_are_those_on_candidates(rows):
    training = build_training_set(*rows, 3)
    neighbors, _, _ = left_out_of(training)
    sample = np.array([9, 3, 40])
    ids, _ = leave_one_out_candidates(training, neighbors, sample, 12)
    expected = [p for p in range(training.n_pairs) if training.pair_node[p] in ids]
    assert voting_pairs(training, neighbors, PROBLEM, sample).tolist() == expected
    assert len(expected) < training.n_pairs


@pytest.mark.parametrize("share", [0.0, 0.3])
@pytest.mark.parametrize("n_rows", [20, 30, 76])
def test_the_choice_is_the_best_that_leads_clearly(n_rows, share, rows, random):
    X, y = rows[0][:n_rows], rows[1][:n_rows]
    y = wrong_labels(y, share, random, 3)
    training = build_training_set(X, y, 3)
    neighbors, plain, weights = left_out_of(training)
    left_out = estimate_reliability(
        training, neighbors, PROBLEM, plain, weights, np.arange(training.n_pairs)
    )
    right = {
        (factor, noise): reliable_leave_one_out(
            X.astype(np.float64), y, 3, 12, 2.0, 0.3, factor, noise, plain.exponent
        ).argmax(axis=1)
        == y
        for factor in NUGGET_FACTORS
        for noise in DOUBTS
    }
    gained = {setting: r.astype(int) - right[1.0, 0.0] for setting, r in right.items()}
    lead = {
        (factor, noise): gained[factor, noise].sum()
        - 2 * (noise > (~right[factor, 0.0]).mean())
        for factor, noise in right
    }
    best = max(lead, key=lead.__getitem__)  # first of equals
    chosen = (1.0, 0.0)
    if lead[best] > 0.5 * np.sqrt((gained[best] ** 2).sum()):
        chosen = best
        reliability = left_out.reliability
        assert (reliability.nugget_factor, reliability.doubt) == chosen
    else:
        assert left_out is plain
    assert_allclose(left_out.score, right[chosen].mean())
    assert_allclose(
        left_out.score, np.average(left_out.right, weights=training.pair_weight)
    )


@pytest.mark.parametrize("class_weight", [None, (0.2, 1.0, 3.0)])
def test_the_choice_on_samples_of_any_size(class_weight, rows, random):
    X, y = rows
    y = wrong_labels(y, 0.25, random, 3)
    training = build_training_set(X, y, 3).with_class_weight(class_weight)
    neighbors, plain, weights = left_out_of(training)
    plain, chosen = replace(plain, exponent=0.7), []
    for _ in range(60):
        sample = random.permutation(training.n_pairs)[: random.integers(1, 25)]
        nearest = leave_one_out_candidates(training, neighbors, sample, 12)
        given, in_score = training.pair_code[sample], training.score_weights(sample)
        counted = in_score / min(1.0, in_score.mean())
        best, setting, expected, right = 0.0, None, None, {}
        for factor in NUGGET_FACTORS:
            shares = np.zeros(nearest[0].shape)
            problem = replace(PROBLEM, nugget=factor * PROBLEM.nugget)
            candidate_votes(training, *nearest, problem, left_out=sample, shares=shares)
            voters = votes_per_neighbor(
                training, plain, weights, sample, nearest[0], shares
            )
            for doubt in DOUBTS:
                votes = voters.count(doubt, plain.exponent, 3)
                right[factor, doubt] = votes.argmax(axis=1) == given
                gains = right[factor, doubt].astype(int) - right[1.0, 0.0]
                lead = (gains * counted).sum()
                wrong = in_score[~right[factor, 0.0]].sum() / in_score.sum()
                lead -= 2 * (doubt > wrong)
                if lead > best:
                    best, setting, expected = lead, (factor, doubt), votes
                    error = np.sqrt((gains**2 * counted).sum())
        found = estimate_reliability(
            training, neighbors, PROBLEM, plain, weights, sample, n_threads=2
        )
        if setting is None or best <= 0.5 * error:
            assert found is plain
            continue
        reliability = found.reliability
        assert (reliability.nugget_factor, reliability.doubt) == setting
        hits = right[setting]
        assert_array_equal(found.right[sample], hits)
        rest = np.delete(np.arange(training.n_pairs), sample)
        assert_array_equal(found.right[rest], plain.right[rest])
        assert found.score == pytest.approx(in_score[hits].sum() / in_score.sum())
        assert found.exponent == fit_exponent(expected, given, in_score)
        own = label_probability(
            plain.own_share, plain.rival_share, setting[1], plain.exponent, 3
        )
        assert_array_equal(reliability.own, own)
        assert_array_equal(reliability.rival, plain.rival_code)
        chosen.append((setting, best))
    assert len({setting for setting, _ in chosen}) > 3
    assert class_weight or min(best for _, best in chosen) == 1.0


@pytest.mark.parametrize("max_neighbors", [1, 2, 3, 5])
def test_few_votes_are_no_evidence_of_wrong_labels(max_neighbors):
    X, y = load_iris(return_X_y=True)
    model = KNNGraphClassifier(
        inference="adaptive", max_neighbors=max_neighbors, random_state=0
    ).fit(X, y)
    assert model.label_doubt_ == 0.0
    assert_array_equal(model.predict(X), y)


def test_small_weights_are_evidence_as_rows_are(random):
    X, y = make_moons(300, noise=0.2, random_state=3)
    y = wrong_labels(y, 0.2, random, 2)
    fitted = [
        KNNGraphClassifier(inference="adaptive", random_state=0).fit(
            X, y, sample_weight=np.full(len(y), weight)
        )
        for weight in (1.0, 1.0 / 512)
    ]
    assert fitted[0].label_doubt_ == fitted[1].label_doubt_ > 0.0


def test_queries_recomputed(random):
    X, y = make_moons(300, noise=0.25, random_state=3)
    X, y = X + random.normal(scale=1e-3, size=X.shape), y
    y = wrong_labels(y, 0.25, random, 2)
    model = KNNGraphClassifier(
        inference="adaptive", metric="euclidean", ef=300, random_state=0
    ).fit(X[:240], y[:240])
    assert model.label_doubt_ > 0.0
    fitted = model._model
    pair = fitted.training.pair_of_row
    votes = votes_by_reliability(
        X[:240],
        y[:240],
        2,
        X[240:],
        32,
        model.query_bandwidth_,
        model.query_nugget_,
        fitted.reliability.own[pair],
        fitted.reliability.rival[pair],
    )
    queries = fitted.space.map_rows(X[240:])
    index, problem = fitted.rows.index, fitted.problem
    ids, squared = search_candidates(index, queries, problem, ef=300)
    counted = candidate_votes(
        fitted.training, ids, squared, problem, reliability=fitted.reliability
    )
    assert_allclose(counted, votes, atol=0.01)
    clear = np.abs(votes[:, 0] - 0.5) > 0.02
    assert clear.sum() > 40
    assert_array_equal(model.predict(X[240:])[clear], votes.argmax(axis=1)[clear])


@pytest.mark.parametrize("metric", ["euclidean", "auto"])
def test_wrong_labels_are_less_reliable_than_right_ones(metric, random):
    X, y = load_digits(return_X_y=True)
    X, y = X[:900], y[:900]
    given = wrong_labels(y, 0.2, random, 10)
    wrong = given != y
    model = KNNGraphClassifier(
        inference="adaptive", metric=metric, support="local", random_state=0
    )
    model.fit(X, y)
    if metric == "euclidean":
        assert model.label_doubt_ <= 0.05
    # Whatever share is assumed: labels that are right keep their votes.
    reliability = model._model.reliability
    assert reliability is None or np.quantile(reliability.own, 0.02) > 0.95
    model.fit(X, given)
    assert model.label_doubt_ > 0.0
    own = model._model.reliability.own[model._model.training.pair_of_row]
    assert own[wrong].mean() < 0.6
    assert own[~wrong].mean() > 0.9
    assert np.quantile(own[wrong], 0.9) < np.median(own[~wrong])


def test_the_score_is_honest(random):
    X, y = make_moons(1200, noise=0.3, random_state=0)
    y = wrong_labels(y, 0.2, random, 2)
    X, X_test, y, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    assert model.label_doubt_ > 0.0
    # Reliabilities that the row itself took part in would promise several points more.
    assert abs(model.loo_score_ - model.score(X_test, y_test)) < 0.03


def test_labels_are_the_plain_vote():
    X, y = make_moons(200, noise=0.4, random_state=0)
    model = KNNGraphClassifier(inference="adaptive", vote="labels", random_state=0)
    model.fit(X, y)
    assert model._model.reliability is None
    assert model.label_doubt_ == 0.0
    assert model.query_nugget_ == model.query_nugget == 0.3
    reliable = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    assert reliable.loo_score_ >= model.loo_score_
    factor = reliable.query_nugget_ / reliable.query_nugget
    assert any(np.isclose(factor, NUGGET_FACTORS))


def test_suspects_do_not_depend_on_the_vote():
    X, y = make_moons(200, noise=0.4, random_state=0)
    ranked = [
        KNNGraphClassifier(vote=vote, ef=32, random_state=0)
        .fit(X, y)
        .suspect_labels()
        .rows
        for vote in ("labels", "reliability")
    ]
    assert_array_equal(*ranked)


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_rows(n_rows):
    X, y = np.arange(float(n_rows))[:, None], np.array([4, 7, 4])[:n_rows]
    model = KNNGraphClassifier(inference="adaptive", random_state=0).fit(X, y)
    assert set(model.predict(X)) <= set(y)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)
    reliability = model._model.reliability
    assert reliability is None or np.isfinite(reliability.own).all()


def test_a_wrong_vote_is_refused():
    for estimator in (KNNGraphClassifier, KNNGraphClassifierCV):
        with pytest.raises(ValueError, match="'vote' parameter"):
            estimator(vote="heavy").fit([[0.0], [1.0]], [0, 1])
