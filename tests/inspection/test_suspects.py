"""Rows that are named as mislabeled."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from knngraph import KNNGraphClassifier, KNNGraphClassifierCV
from knngraph.inference.adaptive import candidate_votes, leave_one_out_candidates
from knngraph.inference.calibration import fit_exponent


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


def test_probabilities_are_those_of_the_formulas(model):
    """Votes without the row, calibrated; then the noise matrix and Bayes' rule."""
    fitted, found = model._model, model.suspect_labels()
    training = fitted.training
    pairs, given = np.arange(600), training.pair_code
    ids, squared = leave_one_out_candidates(
        training, fitted.left_out_neighbors, pairs, fitted.problem.n_neighbors
    )
    problem = replace(fitted.problem, nugget=1.0)
    votes = candidate_votes(training, ids, squared, problem, left_out=pairs)
    p = (votes + 0.05 / 10) ** fit_exponent(votes, given, np.ones(600))
    p /= p.sum(axis=1, keepdims=True)
    row_of_pair = training.rows_of_pairs()[0]
    for pair in range(0, 600, 7):
        right = p[pair] ** 2 * model.noise_matrix_[:, given[pair]]
        right /= right.sum()
        place = np.flatnonzero(found.rows == row_of_pair[pair])[0]
        assert_allclose(found.probability[place], right[given[pair]], atol=1e-9)
        suggested = int(found.suggested[place])
        assert_allclose(found.suggested_probability[place], right[suggested])


def test_trees_that_have_not_seen_a_row_count_half(noisy):
    X, y, _ = noisy
    classifier = KNNGraphClassifier(
        inference="adaptive", metric="trees", random_state=0
    ).fit(X, y)
    fitted, problem = classifier._model, classifier._model.problem
    training, space = fitted.training, fitted.space
    shares = space.class_shares(training.points, 10)
    expected = space.trees.shares(X)
    assert_allclose(shares[training.node_of_row], expected, atol=1e-5)
    ids, squared = leave_one_out_candidates(
        training, fitted.left_out_neighbors, np.arange(600), problem.n_neighbors
    )
    votes = candidate_votes(
        training,
        ids,
        squared,
        replace(problem, nugget=max(1.0, problem.nugget)),
        left_out=np.arange(600),
    )
    votes = 0.5 * votes + 0.5 * shares[training.pair_node]
    given = training.pair_code
    p = (votes + 0.05 / 10) ** fit_exponent(votes, given, np.ones(600))
    right = p**2 * classifier.noise_matrix_[:, given].T
    right /= right.sum(axis=1, keepdims=True)
    quality = fitted.label_quality
    assert_allclose(quality.given, right[np.arange(600), given], atol=1e-4)


@pytest.mark.parametrize("n_classes", [1, 2, 3, 16, 17])
def test_shares_of_trees_are_taken_where_they_are_not_mixed(n_classes, random):
    X, y = random.normal(size=(136, 3)), np.arange(136) % n_classes
    classifier = KNNGraphClassifier(
        inference="adaptive", metric="trees", random_state=0
    ).fit(X, y)
    fitted = classifier._model
    shares = fitted.space.class_shares(fitted.training.points, n_classes)
    if n_classes in (1, 17):
        assert shares is None
    else:
        assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)
    found = classifier.suspect_labels()
    assert ((found.probability >= 0.0) & (found.probability <= 1.0)).all()


def test_wrong_labels_of_some_classes(digits):
    """Labels of a class that are wrong one way are found by the noise matrix."""
    random = np.random.default_rng(1)
    X, y = digits[0], digits[1].copy()
    wrong = np.flatnonzero((y % 3 == 0) & (random.random(len(y)) < 0.4))
    y[wrong] = (y[wrong] + 1) % 10
    model = KNNGraphClassifier(
        inference="adaptive", metric="euclidean", random_state=0
    ).fit(X, y)
    matrix = model.noise_matrix_
    for code in range(10):
        # The symmetric noise that is assumed beside draws the matrix to itself:
        # measured 0.19 to 0.23.
        low, high = (0.15, 0.4) if code % 3 == 0 else (0.0, 0.05)
        assert low < matrix[code, (code + 1) % 10] < high
    found = model.suspect_labels(len(wrong))
    # Measured: 0.95, and 0.63 by the shares of the vote alone.
    assert np.isin(found.rows, wrong).mean() > 0.9


def test_order(model):
    found = model.suspect_labels()
    assert_array_equal(np.sort(found.rows), np.arange(600))
    own = found.probability.round(6)
    suggested = found.suggested_probability.round(6)
    assert (np.diff(own) >= 0).all()
    tied = np.diff(own) == 0
    assert tied.any()
    assert (np.diff(suggested)[tied] <= 0).all()
    both = tied & (np.diff(suggested) == 0)
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
    assert_array_equal(again.probability, found.probability)


