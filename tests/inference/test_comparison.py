"""Settings compared by leave-one-out answers: by hand, and by adding up row by row."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from knngraph.graph.training_set import build_training_set
from knngraph.inference.comparison import Comparison, rows_to_compare


def compared(right, weights=None, own_share=None):
    right = np.asarray(right, dtype=bool)
    weights = np.ones(right.shape[1]) if weights is None else np.asarray(weights)
    own_share = right * 1.0 if own_share is None else np.asarray(own_share)
    params = [{"k": number} for number in range(len(right))]
    return Comparison(params, right, own_share, weights)


def test_weighted_rows_and_shares_between_equals():
    right = [[1, 1, 0, 0], [0, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]]
    share = [[0.6, 0.6, 0.1, 0.1], [0.9] * 4, [0.6, 0.6, 0.2, 0.1], [0.9] * 4]
    found = compared(right, [1.0, 1.0, 3.0, 1.0], share)
    assert_allclose(found.scores, [2 / 6, 3 / 6, 2 / 6, 1 / 6])
    assert found.best_params == {"k": 1}
    assert found.best_score == pytest.approx(0.5)
    results = found.results
    assert results["params"] == found.params
    assert_array_equal(results["mean_test_score"], found.scores)
    # The third is as often right as the first, and surer of its labels.
    assert results["rank_test_score"].tolist() == [3, 1, 2, 4]


@pytest.mark.parametrize("weighted", [False, True])
def test_a_lead_is_that_of_the_best_settings_row_by_row(weighted, random):
    for _ in range(200):
        n_rows = int(random.integers(4, 60))
        weights = random.uniform(0.2, 3.0, n_rows) if weighted else np.ones(n_rows)
        chance = random.uniform(0.3, 0.95, 2)
        one, other = (compared(random.random((2, n_rows)) < p, weights) for p in chance)
        best, simple = (c.right[np.argmax(c.scores)] for c in (one, other))
        gains = best.astype(int) - simple.astype(int)
        rows = weights / weights.mean()
        total = sum(gain * row for gain, row in zip(gains, rows))
        noise = np.sqrt(sum(gain**2 * row for gain, row in zip(gains, rows)))
        wrong = sum(row for right, row in zip(simple, rows) if not right)
        if len(set(map(tuple, one.right))) == len(set(map(tuple, other.right))) == 2:
            assert one.leads(other) == (total > 0.5 * noise + 0.05 * wrong)


def test_a_lead_by_chance_is_none():
    # Ten gains: half of their error is 1.6, a twentieth of ten wrong answers 0.5.
    simple = compared([[1] * 90 + [0] * 10])
    gained = np.array([[1] * 90 + [1] * 10])
    assert compared(gained).leads(simple)
    assert not simple.leads(simple)
    gained[0, 92:] = 0
    # Two gains: 0.7 and 0.5.
    assert compared(gained).leads(simple)
    gained[0, 91] = 0
    # One: 0.5 and 0.5 are not less.
    assert not compared(gained).leads(simple)
    # Nothing is gained where nothing is wrong.
    perfect = compared([[1, 1, 1]])
    assert not perfect.leads(perfect)


def test_rows_that_no_candidate_has_seen():
    rows = np.arange(6, dtype=np.float32)[:, None]
    codes = np.array([0, 1, 0, 1, 0, 1])
    training = build_training_set(rows[[0, 1, 2, 3, 4, 5, 5]], codes[[*range(6), 5]], 2)
    pair = training.pair_of_row
    honest = np.sort(pair[[0, 2, 5]]), np.sort(pair[[2, 3, 5]])
    both = [(training, some) for some in honest]
    assert sorted(rows_to_compare(both, 9)) == [2, 5]
    assert len(rows_to_compare(both, 1)) == 1
    one = rows_to_compare(both[:1], 9)
    assert_array_equal(training.pair_of_row[one], honest[0])
    # None in common: those of the first.
    apart = [(training, np.sort(pair[[0, 1]])), (training, np.sort(pair[[2, 3]]))]
    assert_array_equal(rows_to_compare(apart, 9), rows_to_compare(apart[:1], 9))
