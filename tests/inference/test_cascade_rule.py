"""The rule of a cascade, by plain loops over left-out rows and thresholds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import knngraph.inference.cascade_rule as rule_module
from knngraph.graph.neighbors import nearest_others
from knngraph.graph.stored_left_out import StoredVotes
from knngraph.graph.training_set import build_training_set
from knngraph.index.exact import ExactIndex
from knngraph.index.medoids import early_steps
from knngraph.inference.adaptive import QueryProblem
from knngraph.inference.cascade import n_margin_nodes
from knngraph.inference.cascade_rule import (
    ALL_RESOLVED,
    SHARPNESSES,
    agree_sizes,
    apply_rule,
    choose_rule,
    evaluate_left_out,
    learn_rule,
    lowest_margin,
)
from knngraph.inference.leave_one_out import leave_one_out

PROBLEM = QueryProblem(8, 1.5, 0.3, 0.02)


@pytest.fixture(scope="module")
def searched():
    """Rows of three classes, with copies of one label and of two; and their lists."""
    random = np.random.default_rng(2)
    X = np.concatenate([random.normal(c, 1.0, (25, 2)) for c in (0.0, 3.0, 6.0)])
    X[65:75] = X[:10]
    y = np.repeat([0, 1, 2], 25)
    y[65:70], y[70:75] = y[:5], (y[5:10] + 1) % 3
    training = build_training_set(X.astype(np.float32), y, 3)
    points = training.points
    lists = nearest_others(ExactIndex(points), points, training.node_weights(), 10)
    return training, lists


def left_out_by_hand(training, pair, reached, sizes, sharpness):
    """Whether nearest nodes agree, and the margin, without a row of a pair."""
    rows = np.delete(
        np.arange(training.n_rows), np.argmax(training.pair_of_row == pair)
    )
    node, codes = training.node_of_row[rows], training.codes[rows]
    own = training.points[training.pair_node[pair]].astype(float)
    nodes = np.unique(node)
    away = np.sqrt(((training.points[nodes] - own) ** 2).sum(axis=1))
    nearest = np.argsort(away)
    labels = [codes[node == n] for n in nodes]
    agree = [
        all((labels[i] == reached).all() for i in nearest[:size]) for size in sizes
    ]
    if agree[-1]:
        return agree, 1.0
    near = nearest[: n_margin_nodes(PROBLEM.n_neighbors)]
    fall = sharpness / away[near[-1]]
    votes = np.zeros(3)
    for i in near:
        share = np.bincount(labels[i], minlength=3) / len(labels[i])
        votes += np.exp(fall * (away[near[0]] - away[i])) * share
    votes /= votes.sum()
    return agree, votes[reached] - np.delete(votes, reached).max()


def test_left_out_rows_by_hand(searched, random):
    training, lists = searched
    pairs = np.arange(3, training.n_pairs)
    reached = np.where(
        random.random(len(pairs)) < 0.8,
        training.pair_code[pairs],
        random.integers(3, size=len(pairs)),
    )
    sizes, sharpnesses = [1, 2, 4], (3.0, 24.0)
    agree, margin = evaluate_left_out(
        training, lists, PROBLEM, pairs, reached, sizes, sharpnesses
    )
    for place, (pair, code) in enumerate(zip(pairs, reached)):
        for column, sharpness in enumerate(sharpnesses):
            expected = left_out_by_hand(training, pair, code, sizes, sharpness)
            assert agree[place].tolist() == expected[0]
            assert margin[place, column] == pytest.approx(expected[1], abs=1e-5)
    assert 0.1 < agree[:, -1].mean() < 0.9
    assert (agree[:, 0] != agree[:, -1]).any()


@pytest.mark.parametrize("block", [7, 10**6])
def test_a_rule_is_applied_to_left_out_rows(block, searched, monkeypatch):
    training, lists = searched
    pairs = np.arange(2, training.n_pairs)
    stored = training.pair_code[training.node_starts()[:-1]]
    rule = rule_module.CascadeRule(2, 0.4, 8.0)
    monkeypatch.setattr(rule_module, "_PAIRS_PER_BLOCK", block)
    resolved, agreed = apply_rule(rule, training, lists, PROBLEM, stored, pairs)
    alone = training.left_weights(pairs) == 0.0
    nodes = training.pair_node[pairs]
    reached = stored[np.where(alone, lists.ids[nodes, 0], nodes)]
    for place, (pair, code) in enumerate(zip(pairs, reached)):
        agree, margin = left_out_by_hand(training, pair, code, [2], 8.0)
        assert agreed[place] == agree[0]
        assert abs(margin - 0.4) < 1e-6 or resolved[place] == (margin >= 0.4)
    assert 0.1 < agreed.mean() < resolved.mean() < 0.99


@pytest.mark.parametrize("n_rows", [1, 3])
def test_one_node_resolves_all(n_rows):
    training = build_training_set(
        np.zeros((n_rows, 1), np.float32), np.zeros(n_rows), 1
    )
    points = training.points
    lists = nearest_others(ExactIndex(points), points, training.node_weights(), 4)
    found = apply_rule(
        ALL_RESOLVED, training, lists, PROBLEM, np.zeros(1, int), np.arange(1)
    )
    assert [part.tolist() for part in found] == [[True], [True]]


@pytest.mark.parametrize("class_weight", [None, (1.0, 3.0, 0.4)])
@pytest.mark.parametrize("n_learned", [40, 10**6])
def test_a_rule_is_learned_from_what_stored_answers_gain(
    n_learned, class_weight, searched, random, monkeypatch
):
    training, lists = searched
    training = training.with_class_weight(class_weight)
    left_out = leave_one_out(training, lists, PROBLEM)
    sample = np.arange(training.n_pairs)[::-1]
    own, other = training.pair_code[sample], random.integers(3, size=len(sample))
    reached = np.where(random.random(len(sample)) < 0.5, own, other)
    monkeypatch.setattr(rule_module, "RULE_ROWS", n_learned)
    learned = set()
    for tolerance in (0.0, 0.03, 0.1, 0.2, 0.3):
        found = learn_rule(
            training,
            lists,
            PROBLEM,
            left_out,
            StoredVotes(reached, None),
            sample,
            tolerance,
        )
        some, codes = sample[:n_learned], reached[:n_learned]
        sizes = agree_sizes(PROBLEM.n_neighbors)
        agree, margin = evaluate_left_out(
            training, lists, PROBLEM, some, codes, sizes, SHARPNESSES
        )
        given = training.pair_code[some]
        gain = [
            (int(code == own) - int(left_out.right[pair]))
            * (1.0 if class_weight is None else training.class_weight[own])
            for pair, code, own in zip(some, codes, given)
        ]
        assert found == choose_rule(
            agree,
            margin,
            np.array(gain),
            training.pair_weight[some],
            PROBLEM.n_neighbors,
            tolerance,
            early_steps(*training.points.shape),
        )
        learned.add(found)
    assert len(learned) > 1


@pytest.mark.parametrize(("n_rows", "code"), [(1, -1), (2, 0)])
def test_one_node_is_its_own_rule(n_rows, code):
    rows = np.zeros((n_rows, 1), dtype=np.float32)
    training = build_training_set(rows, np.zeros(n_rows), 1)
    points, answers = training.points, StoredVotes(np.array([code]), None)
    lists = nearest_others(ExactIndex(points), points, training.node_weights(), 4)
    left_out = leave_one_out(training, lists, PROBLEM)
    rule = learn_rule(training, lists, PROBLEM, left_out, answers, np.arange(1), 0.01)
    assert rule.threshold <= 1.0
    assert rule.n_agree == 1


def test_sizes_that_may_agree():
    assert agree_sizes(32) == [4, 8, 16]
    assert agree_sizes(9) == [1, 2, 4]
    assert agree_sizes(1) == [1, 1, 1]


def lowest_by_loop(margin, gain, weights, tolerance):
    """Down the margins, as long as the bound of the loss stays within."""
    lowest = np.inf
    for threshold in sorted(set(margin), reverse=True):
        some = margin >= threshold
        loss = -(gain * weights)[some].sum()
        error = np.sqrt((gain**2 * weights)[some].sum())
        if (loss + 1.5 * error) / weights.sum() > tolerance:
            return lowest
        lowest = threshold
    return -1.0


def test_lowest_margins_by_loop(random):
    found = []
    for _ in range(300):
        n = random.integers(1, 30)
        margin = random.integers(0, 12, n) / 8.0  # with ties
        gain = random.choice([-1.0, 0.0, 0.0, 0.0, 1.0, 2.5, -0.5], n)
        weights = random.integers(1, 4, n) / 2.0
        tolerance = random.choice([0.0, 0.05, 0.1, 0.3])
        found.append(lowest_margin(margin, gain, weights, tolerance))
        assert found[-1] == lowest_by_loop(margin, gain, weights, tolerance)
    assert {-1.0, np.inf} < set(found)
    assert len(set(found)) > 8


def test_rules_are_chosen_by_loop(random):
    chosen = set()
    for _ in range(100):
        n, n_neighbors = 60, int(random.choice([8, 16, 32]))
        near = random.integers(0, 4, n)
        agree = near[:, None] >= np.array([1, 2, 3])
        margin = np.where(agree[:, 2:], 1.0, random.integers(-4, 9, (n, 3)) / 8.0)
        gain = random.choice([-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], n)
        weights = random.integers(1, 4, n) / 2.0
        tolerance = random.choice([0.01, 0.05, 0.1])
        steps = int(random.choice([1, 2, 6]))
        best = np.inf
        for column, n_agree in enumerate(agree_sizes(n_neighbors)):
            agreed = agree[:, column]
            saved = max(0.0, 1.0 - steps * n_agree / n_margin_nodes(n_neighbors))
            for place, sharpness in enumerate(SHARPNESSES):
                lead = np.where(agreed, 1.0, margin[:, place])
                threshold = lowest_by_loop(lead, gain, weights, tolerance)
                cost = weights[lead < threshold].sum()
                cost -= 0.15 * saved * weights[agreed].sum()
                if cost < best - 1e-12:  # the first of equals
                    best, expected = cost, (n_agree, threshold, sharpness)
        rule = choose_rule(agree, margin, gain, weights, n_neighbors, tolerance, steps)
        found = rule.n_agree, rule.threshold, rule.sharpness
        assert found == expected
        chosen.add(found[::2])
    assert len(chosen) > 6
    assert_array_equal(sorted({s for _, s in chosen}), SHARPNESSES)
    assert_allclose(ALL_RESOLVED.threshold, 1.0)
