"""Left-out rows, against models that never saw them."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs

import knngraph.inference.adaptive as adaptive
import knngraph.inference.leave_one_out as leaving
from knngraph import KNNGraphClassifier
from knngraph.graph.changed_rows import PendingRows, change_rows
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.training_set import build_training_set, row_hashes
from knngraph.index.exact import ExactIndex
from knngraph.inference.adaptive import (
    LabelReliability,
    QueryProblem,
    candidate_votes,
    leave_one_out_candidates,
)
from knngraph.inference.calibration import fit_exponent_and_floor
from knngraph.inference.leave_one_out import (
    VoteWeights,
    calibrate_stored,
    leave_one_out,
    leave_one_out_grid,
    take_rivals,
)
from knngraph.inference.reliability import answer_open_pairs, label_probability
from tests.graph.changing import Changing, exact_lists

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


def test_the_first_class_is_no_answer_without_candidates():
    training = build_training_set(np.zeros((1, 2), np.float32), np.zeros(1), 2)
    right, own_share = leave_one_out_grid(
        training, exact_neighbors(training, 20), PROBLEMS, np.arange(1)
    )
    assert right.tolist() == [[False]] * len(PROBLEMS)
    assert own_share.tolist() == [[0.0]] * len(PROBLEMS)


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


def test_rivals_are_the_largest_of_the_others():
    votes = np.array([[0.5, 0.3, 0.2], [0.1, 0.0, 0.9], [0.0, 1.0, 0.0], [0, 0.5, 0.5]])
    codes, shares = take_rivals(votes, np.array([0, 2, 1, 0]))
    assert codes.tolist() == [1, 0, 1, 1]  # its own where there is no other vote
    assert shares.tolist() == [0.3, 0.1, 0.0, 0.5]


@pytest.mark.parametrize("with_pairs", [False, True])
def test_only_honest_rows_are_in_score_and_exponent(with_pairs, rows):
    training = build_training_set(*rows, 3).with_class_weight((1.0, 3.0, 0.5))
    neighbors, problem = exact_neighbors(training, 20), PROBLEMS[0]
    pairs = np.arange(4, 60) if with_pairs else np.arange(training.n_pairs)
    honest = np.arange(3, len(pairs), 2)
    given = {"pairs": pairs} if with_pairs else {}
    found = leave_one_out(training, neighbors, problem, honest=honest, **given)
    every = leave_one_out(training, neighbors, problem)
    for name in ("right", "own_share", "rival_code", "rival_share"):
        assert_array_equal(getattr(found, name), getattr(every, name)[pairs])
    weights = (
        training.pair_weight[pairs]
        * np.array([1.0, 3.0, 0.5])[training.pair_code[pairs]]
    )
    scale = training.class_weight[0]  # their mean over the rows is one
    assert_allclose(training.score_weights(pairs), scale * weights)
    score = np.average(found.right[honest], weights=weights[honest])
    assert_allclose(found.score, score)
    alone = leave_one_out(training, neighbors, problem, pairs=pairs[honest])
    assert found.exponent == found.label_exponent == alone.exponent != every.exponent
    assert found.score == alone.score


@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize(("n_gone", "n_new"), [(0, 0), (9, 0), (0, 9), (20, 20)])
def test_answers_after_a_change(n_gone, n_new, reliable):
    changed = Changing(n_gone + n_new, 100, n_gone, n_new)
    before, change, problem = changed.before, changed.change, PROBLEMS[0]
    after = change.training
    left_out = leave_one_out(before, exact_lists(before, 12), problem)
    if reliable:
        own = np.linspace(0.1, 1.0, before.n_pairs)
        reliability = LabelReliability(own, left_out.rival_code, 0.2, 1.0)
        left_out = replace(left_out, reliability=reliability, label_exponent=1.7)
    waiting = left_out.after(change)
    is_open = change.touched[after.pair_node]
    assert_array_equal(waiting.open_pairs, np.flatnonzero(is_open))
    old = np.full(after.n_pairs, -1)
    for pair, now in enumerate(change.pair_now):
        old[now] = pair if now >= 0 else old[now]
    kept, lists = np.flatnonzero(~is_open), exact_lists(after, 12)
    answered = answer_open_pairs(waiting, after, lists, problem, n_threads=2)
    fresh = leave_one_out(after, lists, problem)
    assert (answered is waiting) == (n_gone + n_new == 0)
    for name in ("right", "own_share", "rival_code", "rival_share"):
        found = getattr(answered, name)
        assert_array_equal(found[kept], getattr(left_out, name)[old[kept]])
        assert_array_equal(found[is_open], getattr(fresh, name)[is_open])
    for name in ("exponent", "label_exponent", "score"):
        assert getattr(answered, name) == getattr(left_out, name)
    if not reliable:
        assert answered.reliability is None
        return
    found = answered.reliability
    assert_array_equal(found.rival, answered.rival_code)
    assert_array_equal(found.own[kept], own[old[kept]])
    shares = fresh.own_share[is_open], fresh.rival_share[is_open]
    expected = label_probability(*shares, 0.2, 1.7, after.n_classes)
    assert_array_equal(found.own[is_open], expected)
    # What was there before is as it was.
    assert_array_equal(waiting.reliability.own[kept], own[old[kept]])
    assert np.isnan(waiting.own_share[is_open]).all()


def test_any_row_may_go(rows):
    training = build_training_set(rows[0][:20], rows[1][:20], 3)
    left_out = leave_one_out(training, exact_neighbors(training, 9), PROBLEMS[1])
    hashes = row_hashes(training.points, 0)
    for gone in range(20):
        pending = PendingRows(np.delete(np.arange(20), gone))
        waiting = left_out.after(change_rows(training, hashes, pending, 0))
        stays = np.delete(np.arange(20), training.pair_of_row[gone])
        for name in ("right", "own_share", "rival_code", "rival_share"):
            assert_array_equal(getattr(waiting, name), getattr(left_out, name)[stays])


@pytest.mark.parametrize("n_agreed", [49, 50])
def test_stored_votes_are_calibrated_where_rows_were_reached(n_agreed, random):
    X = np.arange(90, dtype=np.float32)[:, None]
    training = build_training_set(X, random.integers(3, size=90), 3)
    training = training.with_class_weight((1.0, 2.0, 4.0))
    sample = np.arange(5, 85)
    at_node, at_query = random.dirichlet(np.full(3, 0.5), (2, 80))
    at_node[:4] = at_query[2:8] = 0.0  # no other row is there
    agreed = np.zeros(80, dtype=bool)
    agreed[1 : 8 + n_agreed] = True  # of these the first were not reached
    found = calibrate_stored(training, at_node, at_query, sample, agreed, 1.25)
    reached = np.arange(8, 80)
    sure = reached if n_agreed == 49 else np.arange(8, 58)
    codes, weights = training.pair_code[sample], training.score_weights(sample)
    expected = [
        fit_exponent_and_floor(votes[some], codes[some], weights[some])
        for votes, some in ((at_node, reached), (at_query, sure))
    ]
    assert found.adaptive == 1.25
    assert (found.stored, found.stored_floor) == expected[0]
    assert (found.agreed, found.agreed_floor) == expected[1]
    assert expected[1] != fit_exponent_and_floor(
        at_query[8:57], codes[8:57], weights[8:57]
    )
