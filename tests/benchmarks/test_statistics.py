"""Statistics of the reports against values worked by hand, by scipy and by R."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.statistics import (
    average_ranks,
    compare,
    holm,
    mean_and_spread,
    power_of_growth,
    signed_rank_p,
    win_tie_loss,
)


def test_spread_is_that_of_a_sample():
    mean, spread = mean_and_spread([2.0, 4.0, 4.0, 6.0])
    assert mean == 4.0
    assert spread == pytest.approx(np.sqrt(8.0 / 3.0))
    assert np.isnan(mean_and_spread([1.0])[1])


def test_ranks_share_ties():
    scores = np.array([[0.9, 0.5, 0.7], [0.8, 0.5, 0.7], [0.7, 0.5, 0.9]])
    np.testing.assert_allclose(average_ranks(scores), [5.5 / 3, 6.5 / 3, 6.0 / 3])


def test_rounding_of_sums_does_not_break_a_tie():
    scores = np.array([[0.1 + 0.2], [0.3]])
    assert average_ranks(scores).tolist() == [1.5, 1.5]
    assert win_tie_loss(scores[0], scores[1]) == (0, 1, 0)


def test_win_tie_loss():
    own, rival = np.array([3.0, 2.0, 1.0, 1.0]), np.array([1.0, 2.0, 2.0, 1.04])
    assert win_tie_loss(own, rival) == (1, 1, 2)
    assert win_tie_loss(own, rival, margin=0.05) == (1, 2, 1)


def test_no_test_below_five_sets():
    assert signed_rank_p([4, 3, 2, 1], [0, 0, 0, 0]) is None
    assert signed_rank_p([1, 2, 3, 4, 5], [1, 2, 3, 4, 5]) is None
    # All signs agree: two of the 32 sign patterns are as extreme.
    assert signed_rank_p([5, 4, 3, 2, 1], np.zeros(5)) == pytest.approx(2 / 32)
    assert signed_rank_p([6, 5, 4, 3, 2, 1], np.zeros(6)) == pytest.approx(2 / 64)


def test_signed_rank_is_that_of_scipy():
    random = np.random.default_rng(3)
    own, rival = random.normal(size=(2, 12))
    expected = stats.wilcoxon(own - rival).pvalue
    assert signed_rank_p(own, rival) == pytest.approx(expected)


def test_holm_adjusts_known_values_alone():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R.
    adjusted = holm([0.01, 0.04, None, 0.03, 0.005])
    assert adjusted == [pytest.approx(p) if p else None for p in (
        0.03, 0.06, None, 0.06, 0.02,
    )]  # fmt: skip
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def scores_of(n_sets):
    random = np.random.default_rng(0)
    base = random.uniform(0.5, 0.9, size=n_sets)
    gains = {"ours": 0.0, "better": 0.05, "worse": -0.05}
    return {
        method: {f"set {i}": base[i] + gain * (1 + 0.1 * i) for i in range(n_sets)}
        for method, gain in gains.items()
    }


def test_comparison_with_a_reference():
    sets, found = compare(scores_of(8), "ours")
    assert len(sets) == 8
    assert [c.method for c in found] == ["better", "ours", "worse"]
    assert [c.rank for c in found] == [1.0, 2.0, 3.0]
    assert (found[0].wins, found[0].ties, found[0].losses) == (8, 0, 0)
    assert (found[2].wins, found[2].ties, found[2].losses) == (0, 0, 8)
    assert found[1].gain is None
    assert found[1].p is None
    # Two of 256 patterns, times two comparisons.
    assert found[0].p == pytest.approx(4 / 256)
    assert found[0].is_significant


def test_few_sets_are_never_significant():
    _, found = compare(scores_of(4), "ours")
    assert [c.p for c in found] == [None, None, None]
    assert not any(c.is_significant for c in found)


def test_sets_that_a_method_lacks_stay_out():
    scores = {"a": {"x": 1.0, "y": 0.0}, "b": {"x": 0.5}}
    sets, found = compare(scores, "a")
    assert sets == ["x"]
    assert found[0].mean == 1.0
    assert compare({"a": {"x": 1.0}, "b": {"y": 1.0}}, "a") == ([], [])


def test_exponent_and_its_error_are_those_of_a_regression():
    sizes = np.array([1e4, 3e4, 1e5, 1e6])
    costs = 3e-6 * sizes**1.3 * np.array([1.1, 0.9, 1.05, 1.0])
    expected = stats.linregress(np.log(sizes), np.log(costs))
    b, error = power_of_growth(sizes, costs)
    assert b == pytest.approx(expected.slope)
    assert error == pytest.approx(expected.stderr)
    assert np.isnan(power_of_growth(sizes[:2], costs[:2])[1])
    assert np.isnan(power_of_growth(sizes[:1], costs[:1])[0])