def test_permuted_rows_are_permuted_suspects(model, noisy, random):
    order = random.permutation(600)
    found = model.suspect_labels()
    permuted = clone(model)
    again = permuted.fit(noisy[0][order], noisy[1][order]).suspect_labels()
    own, own_again = np.empty(600), np.empty(600)
    own[found.rows] = found.probability
    own_again[order[again.rows]] = again.probability
    # Sums of float32 distances may differ in the last digits.
    assert_allclose(own_again, own, atol=1e-5)


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
    assert_array_equal(found.probability, 1.0)
    assert_array_equal(found.suggested_probability, 1.0)


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
    assert list(table) == [
        "row",
        "given",
        "suggested",
        "probability",
        "suggested_probability",
    ]
    assert_array_equal(table["row"], found.rows)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas.*pip install"):
        found.to_frame()


@pytest.mark.parametrize("k", [0, -1, 601, 2.0, True, "all"])
def test_numbers_of_rows_that_cannot_be(model, k):
    with pytest.raises(ValueError, match=r"k must be an integer between 1 and 600"):
        model.suspect_labels(k)


@pytest.mark.parametrize("method", ["suspect_labels", "clean"])
def test_before_fit(method):
    with pytest.raises(NotFittedError):
        getattr(KNNGraphClassifier(), method)()


def test_rows_to_keep_are_all_but_the_most_suspect(model, noisy):
    found = model.suspect_labels()
    for remove, number in ((0, 0), (25, 25), (0.1, 60), (np.float32(0.5), 300)):
        kept = model.clean(remove)
        assert_array_equal(kept, np.sort(found.rows[number:]))
    expected = round((1.0 - found.probability).sum())
    # Measured: 63 where 60 are wrong.
    assert 45 <= expected <= 75
    assert_array_equal(model.clean(), np.sort(found.rows[expected:]))
    y = noisy[1]
    assert np.mean(np.isin(model.clean(), noisy[2])) < 0.03
    assert len(np.unique(y[model.clean()])) == 10


def test_a_row_of_every_class_is_kept():
    X = np.arange(12.0)[:, None]
    y = np.array(["a"] * 10 + ["b", "c"])
    model = KNNGraphClassifier(random_state=0).fit(X, y)
    for remove in (3, 9, 0.8, 0.99):
        assert set(y[model.clean(remove)]) == {"a", "b", "c"}
    assert len(model.clean(9)) == 3
    with pytest.raises(ValueError, match="from 0 to 9"):
        model.clean(10)
    alone = KNNGraphClassifier(random_state=0).fit(X[:1], ["a"])
    assert alone.clean().tolist() == [0]
    assert alone.clean(0).tolist() == [0]


@pytest.mark.parametrize("remove", [-1, -0.1, 1.0, 591, True, "auto", np.nan, 1e9])
def test_amounts_that_cannot_be_removed(model, remove):
    with pytest.raises(ValueError, match=r"remove must be None, a share of"):
        model.clean(remove)


def test_weights_of_rows_are_copies_and_those_of_classes_do_not_count(model, noisy):
    X, y, _ = noisy
    weights = np.where(np.arange(600) % 5 == 0, 2, 1)
    copies = np.repeat(np.arange(600), weights)

    def fit(rows, sample_weight=None, **settings):
        classifier = clone(model).set_params(**settings)
        return classifier.fit(X[rows], y[rows], sample_weight=sample_weight)

    weighed, copied = fit(np.arange(600), weights), fit(copies)
    assert_allclose(weighed.noise_matrix_, copied.noise_matrix_)
    own = np.empty(600), np.empty(len(copies))
    for probability, classifier in zip(own, (weighed, copied)):
        found = classifier.suspect_labels()
        probability[found.rows] = found.probability
    assert_allclose(own[0][copies], own[1], atol=1e-6)
    balanced = fit(np.arange(600), weights, class_weight="balanced")
    assert_array_equal(balanced.suspect_labels().rows, weighed.suspect_labels().rows)


def test_after_a_change_of_the_rows_they_are_those_there_are(model, noisy):
    X, y, _ = noisy
    changed = clone(model).fit(X[:500], y[:500])
    before = changed.suspect_labels(), changed.noise_matrix_
    changed.partial_fit(X[500:], y[500:])
    assert len(changed.suspect_labels()) == 600
    assert (changed.noise_matrix_ != before[1]).any()
    changed.forget(np.arange(500, 600))
    again = changed.suspect_labels()
    assert_array_equal(again.rows, before[0].rows)
    assert_array_equal(again.probability, before[0].probability)
    assert_array_equal(changed.noise_matrix_, before[1])
    assert_array_equal(changed.clean(0.1), np.sort(before[0].rows[50:]))
