"""Left-out rows that exclude classes, counted one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.graph.training_set import build_training_set, row_hashes
from knngraph.inference.set_scores import SetRule, SetScores, score_keys


@pytest.fixture
def training(random):
    """Rows of four classes, some of them copies, with weights."""
    X = random.integers(0, 12, 40).astype(np.float32)[:, None]
    weight = random.integers(1, 5, 40) / 2.0
    return build_training_set(X, random.integers(4, size=40), 4, row_weight=weight)


def rule_of(training, n_pairs, n_drawn, random, *, per_class):
    pairs = np.sort(random.permutation(training.n_pairs)[:n_pairs])
    if n_pairs == 1:
        pairs[:] = 0  # pair 1 lies behind it
    keys = random.integers(0, 9, n_pairs).astype(np.uint64)
    scores = SetScores(pairs, keys, n_drawn, np.zeros((4, 1)))
    some = slice(None) if per_class else slice(n_drawn)
    rule = SetRule(scores, training, per_class=per_class)
    return rule, pairs[some].tolist(), keys[some].tolist()


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize(("n_pairs", "n_drawn"), [(1, 1), (15, 8), (15, 15)])
def test_rows_with_larger_keys_are_counted(
    n_pairs, n_drawn, per_class, training, random
):
    rule, pairs, keys = rule_of(training, n_pairs, n_drawn, random, per_class=per_class)
    weight, code = training.pair_weight[pairs], training.pair_code[pairs]
    compared = [code == c if per_class else code >= 0 for c in range(4)]
    assert_allclose(rule.n_rows, [weight[some].sum() for some in compared])
    assert_allclose(rule.limits(0.2), 0.8 * (rule.n_rows + 1.0))
    asked = random.integers(0, 10, (6, 4)).astype(np.uint64)
    expected = [
        [weight[some & (keys > key)].sum() for some, key in zip(compared, row)]
        for row in asked
    ]
    assert_allclose(rule.count(asked), expected)


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize(("n_pairs", "n_drawn"), [(1, 1), (15, 8), (15, 15)])
def test_left_out_rows_that_vote_are_found(
    n_pairs, n_drawn, per_class, training, random
):
    rule, pairs, keys = rule_of(training, n_pairs, n_drawn, random, per_class=per_class)
    ids = np.array([random.permutation(training.n_nodes)[:5] for _ in range(7)])
    shares = random.random((7, 5)) * (random.random((7, 5)) < 0.6)
    ids[0, 3:], shares[0, 3:], shares[6] = -1, 0.0, 0.0
    expected = [
        (query, place, pair, keys[pairs.index(pair)])
        for query in range(7)
        for place in range(5)
        if shares[query, place] > 0.0
        for pair in np.flatnonzero(training.pair_node == ids[query, place])
        if pair in pairs
    ]
    voters = rule.voters(ids, shares)
    found = zip(voters.query, voters.place, voters.pair, voters.key)
    assert list(found) == expected
    weight = training.pair_weight[voters.pair, None] * np.ones(4)
    if per_class:
        weight *= training.pair_code[voters.pair, None] == np.arange(4)
    assert_array_equal(voters.weight, weight)
    assert_allclose(
        voters.sums(voters.weight, 7),
        [weight[voters.query == query].sum(axis=0) for query in range(7)],
    )
    some = np.arange(7) % 2 == 0
    at = voters.at(some)
    assert list(zip(at.query, at.place, at.pair, at.key)) == [
        one for one in expected if some[one[0]]
    ]
    assert_array_equal(at.weight, weight[some[voters.query]])


def test_keys_have_the_order_of_scores_and_then_of_a_hash(random):
    points = random.normal(size=(50, 3)).astype(np.float32)
    scores = (random.integers(0, 5, 50) / 4.0).astype(np.float32)
    keys = score_keys(scores, points)
    ties = row_hashes(points, 22) >> np.uint64(32)
    assert keys.dtype == np.uint64
    assert_array_equal(np.argsort(keys), np.lexsort((ties, scores)))
    together = np.column_stack([scores, scores[::-1]])
    both = score_keys(together, points)
    assert_array_equal(both[:, 0], keys)
    assert_array_equal(both[:, 1], score_keys(together[:, 1].copy(), points))
