"""Statistics of the reports against values worked by hand, by scipy and by R."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmarks.statistics import (
    compare,
    holm,
    lines_of,
    mean_ranks,
    power_of_growth,
    signed_rank_p,
)


def test_ranks_share_ties():
    scores = pd.DataFrame([[0.9, 0.8, 0.7], [0.5, 0.5, 0.5], [0.7, 0.7, 0.9]])
    np.testing.assert_allclose(mean_ranks(scores), [5.5 / 3, 6.5 / 3, 6.0 / 3])


def test_rounding_of_sums_does_not_break_a_tie():
    scores = pd.DataFrame({"sum": [0.1 + 0.2], "whole": [0.3]})
    assert mean_ranks(scores).tolist() == [1.5, 1.5]
    assert counts(scores["sum"], scores["whole"]) == (0, 1, 0)


def counts(own, rival, margin=0.0):
    scores = pd.DataFrame({"own": own, "rival": rival})
    return tuple(
        compare(scores, "rival", margin).loc["own", ["wins", "ties", "losses"]]
    )


def test_win_tie_loss():
    own, rival = [3.0, 2.0, 1.0, 1.0], [1.0, 2.0, 2.0, 1.04]
    assert counts(own, rival) == (1, 1, 2)
    assert counts(own, rival, margin=0.05) == (1, 2, 1)


def test_no_test_below_five_sets():
    assert np.isnan(signed_rank_p(pd.Series([4, 3, 2, 1])))
    assert np.isnan(signed_rank_p(pd.Series([0, 0, 0, 0, 0])))
    # All signs agree: two of the 32 sign patterns are as extreme.
    assert signed_rank_p(pd.Series([5, 4, 3, 2, 1])) == pytest.approx(2 / 32)
    assert signed_rank_p(pd.Series([6, 5, 4, 3, 2, 1])) == pytest.approx(2 / 64)


def test_signed_rank_is_that_of_scipy():
    random = np.random.default_rng(3)
    own, rival = random.normal(size=(2, 12))
    expected = stats.wilcoxon(own - rival).pvalue
    assert signed_rank_p(pd.Series(own - rival)) == pytest.approx(expected)


def test_holm_adjusts_known_values_alone():
    # p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") of R.
    adjusted = holm(pd.Series([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(pd.Series([0.9, 0.8])).tolist() == [1.0, 1.0]


def scores_of(n_sets):
    random = np.random.default_rng(0)
    base = random.uniform(0.5, 0.9, size=n_sets)
    gains = {"ours": 0.0, "better": 0.05, "worse": -0.05}
    steps = 1 + 0.1 * np.arange(n_sets)
    return pd.DataFrame({method: base + gain * steps for method, gain in gains.items()})


def test_comparison_with_a_reference():
    found = compare(scores_of(8), "ours")
    assert found.index.tolist() == ["better", "ours", "worse"]
    assert found["rank"].tolist() == [1.0, 2.0, 3.0]
    assert found.loc["better", ["wins", "ties", "losses"]].tolist() == [8, 0, 0]
    assert found.loc["worse", ["wins", "ties", "losses"]].tolist() == [0, 0, 8]
    assert np.isnan(found.loc["ours", "p"])
    # Two of 256 patterns, times two comparisons.
    assert found.loc["better", "p"] == pytest.approx(4 / 256)
    lines = lines_of(found, "ours", bold=True)
    assert [line[0] for line in lines] == ["**better**", "ours", "**worse**"]
    assert lines[1][3:] == ["", "", ""]
    assert lines[0][3:] == [f"{found['gain']['better']:+.2f}", "8 / 0 / 0", "0.016"]


def test_few_sets_are_never_significant():
    found = compare(scores_of(4), "ours")
    assert found["p"].isna().all()
    lines = lines_of(found, "ours", bold=True)
    assert [line[0] for line in lines] == ["better", "ours", "worse"]
    assert lines[0][-1] == "no test"


def test_sets_that_a_method_lacks_stay_out():
    scores = pd.DataFrame({"a": {"x": 1.0, "y": 0.0}, "b": {"x": 0.5}})
    found = compare(scores, "a")
    assert found.loc["a", "mean"] == 1.0
    assert found.loc["b", ["wins", "ties", "losses"]].tolist() == [0, 0, 1]


def test_exponent_and_its_error_are_those_of_a_regression():
    sizes = np.array([1e4, 3e4, 1e5, 1e6])
    costs = 3e-6 * sizes**1.3 * np.array([1.1, 0.9, 1.05, 1.0])
    line, covariance = np.polyfit(np.log(sizes), np.log(costs), 1, cov=True)
    b, error = power_of_growth(sizes, costs)
    assert b == pytest.approx(line[0])
    assert error == pytest.approx(np.sqrt(covariance[0, 0]))
    assert np.isnan(power_of_growth(sizes[:2], costs[:2])[1])
    assert np.isnan(power_of_growth(sizes[:1], costs[:1])[0])
