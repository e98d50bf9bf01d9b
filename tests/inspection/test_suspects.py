"""Rows that are named as mislabeled."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from tests.reference import query_votes


@pytest.fixture(scope="module")
def noisy(digits):
    """Six hundred digits with a tenth of the labels wrong: X, y, wrong rows."""
    random = np.random.default_rng(5)
    X = digits[0][:600] + random.normal(scale=0.1, size=(600, 64))
    y = digits[1][:600].copy()
    wrong = random.choice(600, 60, replace=False)
    y[wrong] = (y[wrong] + random.integers(1, 10, 60)) % 10
    return X, y, wrong


@pytest.fixture(scope="module")
def model(noisy):
    X, y, _ = noisy
    return KNNGraphClassifier(
        inference="adaptive", metric="euclidean", random_state=0
    ).fit(X, y)


def test_the_first_rows_are_wrong_ones(model, noisy):
    found = model.suspect_labels(30)
    # Measured: all 30.
    assert np.isin(found.rows, noisy[2]).mean() >= 0.9
    assert (found.given != found.suggested).all()


def test_shares_are_the_votes_without_the_row(model, noisy):
    X, y, _ = noisy
    found = model.suspect_labels()
    assert_array_equal(found.given, y[found.rows])
    for place in range(0, 600, 40):
        row = found.rows[place]
        others = np.arange(600) != row
        votes = query_votes(
            X[others], y[others], np.arange(10), X[row], 32, model.query_bandwidth_
        )
        given = int(found.given[place])
        assert_allclose(found.share[place], votes[given], atol=0.01)
        votes[given] = 0.0
        assert_allclose(found.rival_share[place], votes.max(), atol=0.01)
        assert votes[int(found.suggested[place])] >= votes.max() - 0.01


def test_order(model):
    found = model.suspect_labels()
    assert_array_equal(np.sort(found.rows), np.arange(600))
    share, rival_share = found.share.round(6), found.rival_share.round(6)
    assert (np.diff(share) >= 0).all()
    tied = np.diff(share) == 0
    assert tied.any()
    assert (np.diff(rival_share)[tied] <= 0).all()
    both = tied & (np.diff(rival_share) == 0)
    assert both.any()
    assert (np.diff(found.rows)[both] > 0).all()
    assert_array_equal(model.suspect_labels(7).rows, found.rows[:7])


def test_looking_changes_nothing_and_threads_change_nothing(model, noisy):
    before = model.relabeled_.copy()
    found = model.suspect_labels()
    assert_array_equal(model.relabeled_, before)
    other = clone(model).set_params(inference="cascade", n_jobs=2)
    again = other.fit(noisy[0], noisy[1]).suspect_labels()
    assert_array_equal(again.rows, found.rows)
    assert_array_equal(again.share, found.share)


def test_permuted_rows_are_permuted_suspects(model, noisy, random):
    order = random.permutation(600)
    found = model.suspect_labels()
    permuted = clone(model)
    again = permuted.fit(noisy[0][order], noisy[1][order]).suspect_labels()
    shares, shares_again = np.empty(600), np.empty(600)
    shares[found.rows] = found.share
    shares_again[order[again.rows]] = again.share
    # Sums of float32 distances may differ in the last digits.
    assert_allclose(shares_again, shares, atol=1e-6)


def test_copies_with_another_label():
    X = np.repeat(np.arange(6.0), 4)[:, None]
    y = np.repeat(["a", "b"], 12)
    y[2] = "b"  # one of the four rows at zero
    model = KNNGraphClassifier(ef=8, random_state=0).fit(X, y)
    found = model.suspect_labels(1)
    assert found.rows.tolist() == [2]
    assert found.given.tolist() == ["b"]
    assert found.suggested.tolist() == ["a"]


@pytest.mark.parametrize("n_rows", [1, 5])
def test_one_class_has_no_rivals(n_rows):
    X = np.arange(float(n_rows))[:, None]
    found = KNNGraphClassifier(random_state=0).fit(X, ["a"] * n_rows).suspect_labels()
    assert found.rows.tolist() == list(range(n_rows))
    assert found.suggested.tolist() == ["a"] * n_rows
    assert_array_equal(found.rival_share, 0.0)


def test_with_chosen_settings(noisy):
    model = KNNGraphClassifierCV(metric="euclidean", random_state=0)
    model.fit(noisy[0], noisy[1])
    assert np.isin(model.suspect_labels(30).rows, noisy[2]).mean() >= 0.9


def test_as_text_and_table(model, monkeypatch):
    found = model.suspect_labels(12)
    lines = str(found).splitlines()
    assert len(lines) == 12
    assert lines[1].split()[0] == str(found.rows[0])
    assert lines[-1] == "and 2 more"
    table = found.to_frame()
    assert list(table) == ["row", "given", "suggested", "share", "rival_share"]
    assert_array_equal(table["row"], found.rows)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas.*pip install"):
        found.to_frame()


@pytest.mark.parametrize("k", [0, -1, 601, 2.0, True, "all"])
def test_numbers_of_rows_that_cannot_be(model, k):
    with pytest.raises(ValueError, match=r"k must be an integer between 1 and 600"):
        model.suspect_labels(k)


def test_before_fit():
    with pytest.raises(NotFittedError):
        KNNGraphClassifier().suspect_labels()
